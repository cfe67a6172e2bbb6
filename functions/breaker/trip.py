"""What may start an execution, and what it means.

Four documents do: `{"circuit": ..., "cause": <event>}` from a rule, `{"circuit": ..., "command": "OPEN",
"reason": ...}` or another command by hand, `{"circuit": ..., "resume": <incident id>}` from a predecessor or the
reconciler, and `{"circuit": ..., "errors_go_on": <one line>}` from the reconciler, where no change of the alarm can
trip the circuit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from breaker import clock
from breaker.commands import LONGEST_HOLD, Command
from breaker.errors import InvalidTrip, StaleTrip

CUSTOM_EVENT_MAX_AGE = timedelta(minutes=5)
ALARM_DETAIL_TYPE = "CloudWatch Alarm State Change"
CUSTOM_DETAIL_TYPE = "Circuit Trip Requested"
MAX_REASON_CHARACTERS = 500


class TripKind(StrEnum):
    """Where a trip came from."""

    ALARM = "ALARM"
    EVENT = "EVENT"
    COMMAND = "COMMAND"
    RESUME = "RESUME"
    ERRORS_GO_ON = "ERRORS_GO_ON"


@dataclass(frozen=True)
class Trip:
    """A well-formed wish to open a circuit.

    Attributes
    ----------
    reason
        One line for people, at most 500 characters.
    at
        When the cause happened, ISO 8601.
    alarm_name
        The alarm that must still be in ALARM, for kind ALARM only.
    incident
        The incident to take on, for kind RESUME only.
    command
        What a person asks for, for kind COMMAND only.
    until
        Until when the circuit shall stay OPEN without a probe, ISO 8601, for the command OPEN only; "" for no end.
    """

    circuit: str
    kind: TripKind
    reason: str
    at: str
    alarm_name: str = ""
    incident: str = ""
    command: str = ""
    until: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return what the state document and the incident's record keep of it."""
        more = {"command": self.command, "until": self.until}
        return {"kind": self.kind.value, "reason": self.reason, "at": self.at} | {k: v for k, v in more.items() if v}


def read_trip(document: object, *, now: datetime) -> Trip:
    """Read the document an execution was started with.

    Raises
    ------
    InvalidTrip
        A field is missing or wrong, the command is unknown, or the cause is no change of an alarm to ALARM.
    StaleTrip
        A custom event is more than 5 minutes old.
    """
    if not isinstance(document, Mapping):
        raise InvalidTrip(f"input: {document!r:.100} must be a JSON object with the field circuit")
    circuit = document.get("circuit")
    if not isinstance(circuit, str) or not circuit:
        raise InvalidTrip(f"circuit: {circuit!r:.100} must be the name of a registered circuit")
    given = [field for field in ("cause", "command", "resume", "errors_go_on") if field in document]
    if len(given) != 1:
        raise InvalidTrip(f"input: {given} given; exactly one of cause, command, resume and errors_go_on must be")
    allowed = {"circuit", given[0]} | ({"reason"} if given == ["command"] else set())
    allowed |= {"until", "for_minutes"} if document.get("command") == "OPEN" else set()
    unknown = sorted(set(document) - allowed)
    if unknown:
        raise InvalidTrip(f"{unknown[0]}: not a field that goes with {given[0]}; allowed are {sorted(allowed)}")
    if given == ["command"]:
        return _command(circuit, document, now)
    if given == ["resume"]:
        return _resume(circuit, document["resume"], now)
    if given == ["errors_go_on"]:
        evidence = _line("errors_go_on", document["errors_go_on"])
        return Trip(circuit, TripKind.ERRORS_GO_ON, f"errors go on: {evidence}", clock.iso(now))
    return _cause(circuit, document["cause"], now)


def _command(circuit: str, document: Mapping[str, Any], now: datetime) -> Trip:
    name = document["command"]
    if name not in list(Command):
        raise InvalidTrip(f"command: {name!r:.100} is unknown; known are {', '.join(Command)}")
    # To look changes nothing, so it needs no reason.
    reason = (
        "looked at by hand"
        if name == Command.STATUS and "reason" not in document
        else _line("reason", document.get("reason"))
    )
    return Trip(circuit, TripKind.COMMAND, reason, clock.iso(now), command=name, until=_end(document, now))


