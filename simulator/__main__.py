"""``python -m simulator run`` and ``agreement``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from simulator.agreement import compare
from simulator.figures import figures_of
from simulator.options import AgreementOptions, SimulateOptions, parse_options
from simulator.policies import Policy, simulate
from simulator.recommendation import LONGEST_TRIED, recommend
from simulator.report import print_advice, print_agreement, print_figures
from simulator.world import Run

# A backlog that takes longer is projected from the rate at which it shrinks.
_HORIZON = 3 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for. Returns the exit code: 1 where the simulator and the lab do not agree."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    if isinstance(options, AgreementOptions):
        return _agreement(options, console)
    return _simulation(options, console)


def _simulation(options: SimulateOptions, console: Console) -> int:
    runs: list[Run] = []
    # The breaker goes first: it watches longest, and the others are to be counted over the same time.
    for policy in sorted(options.policies, key=lambda policy: policy is not Policy.BREAKER):
        run = simulate(
            policy,
            options.pipeline,
            options.trouble,
            options.settings,
            seed=options.seed,
            profile=options.profile,
            horizon=_HORIZON,
            at_least=runs[0].seconds - 1 if runs else 0,
        )
        runs.append(run)
    runs.sort(key=lambda run: options.policies.index(Policy(run.policy)))
    print_figures(console, options, {run.policy: figures_of(run) for run in runs})
    if options.recommend:
        advice = recommend(options.pipeline, options.trouble, options.settings, seed=options.seed)
        print_advice(console, advice, tried_minutes=min(options.trouble.outage, LONGEST_TRIED) / 60)
    # Imported here: matplotlib takes its time.
    from simulator.picture import draw

    picture = draw(runs, options.picture)
    console.print(f"Picture: {_short(picture)}", soft_wrap=True, highlight=False)
    return 0


def _agreement(options: AgreementOptions, console: Console) -> int:
    # Imported here: a simulation needs nothing of the lab's cloud.
    from simulator.lab_runs import SCENARIOS, KeptOtherwise, load, measure, save

    if options.measure:
        measured = []
        for scenario in SCENARIOS:
            console.print(f"In the lab: {scenario.name}", highlight=False)
            measured.append(measure(scenario))
        save(measured, options.measured)
    elif not options.measured.exists():
        console.print(f"FAILED: {_short(options.measured)} is not there: run it without --kept first", soft_wrap=True)
        return 1
    try:
        comparisons = compare(load(options.measured))
    except KeptOtherwise as error:
        console.print(f"FAILED: {error}", soft_wrap=True, highlight=False)
        return 1
    print_agreement(console, comparisons)
    return 0 if all(each.agrees for each in comparisons) else 1


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
