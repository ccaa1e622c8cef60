"""How long a command takes to answer, as a whole process.

    PHASEGATE_HOME=... python benchmarks/startup.py [--rounds 11]

The peers: a bare Python, and for `model list` an import of sqlalchemy.orm, which it cannot do without.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

_PHASEGATE = str(Path(sys.executable).parent / "phasegate")


def main() -> None:
    """Print the median of each command's seconds, and its budget."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=11)
    rounds = arguments.parse_args().rounds
    with tempfile.TemporaryDirectory() as home:
        subprocess.run([_PHASEGATE, "init", "--home", home], check=True, capture_output=True)
        commands = {
            "python -c pass": ([sys.executable, "-c", "pass"], None),
            "import sqlalchemy.orm": ([sys.executable, "-c", "import sqlalchemy.orm"], None),
            "phasegate --help": ([_PHASEGATE, "--help"], 0.25),
            "phasegate plugin list": ([_PHASEGATE, "plugin", "list"], 0.4),
            "phasegate model list": ([_PHASEGATE, "model", "list", "--home", home], 0.6),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):
            for name, (command, _) in commands.items():
                start = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True)
                times[name].append(time.perf_counter() - start)
    for name, (_, budget) in commands.items():
        allowed = f"   at most {budget} s" if budget else ""
        spread = f"[{min(times[name]):.3f}, {max(times[name]):.3f}]"
        print(f"{name:24} {statistics.median(times[name]):6.3f} s   {spread}{allowed}")


if __name__ == "__main__":
    main()
