"""Says what changed: one log line, one metric and one event for each change, and a notification for most.

The event is described by `ANNOUNCEMENT_VERSION`. Notifications go to an SNS topic, if the breaker has one. A failure to
announce never stops the breaker, and shows: as an error in the log and as the metric AnnouncementFailed.
"""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, single_metric
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from breaker import clients, clock, environment

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

ANNOUNCEMENT_VERSION = "1"
EVENT_SOURCE = "sqs-circuit-breaker"
EVENT_DETAIL_TYPE = "Circuit State Change"
METRIC_NAMESPACE = "SqsCircuitBreaker"

logger = Logger()


class Change(StrEnum):
    """What can be announced."""

    OPENED = "OPENED"
    PROBED = "PROBED"
    HALF_OPEN = "HALF_OPEN"
    RAISED = "RAISED"
    LOWERED = "LOWERED"
    REOPENED = "REOPENED"
    OVERRIDDEN = "OVERRIDDEN"
    CLOSED = "CLOSED"
    GAVE_UP = "GAVE_UP"
    HANDED_OVER = "HANDED_OVER"
    RESUMED = "RESUMED"
    NEAR_RETENTION = "NEAR_RETENTION"
    STAYED_CLOSED = "STAYED_CLOSED"
    WOULD_OPEN = "WOULD_OPEN"
    COMMANDED = "COMMANDED"
    BREAKER_FAILED = "BREAKER_FAILED"


_METRICS = {
    Change.OPENED: "CircuitOpened",
    Change.PROBED: "Probed",
    Change.HALF_OPEN: "CircuitHalfOpen",
    Change.RAISED: "ConcurrencyRaised",
    Change.LOWERED: "ConcurrencyLowered",
    Change.REOPENED: "CircuitReopened",
    Change.OVERRIDDEN: "Overridden",
    Change.CLOSED: "CircuitClosed",
    Change.GAVE_UP: "GaveUp",
    Change.HANDED_OVER: "HandedOver",
    Change.RESUMED: "Resumed",
    Change.NEAR_RETENTION: "NearRetention",
    Change.STAYED_CLOSED: "StayedClosed",
    Change.WOULD_OPEN: "WouldOpen",
    Change.COMMANDED: "Commanded",
    Change.BREAKER_FAILED: "BreakerFailed",
}
# What a dashboard draws: the higher, the less gets through.
_STATE_VALUES = {"CLOSED": 0, "HALF_OPEN": 1, "OPEN": 2}
# A probe every two minutes and each step of a recovery would drown what somebody must read.
_NOT_NOTIFIED = {Change.PROBED, Change.HALF_OPEN, Change.RAISED, Change.LOWERED, Change.HANDED_OVER}


@dataclass(frozen=True)
class Announcement:
    """One change of a circuit.

    Attributes
    ----------
    sequence
        Position within the circuit's history. A step that Step Functions retries may announce its change again, with
        the next number. 0 where nothing was written to the record.
    before, after
        The circuit's states.
    reason
        One line for people. Never content of a message, nor the target's error text.
    """

    circuit: str
    incident: str
    sequence: int
    change: Change
    before: str
    after: str
    reason: str
    details: dict[str, Any] = field(default_factory=dict)

    def detail(self) -> dict[str, Any]:
        """Return the event's detail."""
        return {
            "version": ANNOUNCEMENT_VERSION,
            "circuit": self.circuit,
            "incident": self.incident,
            "sequence": self.sequence,
            "change": self.change.value,
            "from": self.before,
            "to": self.after,
            "reason": self.reason,
            "at": clock.iso(clock.now()),
            **self.details,
        }


def announce(announcement: Announcement) -> bool:
    """Write the log line, the metric and the event, and notify. Never raises for what could not be sent.

    Returns
    -------
    bool
        True when everything that was to be sent was accepted.
    """
    detail = announcement.detail()
    logger.info(f"{announcement.change}: {announcement.reason}", extra=detail)
    count(_METRICS[announcement.change], announcement.circuit)
    if announcement.before != announcement.after:
        # The reconciler alone would miss what is short.
        tell_state(announcement.circuit, announcement.after)
    failures = [_put_event(detail)]
    if environment.notification_topic() and announcement.change not in _NOT_NOTIFIED:
        failures.append(_notify(detail))
    for failure in filter(None, failures):
        logger.error("the announcement could not be sent", extra={"error_code": failure, "change": detail["change"]})
        count("AnnouncementFailed", announcement.circuit)
    return not any(failures)


def count(metric: str, circuit: str, value: float = 1) -> None:
    """Write one metric of this circuit, in CloudWatch's embedded metric format."""
    with single_metric(
        name=metric,
        unit=MetricUnit.Count,
        value=value,
        namespace=METRIC_NAMESPACE,
        default_dimensions={"circuit": circuit},
    ):
        pass


def tell_state(circuit: str, state: str) -> None:
    """Write the metric CircuitState: 0 CLOSED, 1 HALF_OPEN, 2 OPEN. Nothing where the state is unknown."""
    if state in _STATE_VALUES:
        count("CircuitState", circuit, _STATE_VALUES[state])


def _put_event(detail: dict[str, Any]) -> str | None:
    """Send the event. Returns the name of what went wrong, if something did."""
    entry: PutEventsRequestEntryTypeDef = {
        "Source": EVENT_SOURCE,
        "DetailType": EVENT_DETAIL_TYPE,
        "Detail": json.dumps(detail),
    }
    try:
        answer = clients.events().put_events(Entries=[entry])
    except (ClientError, BotoCoreError) as error:
        return _name(error)
    return answer["Entries"][0].get("ErrorCode", "Unknown") if answer.get("FailedEntryCount") else None


def _notify(detail: dict[str, Any]) -> str | None:
    """Publish the notification. Returns the name of what went wrong, if any."""
    # Most breakers have no topic, and then most of a notice's text need not be loaded.
    from breaker.notices import write_notice

    notice = write_notice(detail)
    try:
        clients.sns().publish(TopicArn=environment.notification_topic(), Subject=notice.subject, Message=notice.message)
    except (ClientError, BotoCoreError) as error:
        return _name(error)
    return None


def _name(error: ClientError | BotoCoreError) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
