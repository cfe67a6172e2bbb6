"""What a person may ask of a circuit, and what that means where the circuit stands.

A command is a note in the incident's record, written as its execution takes the incident over. So whoever owns the
incident, a successor too, finds it there and carries it out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from breaker import clock

if TYPE_CHECKING:
    from breaker.circuit_table import Record

# The longest that SQS keeps a message.
LONGEST_HOLD = timedelta(days=14)


class Command(StrEnum):
    """OPEN pauses, CLOSE lets messages flow, PROBE tries now, STATUS looks; the others set the circuit's mode."""

    OPEN = "OPEN"
    CLOSE = "CLOSE"
    PROBE = "PROBE"
    STATUS = "STATUS"
    ACTIVE = "ACTIVE"
    WATCH = "WATCH"
    OFF = "OFF"


MODES = {Command.ACTIVE, Command.WATCH, Command.OFF}


class Way(StrEnum):
    """How a command goes on: ended, as a trip of a CLOSED circuit, or in the incident, which is taken over for it."""

    ANSWER = "ANSWER"
    TRIP = "TRIP"
    TAKE_OVER = "TAKE_OVER"


@dataclass(frozen=True)
class Decision:
    """What becomes of a command.

    Attributes
    ----------
    answer
        One line for whoever gave it.
    """

    way: Way
    answer: str


def decide(command: Command, record: "Record", *, until: str = "", owner_runs: bool) -> Decision:
    """Decide on OPEN, CLOSE and PROBE.

    Parameters
    ----------
    until
        When a circuit that is opened by hand may be probed, "" for as usual.
    owner_runs
        True while the execution that owns the incident runs.
    """
    if command is Command.OPEN:
        return _open(record, until, owner_runs=owner_runs)
    if command is Command.CLOSE:
        return _close(record, owner_runs=owner_runs)
    return _probe(record, owner_runs=owner_runs)


def _open(record: "Record", until: str, *, owner_runs: bool) -> Decision:
    if not has_incident(record):
        return Decision(Way.TRIP, "the circuit is opened")
    if record.state == "HALF_OPEN":
        return Decision(Way.TAKE_OVER, "messages had been let in; they are paused again")
    if until and until != record.incident.get("hold_until"):
        return Decision(Way.TAKE_OVER, f"the circuit stays OPEN, without a probe until {until}")
    if owner_runs and record.order.get("command") != Command.CLOSE:
        return Decision(Way.ANSWER, "nothing to do: the circuit is OPEN, or opens just now")
    return Decision(Way.TAKE_OVER, "the circuit stays OPEN; the incident goes on")


def _close(record: "Record", *, owner_runs: bool) -> Decision:
    if not has_incident(record):
        return Decision(Way.ANSWER, "nothing to do: the circuit is CLOSED")
    if owner_runs and record.order.get("command") == Command.CLOSE:
        return Decision(Way.ANSWER, "nothing to do: the circuit is being closed")
    return Decision(Way.TAKE_OVER, "messages flow now, and the incident ends")


def _probe(record: "Record", *, owner_runs: bool) -> Decision:
    if record.state == "CLOSED":
        what = "opens just now, and is probed then" if has_incident(record) else "is CLOSED"
        return Decision(Way.ANSWER, f"nothing to do: the circuit {what}")
    if record.state == "HALF_OPEN":
        return Decision(Way.ANSWER, "nothing to do: messages are let in already, and what follows is judged")
    if owner_runs and record.order.get("command") == Command.CLOSE:
        return Decision(Way.ANSWER, "nothing to do: the circuit is being closed")
    return Decision(Way.TAKE_OVER, "the consumer is tried now")


def held_until(record: "Record", *, now: datetime) -> str:
    """Return until when nothing is to be tried, by hand, as ISO 8601; "" where nothing keeps the breaker from it."""
    until = str(record.incident.get("hold_until", ""))
    return until if until and clock.parse(until) > now else ""


def has_incident(record: "Record") -> bool:
    """Return whether an incident runs, or is just beginning."""
    return bool(record.owner or record.intent or record.state != "CLOSED")