def _end(document: Mapping[str, Any], now: datetime) -> str:
    """Return when a circuit that is opened by hand may be probed, "" for as usual."""
    if "until" in document and "for_minutes" in document:
        raise InvalidTrip("until: given together with for_minutes; at most one of them may be")
    if "for_minutes" in document:
        minutes = document["for_minutes"]
        most = int(LONGEST_HOLD.total_seconds() // 60)
        if type(minutes) is not int or not 1 <= minutes <= most:
            raise InvalidTrip(f"for_minutes: {minutes!r:.100} must be a whole number of minutes, 1 to {most}")
        return clock.iso(now + timedelta(minutes=minutes))
    if "until" not in document:
        return ""
    until = document["until"]
    try:
        end = clock.parse(until)
    except (TypeError, ValueError, OverflowError):
        raise InvalidTrip(f"until: {until!r:.100} must be an ISO 8601 time with an offset") from None
    if not now < end <= now + LONGEST_HOLD:
        raise InvalidTrip(
            f"until: {until!r:.100} must be later than now, {clock.iso(now)}, by at most {LONGEST_HOLD.days} days"
        )
    return clock.iso(end)


def _line(field: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_REASON_CHARACTERS:
        raise InvalidTrip(f"{field}: {value!r:.100} must be a text of 1 to {MAX_REASON_CHARACTERS} characters")
    return value.strip()


def _resume(circuit: str, incident: object, now: datetime) -> Trip:
    if not isinstance(incident, str) or not incident:
        raise InvalidTrip(f"resume: {incident!r:.100} must be the id of the circuit's incident")
    return Trip(circuit, TripKind.RESUME, f"resumes incident {incident}", clock.iso(now), incident=incident)


def _cause(circuit: str, cause: object, now: datetime) -> Trip:
    if not isinstance(cause, Mapping):
        raise InvalidTrip(f"cause: {cause!r:.100} must be an EventBridge event")
    detail_type, detail = cause.get("detail-type"), cause.get("detail")
    if not isinstance(detail, Mapping):
        raise InvalidTrip(f"cause.detail: {detail!r:.100} must be an object")
    if cause.get("source") == "aws.cloudwatch" and detail_type == ALARM_DETAIL_TYPE:
        return _alarm_change(circuit, cause, detail, now)
    if detail_type == CUSTOM_DETAIL_TYPE:
        return _custom_event(circuit, cause, detail, now)
    raise InvalidTrip(
        f"cause.detail-type: {detail_type!r:.100} must be {ALARM_DETAIL_TYPE!r} from aws.cloudwatch,"
        f" or {CUSTOM_DETAIL_TYPE!r}"
    )


def _alarm_change(circuit: str, cause: Mapping[str, Any], detail: Mapping[str, Any], now: datetime) -> Trip:
    alarm_name = detail.get("alarmName")
    if not isinstance(alarm_name, str) or not alarm_name:
        raise InvalidTrip(f"cause.detail.alarmName: {alarm_name!r:.100} must be the name of an alarm")
    state = detail.get("state")
    value = state.get("value") if isinstance(state, Mapping) else None
    if value != "ALARM":
        raise InvalidTrip(f"cause.detail.state.value: {value!r:.100} must be 'ALARM'")
    at = _event_time(cause)
    return Trip(circuit, TripKind.ALARM, f"alarm {alarm_name} is in ALARM", clock.iso(at), alarm_name=alarm_name)


def _custom_event(circuit: str, cause: Mapping[str, Any], detail: Mapping[str, Any], now: datetime) -> Trip:
    if detail.get("circuit") != circuit:
        raise InvalidTrip(f"cause.detail.circuit: {detail.get('circuit')!r:.100} must be {circuit!r}")
    at = _event_time(cause)
    age = now - at
    if age > CUSTOM_EVENT_MAX_AGE:
        raise StaleTrip(
            f"cause.time: {cause['time']!r} is {age.total_seconds():.0f} s old; a custom event may be at most"
            f" {CUSTOM_EVENT_MAX_AGE.total_seconds():.0f} s old"
        )
    # The event's own words are not repeated: a target may have put a message's content or an error text into them.
    return Trip(circuit, TripKind.EVENT, f"event from {str(cause.get('source'))[:100]}", clock.iso(at))


def _event_time(cause: Mapping[str, Any]) -> datetime:
    try:
        return clock.parse(cause["time"])
    except (KeyError, TypeError, ValueError):
        raise InvalidTrip(f"cause.time: {cause.get('time')!r:.100} must be an ISO 8601 time with an offset") from None
