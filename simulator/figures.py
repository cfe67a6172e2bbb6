"""What a run comes to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from simulator.world import Run

# A peak is the busiest stretch of this many seconds: single seconds tell of the model's own steps.
PEAK_SECONDS = 10
_NET_RATE_SECONDS = 600


@dataclass(frozen=True)
class Figures:
    """A run in numbers. Times are seconds, None where it did not happen.

    Attributes
    ----------
    failed_calls, failed_after
        Failed calls of the target, probes included: all, and those after the fix.
    reopened
        How often the mapping was paused again, in the same incident or by another trip of the alarm.
    time_to_open
        From the break to the mapping being disabled.
    fix_to_flowing
        From the fix to the mapping being enabled for good.
    drained_is_projected
        True where the run ended first, and the time was projected from the rate at its end.
    peak, peak_share
        Most messages a second that reached the target after the fix, in ten seconds; and as a share of its capacity.
    """

    sent: int
    processed: int
    dead_lettered: int
    waiting: int
    failed_calls: int
    failed_after: int
    receives_burnt: int
    most_receives: int
    most_waiting: int
    probes: int
    reopened: int
    collapses: int
    time_to_open: float | None
    fix_to_flowing: float | None
    fix_to_drained: float | None
    drained_is_projected: bool
    fix_to_closed: float | None
    peak: float
    peak_share: float
    stuck: str


def figures_of(run: Run) -> Figures:
    """Sum a run up."""
    series, events, fixed = run.series, run.events, run.fixed
    waiting = series["visible"] + series["hidden"]
    last = min(int(fixed), run.seconds) - 1
    flowing = _flowing(run)
    drained, projected = _drained(run, flowing)
    closed = [at for at in events.closed if at >= fixed]
    peak = _peak(run)
    return Figures(
        sent=int(series["sent"][-1]),
        processed=int(series["processed"][-1]),
        dead_lettered=int(series["dead_lettered"][-1]),
        waiting=int(waiting[-1]),
        failed_calls=int(series["failed_calls"][-1]),
        failed_after=int(series["failed_calls"][-1] - series["failed_calls"][last]),
        receives_burnt=run.receives_burnt,
        most_receives=run.most_receives,
        most_waiting=int(waiting.max()),
        probes=len(events.probes),
        reopened=max(0, len(events.paused) - 1),
        collapses=run.collapses,
        time_to_open=events.paused[0] - run.trouble.healthy if events.paused else None,
        fix_to_flowing=flowing,
        fix_to_drained=drained,
        drained_is_projected=projected,
        fix_to_closed=closed[-1] - fixed if closed else None,
        peak=peak,
        peak_share=peak / run.pipeline.capacity,
        stuck=events.stuck,
    )


def _flowing(run: Run) -> float | None:
    events = run.events
    if not events.paused:
        return 0.0
    enabled = [at for at in events.enabled if at > events.paused[-1]]
    return max(0.0, enabled[0] - run.fixed) if enabled else None


def _drained(run: Run, flowing: float | None) -> tuple[float | None, bool]:
    if run.drained is not None:
        return run.drained - run.fixed, False
    if flowing is None:
        return None, False
    waiting = run.series["visible"] + run.series["hidden"]
    if len(waiting) <= _NET_RATE_SECONDS:
        return None, False
    shrinks = (waiting[-_NET_RATE_SECONDS] - waiting[-1]) / (_NET_RATE_SECONDS - 1)
    if shrinks <= 0:
        return None, False
    return float(run.seconds - run.fixed + waiting[-1] / shrinks), True


def _peak(run: Run) -> float:
    after = run.series["offered"][int(run.fixed) :]
    if len(after) < PEAK_SECONDS:
        return 0.0
    total = np.concatenate(([0], np.cumsum(after)))
    return float((total[PEAK_SECONDS:] - total[:-PEAK_SECONDS]).max()) / PEAK_SECONDS
