"""A step failed for good. Write down where that leaves the pipeline, and say so."""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from breaker import clients, clock, environment
from breaker.announcements import Announcement, Change, announce
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import BadStateDocument, CircuitTakenOver, MappingNotSettled
from breaker.mapping import read_mapping
from breaker.ownership import incident_id

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

_MAX_MESSAGE_CHARACTERS = 500


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Record and announce the failure. The claim is kept: this execution ends now, so the next trip may take it over.

    Input
        `{"execution": <ARN>, "input": <what the execution was started with>, "error": {"Error", "Cause"}}`
    Output
        `{"error": <name>, "cause": <one line>}`, with which the execution fails.
    Raises
        BadStateDocument
    """
    if not isinstance(event.get("error"), dict) or not isinstance(event.get("execution"), str):
        raise BadStateDocument(f"error: {event.get('error')!r:.100} must be the error that a Catch writes")
    error = str(event["error"].get("Error", "Unknown"))
    start = event.get("input")
    name = str(start.get("circuit", "")) if isinstance(start, dict) else ""
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = table.load(name) if name else None
    owns = record is not None and record.owner == event["execution"]
    where = "the circuit was not changed"
    if record is not None and (owns or record.state is not CircuitState.CLOSED):
        where = f"the mapping is {_mapping_state(record)}"
    cause = f"{error}: {_message(event['error'].get('Cause'))}; {where}"
    logger.error(f"the breaker failed: {cause}", extra={"circuit": name, "execution": event["execution"]})
    if record is not None and owns:
        try:
            change_circuit(
                table,
                record,
                Change.BREAKER_FAILED,
                owner=event["execution"],
                reason=cause,
                sets={"failure": {"error": error, "cause": cause, "at": clock.iso(clock.now())}},
                details={"error": error},
            )
        except CircuitTakenOver:
            logger.info("another execution has taken the circuit over already")
    else:
        announce(
            Announcement(
                circuit=name,
                incident=incident_id(event["execution"], name),
                sequence=0,
                change=Change.BREAKER_FAILED,
                before=record.state.value if record else "",
                after=record.state.value if record else "",
                reason=cause,
                details={"error": error},
            )
        )
    return {"error": error, "cause": cause}


def _mapping_state(record: Record) -> str:
    try:
        return read_mapping(clients.lambda_control(), record.circuit.mapping_id).state
    except (ClientError, BotoCoreError, MappingNotSettled) as error:
        return f"unknown ({type(error).__name__})"


def _message(cause: object) -> str:
    """Return the one line of a cause that says what went wrong; the rest is a stack trace."""
    try:
        message = json.loads(str(cause))["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = cause
    return str(message)[:_MAX_MESSAGE_CHARACTERS]
