"""What is measured of a run, and what it comes to. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_PEAK_SECONDS = 10.0


@dataclass(frozen=True)
class Measurement:
    """One scenario under one policy in the lab. Times are real-equivalent seconds, None where it did not happen.

    Attributes
    ----------
    dead_lettered, left_dead_lettered
        Messages that came to the dead-letter queue at all, and those that are in it at the end: a redrive moves some
        back. Both count messages that were processed all the same, by a call that ended too late.
    failed_calls, failed_after_fix
        Failed calls of the target from the break to the fix, probes included, and after the fix.
    receives_burnt, most_receives
        Receives that did not end in a processed message: all of them, and the most of one message.
    time_to_open, opened_after
        To the mapping being ``Disabled``: from the first failed call, and from the break.
    peak
        Most messages a second that were processed after the fix, in ten seconds.
    stuck
        True where the mapping is disabled at the end and nothing is left that would enable it.
    states_entered, retries
        State transitions, which AWS bills, and retries of Tasks, which it bills as well.
    function_seconds, function_calls
        Calls of functions by the state machine, and their time on this machine's clock, starts included.
    copied
        Messages that a re-jitter has sent again.
    series
        For pictures: at, queue depth, dead-lettered, 1 where the mapping is on.
    """

    scenario: str
    policy: str
    scale: int
    load: float
    measured_at: str
    sent: int
    processed: int
    waiting: int
    dead_lettered: int
    left_dead_lettered: int
    lost: int
    duplicated: int
    failed_calls: int
    failed_after_fix: int
    receives_burnt: int
    most_receives: int
    broken: float
    fixed: float
    time_to_open: float | None
    opened_after: float | None
    fix_to_flowing: float | None
    fix_to_drained: float | None
    fix_to_closed: float | None
    peak: float
    probes: int
    executions: int
    executions_failed: int
    stuck: bool
    states_entered: int
    retries: int
    function_calls: int
    function_seconds: float
    copied: int
    failed_by_minute: list[int]
    series: list[list[float]]

    @property
    def transitions(self) -> int:
        """All that AWS bills as state transitions."""
        return self.states_entered + self.retries

    @property
    def burnt_of_each(self) -> float:
        """Receives that came to nothing, in the mean over all messages."""
        return self.receives_burnt / max(1, self.sent)


def peak_rate(samples: Sequence[tuple[float, int]], since: float) -> float:
    """Most messages a second in any ten seconds after ``since``, from (time, processed so far)."""
    after = [sample for sample in samples if sample[0] >= since]
    best, first = 0.0, 0
    for at, count in after:
        while at - after[first][0] > _PEAK_SECONDS and after[first + 1][0] < at:
            first += 1
        if at - after[first][0] > 0:
            best = max(best, (count - after[first][1]) / max(_PEAK_SECONDS, at - after[first][0]))
    return best


def dead_lettered(depths: Sequence[int], outputs: Iterable[str | None]) -> int:
    """How many messages came to the dead-letter queue, one that came twice counted twice.

    Parameters
    ----------
    depths
        How many it held, sample by sample.
    outputs
        What the breaker's executions have returned. An incident's report says how many were moved back.
    """
    reports = [json.loads(output) for output in outputs if output]
    moved_back = sum(report.get("redriven", 0) for report in reports if isinstance(report, dict))
    # Where a run has ended in the middle of a redrive, there is no report yet.
    return max(depths[-1] + moved_back, max(depths))


def counts_by_minute(events: Iterable[tuple[float, float]], until: float) -> list[int]:
    """Sums by whole minute of (time, count), up to ``until``."""
    minutes = [0] * (int(until // 60) + 1)
    for at, count in events:
        place = int(at // 60)
        if 0 <= place < len(minutes):
            minutes[place] += round(count)
    return minutes


def thinned(series: Sequence[list[float]], most: int = 240) -> list[list[float]]:
    """At most so many points, the last one among them."""
    step = max(1, -(-len(series) // most))
    kept = list(series[::step])
    return kept if not series or kept[-1] == series[-1] else [*kept, series[-1]]
