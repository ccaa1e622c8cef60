"""What every launcher is: a name, options, a check before anything starts, and the running itself."""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from registry.errors import BadInput, MissingExtra
from registry.extension.discovery import read_values
from registry.runner.folder import RunFolder
from registry.runner.processes import end_marked
from registry.runner.starting import MARK


class EngineOptions(BaseModel):
    """Options of an engine: `--engine-set name=value`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


O = TypeVar("O", bound=EngineOptions)  # noqa: E741


class Launcher(ABC, Generic[O]):
    """One way to run a plugin's processes.

    The supervisor starts one process on this machine (see `starting`), and watches it alone. There
    `run` starts as many as were asked for, each `registry.runner.rank FOLDER` with RANK, WORLD_SIZE,
    LOCAL_RANK, MASTER_ADDR and MASTER_PORT, and returns when all have ended.

    Attributes:
        name: As typed after `--engine`.
        options_type: Its options.
        requires: Importable modules that it needs.
        extra: The extra that installs them.
        several: Whether it can run more than one process.
    """

    name: ClassVar[str]
    options_type: ClassVar[type[EngineOptions]] = EngineOptions
    requires: ClassVar[tuple[str, ...]] = ()
    extra: ClassVar[str] = ""
    several: ClassVar[bool] = True

    def read_options(self, values: Mapping[str, Any]) -> O:
        """The options, checked.

        Raises:
            BadConfig: A misspelt name (with the nearest) or a value that cannot be.
        """
        what = f"engine {self.name!r}"
        return read_values(what, self.options_type, dict(values), hint=self._known())  # type: ignore[return-value]

    def check(self, processes: int, options: O) -> None:
        """Refuse what cannot start, before anything does.

        Raises:
            BadInput: A number of processes that it cannot run.
            MissingExtra: Its packages are not installed.
        """
        if processes < 1:
            raise BadInput(f"{processes} processes run nothing", hint="give --processes 1 or more")
        if processes > 1 and not self.several:
            raise BadInput(
                f"engine {self.name!r} runs one process, and {processes} are asked for",
                hint=f"add --engine torchrun --processes {processes}",
            )
        if missing := [name for name in self.requires if importlib.util.find_spec(name) is None]:
            raise MissingExtra(
                f"engine {self.name!r} needs {', '.join(missing)}",
                hint=f"pip install 'phasegate[{self.extra}]'",
            )

    @abstractmethod
    def run(self, folder: RunFolder, processes: int, options: O) -> int:
        """Run the plugin's processes to their end, in the run's first process; returns an exit status.

        They leave word in the folder themselves; what they could not say, this does.
        """

    def clear(self, folder: RunFolder) -> None:
        """End whatever is left of a run whose first process is gone, wherever it is.

        Never may two sets of processes write to one folder: a set that a killed first process left
        behind is ended before the next begins. Processes with a session of their own are found, too.

        Raises:
            RunFailed: Something could not be ended.
        """
        end_marked(MARK, str(folder.path))

    def _known(self) -> str:
        return ", ".join(self.options_type.model_fields) or "it has no options"
