"""Calls by minute, as CloudWatch keeps them, and the alarm that looks at them."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from simulator.rules import AlarmDefinition, AlarmState, Counts, decide

MINUTE = 60


class Metrics:
    """Invocations and Errors of the function, by the minute in which a call began. Probes are calls, too."""

    def __init__(self) -> None:
        self._calls: dict[int, int] = {}
        self._failed: dict[int, int] = {}
        self._deleted: dict[int, int] = {}

    def count(self, now: float, *, calls: int, failed: int) -> None:
        """Count calls that began now (seconds on the clock that the minutes go by)."""
        minute = int(now) // MINUTE * MINUTE
        self._calls[minute] = self._calls.get(minute, 0) + calls
        self._failed[minute] = self._failed.get(minute, 0) + failed

    def count_deleted(self, now: float, messages: int) -> None:
        """Count messages that were deleted because they were processed."""
        minute = int(now) // MINUTE * MINUTE
        self._deleted[minute] = self._deleted.get(minute, 0) + messages

    def most_deleted(self, begin: float, end: float, length: int) -> int:
        """The messages a minute deleted in the best whole period from ``begin`` to ``end``."""
        first = math.ceil(begin / length) * length
        periods = range(first, int(end) - length + 1, length)
        most = max((sum(self._deleted.get(at + m, 0) for m in range(0, length, MINUTE)) for at in periods), default=0)
        return round(most * MINUTE / length)

    def period(self, begin: int, length: int) -> Counts:
        """What one period counted."""
        minutes = range(begin, begin + length, MINUTE)
        return Counts(
            calls=sum(self._calls.get(minute, 0) for minute in minutes),
            failed_calls=sum(self._failed.get(minute, 0) for minute in minutes),
        )

    def periods(self, begin: int, end: float, length: int) -> dict[int, Counts]:
        """What each whole period from ``begin`` on counted that has ended by ``end``; those without calls left out."""
        found = {at: self.period(at, length) for at in range(begin, int(end) - length + 1, length)}
        return {at: counts for at, counts in found.items() if counts.calls}


class Alarm:
    """Applies an alarm's own expression and rules to the metrics, with CloudWatch's delay."""

    def __init__(self, definition: AlarmDefinition, metrics: Metrics, *, delay: float) -> None:
        self.state = AlarmState.OK
        self.changed_at = 0.0
        self._definition = definition
        self._metrics = metrics
        self._delay = delay
        self._seen_until = -1

    def evaluate(self, now: float) -> bool:
        """Evaluate if a new datapoint can be seen. True when the state has changed to ALARM."""
        period = self._definition.period
        # A longer period is evaluated every minute, too, as the one that ends then.
        every = min(period, MINUTE)
        seen_until = math.floor((now - self._delay) / every) * every
        if seen_until <= self._seen_until:
            return False
        self._seen_until = seen_until
        first = seen_until - self._definition.evaluation_range * period
        moments = range(first, seen_until, period)
        datapoints = [(datetime.fromtimestamp(at, UTC), self._datapoint(at)) for at in moments]
        state = decide(self._definition, datapoints, self.state, datetime.fromtimestamp(now, UTC)).state
        if state is self.state:
            return False
        self.state, self.changed_at = state, now
        return state is AlarmState.ALARM

    def rang_since(self, moment: float) -> bool:
        """True when it is in ALARM and changed to it at or after ``moment``."""
        return self.state is AlarmState.ALARM and self.changed_at >= moment

    def _datapoint(self, at: int) -> float | None:
        counts = self._metrics.period(at, self._definition.period)
        if counts.calls == 0:
            return None
        values = {"Invocations": float(counts.calls), "Errors": float(counts.failed_calls)}
        return self._definition.datapoint({metric.id: values[metric.name] for metric in self._definition.metrics})
