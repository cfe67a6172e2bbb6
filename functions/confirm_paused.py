"""Wait until the mapping is really disabled, then call the circuit OPEN, for the first time or again."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, next_probe
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.commands import held_until
from breaker.errors import MappingNotSettled
from breaker.mapping import read_mapping
from breaker.ownership import owned_record
from breaker.recovery import pause
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Confirm the pause. Safe to repeat.

    Input
        The state document.
    Output
        `{"paused_at": <ISO 8601>}`
    Raises
        MappingNotSettled until the mapping's state is Disabled; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if mapping.is_on:
        # The request got lost, or somebody was faster. The intent is written down, so it is made true.
        pause(clients.lambda_control(), record, mapping)
    if mapping.state != "Disabled" and not mapping.is_gone:
        raise MappingNotSettled(f"mapping {document.circuit.mapping_id} is {mapping.state}, not yet Disabled")
    paused_at = clock.iso(clock.now())
    again = record.state is CircuitState.HALF_OPEN
    change_circuit(
        table,
        record,
        Change.REOPENED if again else Change.OPENED,
        owner=document.execution,
        reason=record.incident.get("reopen_reason", "") if again else document.trip_reason,
        state=CircuitState.OPEN,
        sets={"next_probe_at": _next_probe_at(document, record)},
        removes=["intent", "incident.recovery", "incident.reopen_reason", "incident.outcome", "incident.order"],
        details={"trip": document.result("trip"), "paused_at": paused_at},
    )
    return {"paused_at": paused_at}


def _next_probe_at(document: StateDocument, record: Record) -> str:
    now = clock.now()
    return next_probe.due_at(document.schedule["wait_seconds"], until=held_until(record, now=now), now=now)
