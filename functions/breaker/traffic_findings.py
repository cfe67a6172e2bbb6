"""What the function's calls of the last day show: would the built-in alarm see an outage? See `breaker.findings`.

In an outage calls grow more, because each failed message comes again once its visibility timeout is over, until its
receives are used up. So a slow queue may still reach the alarm's minimum, later. What is reckoned are means: every call
has one message, and they come evenly.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from breaker.finding import Finding, Level, Plan, Rule
from breaker.pipeline import Pipeline
from breaker.queue_findings import used_up_within

DAY_SECONDS = 86_400
_HOUR_SECONDS = 3_600
# One failed call must not open a circuit.
_LEAST_MINIMUM = 2
# What both AlarmPeriodSeconds and MetricPeriodSeconds can be.
_PERIODS = (60, 120, 180, 240, 300, 600, 900)


@dataclass(frozen=True)
class Sight:
    """How an outage comes to be seen.

    Attributes
    ----------
    deliveries
        How often each message must have come until a period has as many failed calls as the alarm wants.
    seen
        False where a message's receives are used up before.
    later_seconds
        How much later that is than with many calls. Nothing where it is not seen.
    """

    deliveries: int
    seen: bool
    later_seconds: int


def sight(calls_in_period: float, minimum: int, *, visibility_timeout: int, max_receive_count: int | None) -> Sight:
    """Return when an outage of all calls is seen by an alarm that wants so many calls in a period."""
    deliveries = max(1, math.ceil(minimum / calls_in_period))
    seen = max_receive_count is None or deliveries <= max_receive_count
    return Sight(deliveries, seen, (deliveries - 1) * visibility_timeout if seen else 0)


def _few_calls(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    calls, queue, name = pipeline.function.calls_last_day, pipeline.queue, pipeline.function.name
    if calls is None:
        return
    least, period = plan.settings["MinimumInvocations"], plan.alarm.period_seconds
    wants = f"The built-in alarm wants {least} calls in {period} s"
    by_event = "have the function ask for the circuit to be opened: the event Circuit Trip Requested needs no minimum"
    if not calls:
        yield Finding(
            Level.NOTE,
            "no-calls",
            "TargetFunction",
            f"{name!r} was not called in the last day",
            f"{wants}. Whether there will be as many cannot be told.",
            "Check again when messages have flowed for a day.",
        )
        return
    in_period = calls * period / DAY_SECONDS
    receives = queue.max_receive_count
    found = sight(in_period, least, visibility_timeout=queue.visibility_timeout_seconds, max_receive_count=receives)
    if found.deliveries == 1:
        return
    dead = _dead_lettered(pipeline, plan, found, calls)
    again = f"{wants}. There are {in_period:.2g} in the mean, and failed messages come again every"
    again += f" {queue.visibility_timeout_seconds} s"
    if found.seen:
        means = f"{again}: it sees an outage when each has come {found.deliveries} times, about {found.later_seconds} s"
        means += " later than with many calls."
        means += f" Up to {dead} messages have no receive left then, and SQS dead-letters them." if dead else ""
    else:
        means = f"{again}, but only {receives} times: the circuit does not open."
        means += f" An outage of an hour dead-letters up to {dead} messages."
    advice = "; or ".join([*_changes(in_period, least, period, receives), by_event])
    yield Finding(
        Level.WARNING if dead or not found.seen else Level.NOTE,
        "few-calls",
        "TargetFunction",
        f"{name!r} was called {calls} times in the last day, {calls * 60 / DAY_SECONDS:.2g} a minute in the mean",
        means,
        f"{advice[0].upper()}{advice[1:]}.",
    )


def _dead_lettered(pipeline: Pipeline, plan: Plan, found: Sight, calls: int) -> int:
    """Return how many messages have used up their receives when the mapping is disabled, or in an hour."""
    paused = plan.detection_seconds(pipeline.function.timeout_seconds) + found.later_seconds
    return used_up_within(paused if found.seen else _HOUR_SECONDS, pipeline.queue, calls / DAY_SECONDS)


def _changes(in_period: float, least: int, period: int, receives: int | None) -> Iterator[str]:
    """Return which settings would have the alarm see an outage."""
    fewer = max(_LEAST_MINIMUM, math.floor(in_period))
    if fewer < least and (receives is None or math.ceil(fewer / in_period) <= receives):
        risk = " (a message that nobody can process may then open the circuit)" if fewer == _LEAST_MINIMUM else ""
        yield f"set MinimumInvocations to {fewer}{risk}"
    longer = next((each for each in _PERIODS if each >= least * period / in_period), None)
    if longer is not None:
        yield f"set AlarmPeriodSeconds and MetricPeriodSeconds to {longer}, which opens later"


RULES: tuple[Rule, ...] = (_few_calls,)
