"""When did it begin? The first bad metric period of the run that led to the opening of a circuit.

Periods without a failure do not end the run as long as messages that fail may still come back; one that shows a success
and is not bad does.
"""

from collections.abc import Mapping

from breaker.health import Counts, HealthRule
from breaker.state_document import Circuit

# How far back the begin of the errors is looked for: 3 hours of minutes.
LOOK_BACK_PERIODS = 180


def first_bad_period(periods: Mapping[int, Counts], rule: HealthRule, *, opened: float, longest_silence: float) -> int:
    """Return the begin of the first bad period, epoch seconds.

    Where none was bad, by hand or by a signal that the metrics do not show, that is the period of the opening itself:
    nothing that came before can be called the incident's doing.

    Parameters
    ----------
    periods
        Counts by begin of the period, epoch seconds. One without calls may be missing.
    opened
        When the circuit was opened. What was counted from that period on is the breaker's own doing, too.
    longest_silence
        Seconds without a failure that do not end the run.
    """
    first = int(opened) // rule.period_seconds * rule.period_seconds
    failed_last = first
    for begin in sorted((begin for begin in periods if begin < first), reverse=True):
        counts = periods[begin]
        if failed_last - (begin + rule.period_seconds) > longest_silence:
            break
        if rule.is_bad(counts):
            first = begin
        elif _succeeded(counts):
            break
        if counts.failed_calls or counts.failed_messages:
            failed_last = begin
    return first


def longest_silence(circuit: Circuit, rule: HealthRule) -> int:
    """Return how many seconds without a failure do not end the run.

    Messages that fail come back after that time, and the metrics and the alarm take theirs to tell.
    """
    return circuit.visibility_timeout_seconds + 2 * rule.period_seconds + rule.settle_seconds


def _succeeded(counts: Counts) -> bool:
    return counts.calls > counts.failed_calls or counts.messages > counts.failed_messages
