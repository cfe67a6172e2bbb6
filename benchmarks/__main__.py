"""``python -m benchmarks run`` and ``report``."""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks import policies, results, scenarios
from benchmarks.aims import lab_aims, simulated_aims
from benchmarks.options import RunOptions, parse_options
from benchmarks.sweep import CASES, run_case

_REPOSITORY = Path(__file__).resolve().parent.parent
_BUILD = results.UNFINISHED.parent / "build"


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what was asked for. Returns the exit code: 1 where a run could not be measured."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    failed = False
    try:
        if isinstance(options, RunOptions):
            failed = not _measure(options, console)
            if options.simulated:
                _simulate(console)
        _report(console)
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing is left running; the next `make bench` goes on with what is missing.")
        return 128 + signal.SIGINT
    return 1 if failed else 0


def _measure(options: RunOptions, console: Console) -> bool:
    """Run what is missing in the lab. Returns whether all is there."""
    from benchmarks.reference_lab import STACK_NAME
    from benchmarks.staging import measure

    todo = results.missing(options.pairs)
    if todo and _is_stale(_BUILD / "template.yaml"):
        shutil.rmtree(_BUILD.parent / "build", ignore_errors=True)
        shutil.rmtree(_BUILD.parent / STACK_NAME, ignore_errors=True)
    for place, (name, policy) in enumerate(todo, start=1):
        scenario = scenarios.BY_NAME[name]
        console.print(f"{place}/{len(todo)} {scenario.title}: {policies.BY_NAME[policy].title}", highlight=False)
        began = time.monotonic()
        try:
            measured = measure(scenario, policies.BY_NAME[policy], build_dir=_BUILD)
        except RuntimeError as error:
            # One that fails must not keep the others from being measured.
            console.print(f"[bold red]NOT MEASURED:[/] {error}", soft_wrap=True, highlight=False)
            continue
        results.keep(measured)
        console.print(
            f"    {measured.failed_calls + measured.failed_after_fix} failed calls, {measured.dead_lettered} "
            f"dead-lettered, {measured.lost} lost, stuck: {'yes' if measured.stuck else 'no'}, fix to flowing "
            f"{measured.fix_to_flowing} s. Took {time.monotonic() - began:.0f} s, load {measured.load:g}.",
            soft_wrap=True,
            highlight=False,
        )
    left = results.missing(options.pairs)
    if left:
        console.print(
            f"Missing: {', '.join(' '.join(pair) for pair in left)}. `make bench` tries again.", soft_wrap=True
        )
        return False
    results.finish(options.pairs)
    return True


def _is_stale(build: Path) -> bool:
    """Whether something that is deployed was changed after it was built."""
    if not build.exists():
        return True
    parts = [_REPOSITORY / name for name in ("template.yaml", "functions", "statemachine", "benchmarks/reference")]
    files = [file for part in parts for file in (part.rglob("*") if part.is_dir() else [part])]
    return any(file.stat().st_mtime > build.stat().st_mtime for file in files if "__pycache__" not in file.parts)


def _simulate(console: Console) -> None:
    rows = []
    for case in CASES:
        console.print(f"Simulating {case.title}", highlight=False)
        rows.extend(run_case(case))
    results.keep_simulated(rows)


def _report(console: Console) -> None:
    """Write tables and pictures, and print tables and aims."""
    # Imported here: matplotlib takes its time.
    from benchmarks.pictures import draw_side_by_side, draw_sweep
    from benchmarks.tables import (
        PAGE,
        README,
        aims_table,
        calibration_table,
        lab_tables,
        limits_table,
        put,
        readme_table,
        simulated_tables,
    )

    measured, rows = results.load(), results.load_simulated()
    by_run = {(each.scenario, each.policy): each for each in measured}
    aims = [*lab_aims(measured), *simulated_aims(rows or [])]
    parts = {
        "calibration": calibration_table(by_run.get(("calibration", "reference")), by_run.get(("ten-minutes", "none"))),
        "lab": lab_tables([each for each in measured if each.scenario != "calibration"]),
        "simulated": simulated_tables(rows),
        "aims": aims_table(aims),
        "limits": limits_table(),
    }
    page = PAGE.read_text()
    for name, text in parts.items():
        console.print(f"\n{text}", markup=False, highlight=False, soft_wrap=True)
        page = put(page, name, text)
    PAGE.write_text(page)
    README.write_text(put(README.read_text(), "bench", readme_table(measured)))
    drawn = [draw_side_by_side(measured), draw_sweep(rows or [])]
    for path in (PAGE, README, *drawn):
        if path is not None:
            console.print(f"Written: {_short(path)}", highlight=False, soft_wrap=True)


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
