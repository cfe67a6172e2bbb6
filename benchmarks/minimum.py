"""Is five a good default for ``MinimumInvocations``? ``python -m benchmarks.minimum`` prints the two tables.

A lower minimum sees an outage of a slow queue sooner, and takes messages that nobody can process for one. So both are
tried: ten minutes of outage in the simulator, and a healthy target with poison messages before the template's alarm.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean

from benchmarks.tables import markdown
from simulator.figures import Figures, figures_of
from simulator.metrics import MINUTE, Alarm, Metrics
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.rules import CLOUDWATCH_DELAY_SECONDS

MINIMUMS = (2, 3, 5)
# Seconds from one message to the next.
APART = (60.0, 30.0, 20.0, 10.0, 5.0, 1.0, 0.1)
VISIBILITIES = (30, 60, 90, 180)
MAX_RECEIVES = (3, 5, 15)
_SEEDS = 8
_OUTAGE = 600.0
_HORIZON = 3600.0
# A message that shows again is polled within about this time.
_POLLED_WITHIN = 1.0


@dataclass(frozen=True)
class Poison:
    """A healthy target on a quiet night, and messages that it can never process.

    Attributes
    ----------
    healthy_every
        Seconds from one message that can be processed to the next.
    """

    title: str
    messages: int
    visibility: int
    healthy_every: float = 120.0
    max_receives: int = 15


POISON = (
    Poison("1 poison message, visibility timeout 30 s", 1, 30),
    Poison("2, visibility timeout 60 s", 2, 60),
    Poison("2, visibility timeout 30 s", 2, 30),
    Poison("3, visibility timeout 60 s", 3, 60),
    Poison("3, visibility timeout 180 s", 3, 180),
    Poison("5, visibility timeout 60 s", 5, 60),
)


def outages(apart: float, visibility: int, max_receives: int, minimum: int, seeds: int = _SEEDS) -> list[Figures]:
    """Ten minutes of outage, each time with another moment of the minute and other chances."""
    pipeline = Pipeline(rate=1 / apart, visibility=visibility, max_receives=max_receives)
    settings = BreakerSettings({"MinimumInvocations": str(minimum)})
    trouble = Trouble(outage=_OUTAGE)
    return [
        figures_of(simulate(Policy.BREAKER, pipeline, trouble, settings, seed=seed, horizon=_HORIZON))
        for seed in range(1, seeds + 1)
    ]


def opens_at_poison(poison: Poison, minimum: int, seed: int) -> bool:
    """Whether the template's alarm rings for these messages, which come one after another within a minute.

    Each is a call of its own, as with a batch size of one or a queue so quiet that no two share a batch.
    """
    dice = random.Random(seed)  # noqa: S311 - no secret
    metrics = Metrics()
    alarm = Alarm(
        BreakerSettings({"MinimumInvocations": str(minimum)}).alarm(), metrics, delay=CLOUDWATCH_DELAY_SECONDS
    )
    begin = 10 * MINUTE
    end = begin + MINUTE + poison.max_receives * (poison.visibility + _POLLED_WITHIN)
    healthy = dice.uniform(0, poison.healthy_every)
    while healthy < end:
        metrics.count(healthy, calls=1, failed=0)
        healthy += poison.healthy_every
    for _ in range(poison.messages):
        at = begin + dice.uniform(0, MINUTE)
        for _ in range(poison.max_receives):
            metrics.count(at, calls=1, failed=1)
            at += poison.visibility + dice.uniform(0, _POLLED_WITHIN)
    return any(alarm.evaluate(float(at)) for at in range(0, int(end + 5 * MINUTE), 10))


def outage_table(
    apart: Sequence[float] = APART,
    visibilities: Sequence[int] = VISIBILITIES,
    max_receives: Sequence[int] = MAX_RECEIVES,
    seeds: int = _SEEDS,
) -> str:
    """Time to open, how many runs never opened, and what was dead-lettered, for each minimum."""
    head = ["a message every", "visibility", "receives", "sent", *(f"minimum {minimum}" for minimum in MINIMUMS)]
    rows = []
    for each in product(apart, visibilities, max_receives):
        found = [outages(*each, minimum, seeds) for minimum in MINIMUMS]
        sent = f"{_OUTAGE / each[0]:,.0f}"
        rows.append([f"{each[0]:g} s", f"{each[1]} s", f"{each[2]}", sent, *map(_outage_cell, found)])
    return markdown(head, rows)


def _outage_cell(found: Sequence[Figures]) -> str:
    opened = [figures.time_to_open for figures in found if figures.time_to_open is not None]
    never = len(found) - len(opened)
    text = f"{fmean(opened):.0f} s" if opened else "never"
    if opened and never:
        text += f" ({never} of {len(found)} never)"
    return f"{text}, {fmean(figures.dead_lettered for figures in found):,.1f} dead"


def poison_table(poisons: Iterable[Poison] = POISON, seeds: int = 100) -> str:
    """How many runs open the circuit although the target is healthy, for each minimum."""
    head = ["healthy target, a message every 120 s, and", *(f"minimum {minimum}" for minimum in MINIMUMS)]
    rows = [
        [
            each.title,
            *(
                f"{100 * sum(opens_at_poison(each, minimum, seed) for seed in range(seeds)) / seeds:.0f} %"
                for minimum in MINIMUMS
            ),
        ]
        for each in poisons
    ]
    return markdown(head, rows)


def main() -> int:
    """Print both tables. Takes some minutes."""
    sys.stdout.write(f"Opened by poison, of 100 runs\n\n{poison_table()}\n\n")
    sys.stdout.flush()
    sys.stdout.write(f"Ten minutes of outage, means of {_SEEDS} runs: break to paused, dead-lettered\n\n")
    sys.stdout.write(outage_table() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
