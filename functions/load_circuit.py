"""First step: read what the execution was started with, and the circuit it names."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.alarm import alarm_state, any_rings
from breaker.announcements import count
from breaker.circuit_table import CircuitTable, Record
from breaker.commands import Command
from breaker.errors import InvalidTrip, StaleTrip, TripRefused, UnknownCircuit
from breaker.state_document import FORMAT
from breaker.trip import Trip, TripKind, read_trip

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Refuse what must not open a circuit; otherwise return the state document.

    Input
        `{"execution": <ARN>, "state_machine": <ARN>, "input": <what the execution was started with>}`
    Output
        The state document: format, execution, state_machine, mode, circuit, trip and schedule.
    Raises
        InvalidTrip, UnknownCircuit, StaleTrip. Nothing was changed.
    """
    try:
        trip = read_trip(event["input"], now=clock.now())
        record = CircuitTable(clients.dynamodb(), environment.circuit_table()).load(trip.circuit)
        if record is None:
            raise UnknownCircuit(f"circuit: {trip.circuit!r} is not registered")
        _refuse_stale(trip, record)
    except TripRefused as refusal:
        logger.warning(f"refused: {refusal}", extra={"error": type(refusal).__name__})
        count("TripRefused", "*")
        raise
    settings = record.circuit.settings
    return {
        "format": FORMAT,
        "execution": event["execution"],
        "state_machine": event["state_machine"],
        # A circuit switched off in the middle of an incident must still come out of it.
        "mode": "ACTIVE" if trip.kind is TripKind.RESUME else settings["Mode"],
        "circuit": record.circuit.as_dict(),
        "trip": trip.as_dict(),
        "schedule": {
            "failures": _failures(record) if trip.kind is TripKind.RESUME or _probes_on(trip, record) else 0,
            "successes": 0,
            "cycles": 0,
            "began": clock.iso(clock.now()),
            "wait_seconds": 0 if trip.command == Command.PROBE else settings["FirstProbeSeconds"],
        },
    }


def _failures(record: Record) -> int:
    """Return what the incident's waits have grown by: probes and recoveries that failed."""
    return int(record.incident.get("failed_probes", 0)) + int(record.incident.get("reopened", 0))


def _probes_on(trip: Trip, record: Record) -> bool:
    """Return whether a probe by hand is one more of those before, not the first after the breaker gave up."""
    return trip.command == Command.PROBE and record.incident.get("outcome") != "GAVE_UP"


def _refuse_stale(trip: Trip, record: Record) -> None:
    if trip.kind is TripKind.RESUME and record.incident.get("id") != trip.incident:
        raise StaleTrip(f"resume: {trip.incident!r} is over; the circuit's incident is {record.incident.get('id')!r}")
    if trip.kind is not TripKind.ALARM:
        return
    known = record.circuit.settings["AlarmNames"]
    if trip.alarm_name not in known:
        raise InvalidTrip(f"cause.detail.alarmName: {trip.alarm_name!r} must be one of the circuit's alarms, {known}")
    state = alarm_state(clients.cloudwatch(), trip.alarm_name)
    others = [name for name in known if name != trip.alarm_name]
    # Another signal may tell of the same outage, and its own event have been lost, or found the circuit taken.
    if state != "ALARM" and not any_rings(clients.cloudwatch(), others):
        rule = "it must be in ALARM" + (", or another of the circuit's alarms" if others else "")
        raise StaleTrip(f"cause.detail.alarmName: {trip.alarm_name!r} is {state or 'gone'} now; {rule}")
