"""How messages are let in again: the mapping's maximum concurrency, step by step, until the backlog is gone.

The steps of RampConcurrency come first. While messages wait after them, the owner's own concurrency would let the
backlog overrun the target: so the ramp goes on, quickly to what the target is known to have processed before the
incident, slowly beyond. Few calls cannot become a fifth more, only a third or half: such a step is not taken for a
backlog that goes fast enough without. A step that strains the target is taken back, and the ramp stays below it until
the backlog is gone. A hold that does not shrink the backlog ends: no ramp lasts for ever.

Concurrency is not rate: a fast target takes many messages a second even at 2, the least that Lambda allows.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

# https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
LEAST_CONCURRENCY = 2
MOST_CONCURRENCY = 1000

# Beyond what the target is known to have stood: a target that stood a step is overrun by a fifth at most.
SLOW_GROWTH = 1.2
# Where nothing is known.
BLIND_GROWTH = 1.5
# What few calls have shown is not trusted further than this.
FAST_GROWTH = 10
# How far back before the incident the target's best minute is looked for.
KNOWN_GOOD_SECONDS = 3600
# A step back, where no lower step is known to have been good.
STEP_BACK = 1.5
# So few messages are no backlog: one batch, as queues come by default, or what is processed in a second.
FEW_MESSAGES = 10
# Looks at a hold that does not shrink the backlog, after which more is tried, and after which the ramp ends.
FRUITLESS_LOOKS = 5
LAST_FRUITLESS_LOOK = 15
# A backlog has shrunk when a twentieth is gone.
_SHRUNK = 0.95


def read_steps(text: str) -> list[int]:
    """Read the setting RampConcurrency, for example `"2,10"`.

    Raises
    ------
    ValueError
        A step is out of range or not above the one before. The message says which rule was broken.
    """
    steps = [int(step) for step in text.split(",")]
    if not all(LEAST_CONCURRENCY <= step <= MOST_CONCURRENCY for step in steps):
        raise ValueError(f"must be {LEAST_CONCURRENCY} to {MOST_CONCURRENCY} in each step")
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError("must grow from step to step")
    return steps


def recovery_steps(ramp: Sequence[int], *, own: int, provisioned: bool) -> list[int]:
    """Return the maximum concurrency of each step of a recovery; the last is the owner's own, 0 for none.

    Parameters
    ----------
    ramp
        Steps before the owner's own. Those that are not below it are left out.
    provisioned
        True for a mapping in provisioned mode, which takes no maximum and is enabled whole.
    """
    if provisioned:
        return [own]
    return [step for step in ramp if own == 0 or step < own] + [own]


@dataclass(frozen=True)
class Shown:
    """What a step that went well has shown.

    Attributes
    ----------
    waiting
        Messages that wait in the queue.
    processed
        Messages a minute processed in the best metric period of the step, 0 where that is not known.
    known_good
        Messages a minute processed in the best period of the hour before the incident, 0 where that is not known.
    strained
        True when more failed than a healthy target fails, but not enough to open the circuit.
    seconds_open
        Since the circuit was opened: in this time the backlog has come.
    """

    waiting: int
    processed: int
    known_good: int
    strained: bool
    seconds_open: int

    @property
    def is_drained(self) -> bool:
        """True when no backlog is left."""
        return self.waiting <= max(FEW_MESSAGES, self.processed // 60)

    @property
    def goes_fast(self) -> bool:
        """True when the backlog goes twice as fast as it came, or faster, while as many messages come as before."""
        return 3 * self.waiting * 60 <= self.processed * self.seconds_open


@dataclass(frozen=True)
class Recovery:
    """Where a recovery stands.

    Attributes
    ----------
    steps
        Maximum concurrency of each step; the last is the owner's own, 0 for none. Steps are put in before it while a
        backlog waits.
    step
        Index of the current one.
    began
        When the current step was confirmed, or last found good while it is held, ISO 8601; "" until then.
    processed
        Messages a minute processed in the step before, where this one was to bring more; else 0.
    beyond
        True when the step is more than the target is known to have stood.
    too_much
        What has strained the target, or opened the circuit again; 0 where nothing has. The ramp stays below until the
        backlog is gone.
    waiting
        The backlog when it had last shrunk while the step was held, 0 before.
    fruitless
        Looks since then.
    """

    steps: list[int]
    step: int
    began: str = ""
    processed: int = 0
    beyond: bool = False
    too_much: int = 0
    waiting: int = 0
    fruitless: int = 0

    @property
    def concurrency(self) -> int:
        """What the breaker writes in this step."""
        return self.steps[self.step]

    @property
    def is_last(self) -> bool:
        """True when the owner's own setting is in force."""
        return self.step == len(self.steps) - 1

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def next_given(self) -> "Recovery":
        """Return the next of the steps as they stand."""
        return replace(self, step=self.step + 1, began="", processed=0, beyond=False)

    def too_much_after_reopening(self) -> int:
        """Return what is too much for the next recovery, 0 for nothing, after a step that opened the circuit again."""
        return self._or_most(self.concurrency) if self.beyond and self.step else self.too_much

    def after_good_step(self, shown: Shown) -> "Recovery":
        """Return how the recovery goes on after a step that went well and was not the last.

        The same step, if it is held: then it is judged anew.
        """
        if shown.is_drained:
            return self.next_given()
        if shown.strained or 0 < shown.processed <= self.processed:
            lower = self._lower()
            bounded = replace(self, too_much=self.concurrency)
            return bounded._at(lower) if lower < self.concurrency else bounded._held(shown)
        for wanted in (self._more(shown), self._little_more()):
            too_much = 0 < self.too_much <= wanted
            if not too_much and not self._is_rash(wanted, shown):
                return self._raised(wanted, shown)
        return self._held(shown)

    def _is_rash(self, wanted: int, shown: Shown) -> bool:
        """Tell whether a step could overrun the target by more than a fifth, and the backlog goes fast without it."""
        is_given = wanted in self.steps[self.step + 1 : -1]
        slow = max(self._known_good(shown), int(self.concurrency * SLOW_GROWTH))
        return shown.goes_fast and not is_given and wanted > slow

    def _more(self, shown: Shown) -> int:
        """Return the next step up, which may be above everything."""
        if self.step + 2 < len(self.steps):
            return self.steps[self.step + 1]
        if shown.processed and shown.known_good:
            return max(self._known_good(shown), self._little_more())
        return max(int(self.concurrency * BLIND_GROWTH), self._little_more())

    def _little_more(self) -> int:
        return max(int(self.concurrency * SLOW_GROWTH), self.concurrency + 1)

    def _known_good(self, shown: Shown) -> int:
        """Return the concurrency by which the target would process what it did before the incident."""
        limit = self.concurrency
        if not shown.processed:
            return limit
        return min(limit * shown.known_good // shown.processed, limit * FAST_GROWTH)

    def _raised(self, limit: int, shown: Shown) -> "Recovery":
        return replace(self._at(limit), processed=shown.processed, beyond=limit > self._known_good(shown))

    def _at(self, limit: int) -> "Recovery":
        """Return a new step at a concurrency, which is the owner's own where it comes to as much."""
        own = self.steps[-1]
        above = limit >= self._or_most(own)
        given = self.steps[self.step + 1 : -1] if limit > self.concurrency else []
        put_in = [] if above else [limit, *(step for step in given if step > limit)]
        steps = [*self.steps[: self.step + 1], *put_in, own]
        return replace(self, steps=steps, step=self.step + 1, began="", processed=0, beyond=False)

    def _held(self, shown: Shown) -> "Recovery":
        held = replace(self, began="", processed=0, beyond=False)
        if not self.waiting or shown.waiting <= _SHRUNK * self.waiting:
            return replace(held, waiting=shown.waiting, fruitless=0)
        held = replace(held, fruitless=self.fruitless + 1)
        if held.fruitless >= LAST_FRUITLESS_LOOK:
            return held._at(MOST_CONCURRENCY + 1)
        if held.fruitless % FRUITLESS_LOOKS == 0:
            return replace(held, too_much=0)._raised(held._more(shown), shown)
        return held

    @staticmethod
    def _or_most(limit: int) -> int:
        return limit or MOST_CONCURRENCY + 1

    def _lower(self) -> int:
        """Return the next lower concurrency, this one if there is none."""
        limit = self.concurrency
        earlier = [step for step in self.steps[: self.step] if step < limit]
        return max([*earlier, min(limit, max(LEAST_CONCURRENCY, int(limit / STEP_BACK)))])
