"""How few calls can fail where CloudWatch has to see the outage first? ``python -m benchmarks.floor`` prints it.

The quickest breaker that is tripped by a metric pauses at the first failed call that a metric shows: after the rest of
the metric minute, CloudWatch's delay, and the mapping's change. Its failed calls, as a share of the reference policy's
in the same outage of ten minutes, are a floor for every alarm. Simulated, at moments all over the minute.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.sweep import CASES
from benchmarks.tables import markdown
from simulator.figures import Figures, figures_of
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.rules import CLOUDWATCH_DELAY_SECONDS

OUTAGE = 600.0
_MINUTE = 60.0
# The reference policy's alarm has a period of five minutes: where in these the break falls decides.
PHASES = tuple(float(phase) for phase in range(5, 300, 10))


@dataclass(frozen=True)
class Shares:
    """Failed calls, and seconds from the break to the pause, in the mean over the moments of the break."""

    name: str
    failed_calls: float
    paused_after: float


def rest_of_minute(phase: float, trouble: Trouble) -> float:
    """Seconds from the break to the end of its metric minute, for a run that begins so far into a minute."""
    return _MINUTE - (phase + trouble.healthy) % _MINUTE


def shares(pipeline: Pipeline = CASES[0].pipeline, phases: Sequence[float] = PHASES) -> list[Shares]:
    """The floor, this breaker, and the reference policy."""
    trouble = Trouble(outage=OUTAGE)

    def run(policy: Policy, phase: float, asks_after: float | None = None) -> Figures:
        return figures_of(
            simulate(policy, pipeline, trouble, BreakerSettings(), minute_phase=phase, asks_after=asks_after)
        )

    def at_the_floor(phase: float) -> Figures:
        return run(Policy.BREAKER, phase, rest_of_minute(phase, trouble) + CLOUDWATCH_DELAY_SECONDS)

    ways: tuple[tuple[str, Callable[[float], Figures]], ...] = (
        ("the floor", at_the_floor),
        ("this breaker", lambda phase: run(Policy.BREAKER, phase)),
        ("the reference policy", lambda phase: run(Policy.REFERENCE, phase)),
    )
    return [_mean(name, [way(phase) for phase in phases]) for name, way in ways]


def _mean(name: str, found: Sequence[Figures]) -> Shares:
    return Shares(
        name,
        fmean(figures.failed_calls for figures in found),
        fmean(figures.time_to_open for figures in found if figures.time_to_open is not None),
    )


def main() -> int:
    """Print the table."""
    found = shares()
    reference = found[-1]
    rows = [
        [
            each.name,
            f"{each.paused_after:.0f} s",
            f"{each.failed_calls:,.0f}",
            f"{each.failed_calls / reference.failed_calls:.2f}",
        ]
        for each in found
    ]
    head = ["10 minutes of outage", "break to paused", "failed calls", "share of the reference's"]
    sys.stdout.write(markdown(head, rows) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
