"""Measurements in files.

Each is written as soon as it is there, below ``.lab/bench``. When all that was asked for is there, it takes the place
of what ``benchmarks/results`` had: so an interrupted run goes on with what is missing, and a finished one begins anew.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.figures import Measurement

DIRECTORY = Path(__file__).resolve().parent / "results"
UNFINISHED = Path(__file__).resolve().parent.parent / ".lab" / "bench" / "measured"
_SIMULATED = "simulated.json"


def name_of(scenario: str, policy: str) -> str:
    """The file of one run."""
    return f"{scenario}--{policy}.json"


def keep(measurement: Measurement, directory: Path = UNFINISHED) -> Path:
    """Write one run down, whole or not at all."""
    return _write(directory / name_of(measurement.scenario, measurement.policy), asdict(measurement))


def missing(wanted: Iterable[tuple[str, str]], directory: Path = UNFINISHED) -> list[tuple[str, str]]:
    """Which of the (scenario, policy) asked for have not been measured yet."""
    return [pair for pair in wanted if not (directory / name_of(*pair)).exists()]


def finish(wanted: Sequence[tuple[str, str]], source: Path = UNFINISHED, target: Path = DIRECTORY) -> None:
    """Move a finished run to where it is kept."""
    target.mkdir(parents=True, exist_ok=True)
    for pair in wanted:
        file = source / name_of(*pair)
        if file.exists():
            shutil.move(file, target / file.name)


def load(directory: Path = DIRECTORY) -> list[Measurement]:
    """All that is kept."""
    files = sorted(directory.glob("*--*.json"))
    return [Measurement(**json.loads(file.read_text())) for file in files]


def keep_simulated(rows: Any, directory: Path = DIRECTORY) -> Path:
    """Write the simulated rows down."""
    return _write(directory / _SIMULATED, rows)


def load_simulated(directory: Path = DIRECTORY) -> Any:
    """The simulated rows, None where there are none."""
    file = directory / _SIMULATED
    return json.loads(file.read_text()) if file.exists() else None


def _write(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_text(_compact(content) + "\n")
    unfinished.replace(file)
    return file


def _compact(content: Any) -> str:
    """One field a line, or one row: a change of a figure is then a change of a line."""
    if not isinstance(content, dict):
        return "[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in content) + "\n]"
    lines = [f"  {json.dumps(name)}: {json.dumps(value, separators=(',', ':'))}" for name, value in content.items()]
    return "{\n" + ",\n".join(lines) + "\n}"
