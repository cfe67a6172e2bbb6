"""Is the target healthy? Judged on whole metric periods that began after messages were let in.

The same rule judges a step of a recovery, the first minutes after it, and a CLOSED circuit whose alarm cannot trip it
because it never left ALARM. An older period would tell of the outage, and a period that is not over too little.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

# Failures above this share are more than a healthy target's, if they are enough: it has been given too much.
STRAIN_PERCENT = 5


class Health(StrEnum):
    """GOOD and BAD are final; UNDECIDED until enough periods are complete."""

    GOOD = "GOOD"
    BAD = "BAD"
    UNDECIDED = "UNDECIDED"


@dataclass(frozen=True)
class Counts:
    """What one metric period, or several together, counted.

    Attributes
    ----------
    calls, failed_calls
        Invocations of the function, and those that ended in an error. A partial batch failure is no error there.
    messages, failed_messages
        Messages the mapping handed over, and those that failed; 0 unless the mapping publishes its own metrics.
    timed_calls, milliseconds
        Calls whose duration is known, and how long they took together.
    """

    calls: int = 0
    failed_calls: int = 0
    messages: int = 0
    failed_messages: int = 0
    timed_calls: int = 0
    milliseconds: int = 0

    @property
    def seconds(self) -> float:
        """What a call took on average, 0 where no duration is known."""
        return self.milliseconds / self.timed_calls / 1000 if self.timed_calls else 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.calls + other.calls,
            self.failed_calls + other.failed_calls,
            self.messages + other.messages,
            self.failed_messages + other.failed_messages,
            self.timed_calls + other.timed_calls,
            self.milliseconds + other.milliseconds,
        )


@dataclass(frozen=True)
class HealthRule:
    """When a period is bad, and when it is complete.

    Attributes
    ----------
    percent, minimum
        A period is bad from this percentage of failures on, if it has at least this many calls, or messages.
    period_seconds
        Length of a metric period. Periods begin at whole multiples of it.
    delay_seconds
        How long after its end a period's figures are expected.
    timeout_seconds
        How much longer they may change: the target's timeout, because Lambda counts an error in the minute in which
        the call began.
    slow_seconds
        A period is bad, too, if its calls took longer than this on average and were enough; 0 for no bound.
    """

    percent: float
    minimum: int
    period_seconds: int
    delay_seconds: int
    timeout_seconds: int
    slow_seconds: float = 0

    @property
    def settle_seconds(self) -> int:
        """How long after its end a period may still change."""
        return self.delay_seconds + self.timeout_seconds

    def is_bad(self, counts: Counts) -> bool:
        """True when enough failed, of enough, or enough were too slow."""
        return self._failed(counts) or self.is_slow(counts)

    def is_slow(self, counts: Counts) -> bool:
        """True when the calls took too long on average, and were enough."""
        return 0 < self.slow_seconds < counts.seconds and counts.calls >= self.minimum

    def is_strained(self, counts: Counts) -> bool:
        """True when more failed than a healthy target fails, although not enough to be bad."""
        return any(
            failed >= self.minimum and 100 * failed >= STRAIN_PERCENT * of
            for failed, of in ((counts.failed_calls, counts.calls), (counts.failed_messages, counts.messages))
        )

    def reason(self, counts: Counts, when: str) -> str:
        """Say in one line what the counts show."""
        if self.is_slow(counts) and not self._failed(counts):
            return (
                f"{counts.calls} calls took {counts.seconds:.3g} s on average {when};"
                f" the bound is {self.slow_seconds:g} s"
            )
        if counts.messages:
            return f"{counts.failed_messages} of {counts.messages} messages failed {when}"
        return f"{counts.failed_calls} of {counts.calls} calls failed {when}"

    def first_period(self, began: float) -> int:
        """Return the begin of the first whole period after `began`, epoch seconds."""
        return math.ceil(began / self.period_seconds) * self.period_seconds

    def ended_periods(self, began: float, now: float) -> int:
        """Return how many whole periods have begun and ended since `began`."""
        return max(0, math.floor((now - self.first_period(began)) / self.period_seconds))

    def complete_periods(self, began: float, now: float) -> int:
        """Return how many of them cannot change any more."""
        return self.ended_periods(began, now - self.settle_seconds)

    def wait_seconds(self, began: float, now: float, *, enough_periods: int, looked: float | None = None) -> int:
        """Return in how many seconds a look can show what the last one could not: whole ones, 1 at least.

        Something new shows when another period's figures are expected, and when enough periods are complete.

        Parameters
        ----------
        looked
            When what followed `began` was last looked at, None where it was not. What could have been seen since then
            is no reason to wait.
        """
        last, first = (began if looked is None else looked), self.first_period(began)
        seen = self.ended_periods(began, last - self.delay_seconds)
        moment = first + (seen + 1) * self.period_seconds + self.delay_seconds
        complete = first + enough_periods * self.period_seconds + self.settle_seconds
        if last < complete:
            moment = min(moment, complete)
        return max(1, math.ceil(moment - now))

    def _failed(self, counts: Counts) -> bool:
        return self._too_many(counts.failed_calls, counts.calls) or self._too_many(
            counts.failed_messages, counts.messages
        )

    def _too_many(self, failed: int, of: int) -> bool:
        return of >= self.minimum and 100 * failed >= self.percent * of


@dataclass(frozen=True)
class Judgement:
    """The answer, with one line for people, whether any call succeeded, and whether the target is strained."""

    health: Health
    reason: str
    succeeded: bool = False
    strained: bool = False


def judge(
    periods: Mapping[int, Counts],
    rule: HealthRule,
    *,
    began: float,
    now: float,
    enough_periods: int,
    success_needed: bool = False,
) -> Judgement:
    """Judge what followed `began`.

    A bad period is believed at once. Good is only what `enough_periods` complete periods show; quiet ones are good,
    so that a queue without messages does not hold a recovery up.

    Parameters
    ----------
    periods
        Counts by begin of the period, epoch seconds.
    success_needed
        True where nothing but this trial speaks for the target: then failures without any success are bad, however
        few they are.
    """
    first = rule.first_period(began)
    seen = {begin: counts for begin, counts in periods.items() if first <= begin}
    for begin, counts in sorted(seen.items()):
        if begin + rule.period_seconds > now:
            continue
        if rule.is_bad(counts):
            return Judgement(Health.BAD, rule.reason(counts, "in one period"))
        if success_needed and _only_failures(counts):
            return Judgement(Health.BAD, rule.reason(counts, "in one period, and none succeeded"))
    complete = rule.complete_periods(began, now)
    if complete < enough_periods:
        return Judgement(Health.UNDECIDED, f"{complete} of {enough_periods} metric periods are complete")
    total = sum(seen.values(), Counts())
    if rule.is_bad(total):
        return Judgement(Health.BAD, rule.reason(total, "since the last step"))
    return Judgement(
        Health.GOOD,
        rule.reason(total, "since the last step"),
        succeeded=total.calls > total.failed_calls,
        strained=any(rule.is_strained(counts) for counts in seen.values()),
    )


def _only_failures(counts: Counts) -> bool:
    calls_failed = counts.failed_calls > 0 and counts.failed_calls >= counts.calls
    return calls_failed or (counts.failed_messages > 0 and counts.failed_messages >= counts.messages)
