"""What a local deployment serves: one folder, its files known by digest.

The folder outlives the run that made it. It holds

- `deployment.json`: this description, itself known by the digest that the deployment records;
- `model.onnx`, `tokenizer.json`: named with their digests in the description;
- `server.json`: process id, its start time and port, written by the server;
- `server.log`; `traffic.jsonl`: see `traffic`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from registry.domain.digests import digest_bytes
from registry.errors import BadInput, IntegrityViolated
from registry.files import write_atomically

DESCRIPTION = "deployment.json"
MODEL = "model.onnx"
TOKENIZER = "tokenizer.json"
PROCESS = "server.json"
LOG = "server.log"
TRAFFIC = "traffic.jsonl"


class Service(BaseModel):
    """A model version behind an endpoint, and the limits of one request.

    Attributes:
        model: Name of the model, as in the URL.
        version: Its number, as in the URL.
        artifact: Digest of the artifact that the files were made from.
        files: Name -> digest of every file that the server loads.
        pad_id: Token that fills short texts up; it is masked.
        port: 0 for any free one.
        log_inputs: Whether the traffic log holds the texts, or only their lengths.
        traffic_bytes: Size at which the traffic log is turned over; one older part is kept.
        threads: Of one prediction; requests run beside each other.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    version: str
    artifact: str
    files: dict[str, str]
    labels: tuple[str, ...]
    positive: str
    max_length: int
    pad_id: int
    host: str = "127.0.0.1"
    port: int = 0
    max_rows: int = 256
    max_body_bytes: int = 1 << 20
    log_inputs: bool = True
    traffic_bytes: int = 32 << 20
    threads: int = 1

    @classmethod
    def read(cls, folder: Path, digest: str = "") -> Self:
        """Read a folder's description.

        Raises:
            BadInput: There is none, or it is no description.
            IntegrityViolated: It is not the one with `digest`.
        """
        path = folder / DESCRIPTION
        try:
            data = path.read_bytes()
        except OSError as cause:
            raise BadInput(f"{folder} is no deployment: {cause}") from cause
        if digest:
            _check(path, data, digest)
        try:
            return cls.model_validate_json(data)
        except ValidationError as cause:
            raise BadInput(f"{path} describes no deployment: {cause}") from cause

    def install(self, bundle: Path, folder: Path) -> str:
        """Copy the files from `bundle` and write the description beside them; returns its digest.

        Raises:
            IntegrityViolated: A copy is not what it was copied from.
        """
        for name in self.files:
            shutil.copyfile(bundle / name, folder / name)
            self.load(folder, name)
        description = self.model_dump_json(indent=2).encode()
        write_atomically(folder / DESCRIPTION, description)
        return digest_bytes(description)

    def load(self, folder: Path, name: str) -> bytes:
        """The bytes of a file, exactly those that were hashed.

        Raises:
            IntegrityViolated: They are gone, or not those that were deployed.
        """
        path = folder / name
        try:
            data = path.read_bytes()
        except OSError as cause:
            raise IntegrityViolated(f"{name} was deployed and cannot be read: {cause}") from cause
        _check(path, data, self.files[name])
        return data


def _check(path: Path, data: bytes, digest: str) -> None:
    if (found := digest_bytes(data)) != digest:
        raise IntegrityViolated(
            f"{path.name} is not what was deployed: it has {found}, deployed was {digest}",
            hint="deploy the version again: phasegate run deploy-local MODEL/N",
        )
