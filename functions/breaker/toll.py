"""What an incident has cost, as CloudWatch shows it: asked for once, for its report.

An incident must not stay open for a figure. Whatever CloudWatch does not answer is not known, and said to be so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from breaker import clock
from breaker.errors import MetricsUnanswered
from breaker.health import Counts
from breaker.metrics import Metrics, health_rule
from breaker.onset import LOOK_BACK_PERIODS, first_bad_period, longest_silence
from breaker.retention import LONGEST_RETENTION_SECONDS
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

logger = Logger()

# What opens a circuit because of failures that it has seen for at least a whole period.
_SEEN_BEFORE = {"ALARM", "ERRORS_GO_ON"}


@dataclass(frozen=True)
class Toll:
    """What an incident has cost, from the first bad minute to the moment of asking. None where it is not known.

    Where no minute before the opening was bad, it is counted from the minute of the opening; but not where an alarm
    has opened the circuit, because then something had failed before, and nobody knows since when.

    Attributes
    ----------
    errors_began_at
        Begin of the first bad metric period, ISO 8601; None also where no period before the opening was bad.
    failed_calls
        Calls of the target that ended in an error, probes among them.
    failed_messages
        Messages that the mapping handed over in vain; None unless it publishes EventCount metrics.
    most_waiting
        Most visible messages in the queue at any time.
    oldest_message_seconds
        Greatest age of the queue's oldest message.
    dead_lettered
        By how many messages the dead-letter queue has grown.
    """

    errors_began_at: str | None = None
    failed_calls: int | None = None
    failed_messages: int | None = None
    most_waiting: int | None = None
    oldest_message_seconds: int | None = None
    dead_lettered: int | None = None


UNKNOWN = Toll()


def read_toll(incident: Mapping[str, Any], circuit: Circuit, cloudwatch: "CloudWatchClient", now: datetime) -> Toll:
    """Return what the incident has cost. Never raises for what CloudWatch does not answer."""
    try:
        return _read(incident, circuit, Metrics(cloudwatch, circuit), now)
    except (MetricsUnanswered, ClientError, BotoCoreError) as error:
        logger.warning(
            "the report goes without CloudWatch's figures",
            extra={"circuit": circuit.name, "incident": incident["id"], "error": type(error).__name__},
        )
        return UNKNOWN


def _read(incident: Mapping[str, Any], circuit: Circuit, metrics: Metrics, now: datetime) -> Toll:
    rule = health_rule(circuit)
    opened, asked = clock.parse(incident["opened_at"]).timestamp(), now.timestamp()
    look_back = LOOK_BACK_PERIODS * rule.period_seconds
    if asked - opened + look_back >= LONGEST_RETENTION_SECONDS:
        # CloudWatch keeps minutes for 15 days. A sum over what is left of them would be too small.
        return UNKNOWN
    periods = metrics.periods(began=opened - look_back, now=asked)
    began = first_bad_period(periods, rule, opened=opened, longest_silence=longest_silence(circuit, rule))
    oldest, waiting = metrics.worst_of_queue(began=began, now=asked)
    explained = began in periods and rule.is_bad(periods[began])
    if not explained and incident["cause"]["kind"] in _SEEN_BEFORE:
        # There were failures before the opening, and nobody knows since when: a count from there on would be too small.
        return Toll(
            most_waiting=waiting,
            oldest_message_seconds=oldest,
            dead_lettered=0 if circuit.max_receive_count is None else None,
        )
    counts = sum((counted for begin, counted in periods.items() if begin >= began), Counts())
    return Toll(
        errors_began_at=clock.iso(datetime.fromtimestamp(began, UTC)) if explained else None,
        failed_calls=counts.failed_calls,
        failed_messages=counts.failed_messages if counts.messages else None,
        most_waiting=waiting,
        oldest_message_seconds=oldest,
        dead_lettered=_dead_lettered(circuit, metrics, began, asked, queue_is_seen=waiting is not None),
    )


def _dead_lettered(circuit: Circuit, metrics: Metrics, began: float, now: float, *, queue_is_seen: bool) -> int | None:
    if circuit.max_receive_count is None:
        return 0
    # A dead-letter queue that nothing arrives in publishes nothing; nor does one whose metrics cannot be seen at all.
    if not circuit.dead_letter_queue_arn or not queue_is_seen:
        return None
    grown = round(metrics.dead_letters_before(now + 60) - metrics.dead_letters_before(began))
    # Fewer than before: somebody has taken some out, and nobody knows how many.
    return grown if grown >= 0 else None
