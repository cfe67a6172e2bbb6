"""Wait until the mapping is really enabled, then call the circuit CLOSED and sum the incident up."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.announcements import Announcement, Change, announce
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import CircuitTakenOver, MappingNotSettled
from breaker.mapping import read_mapping, switch_mapping
from breaker.ownership import owned_record
from breaker.state_document import StateDocument
from breaker.summary import summarise

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Confirm that messages flow, release the claim. Safe to repeat.

    Input
        The state document with `closing`.
    Output
        The incident's summary, which is the execution's output.
    Raises
        MappingNotSettled until the mapping's state is Enabled; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    outcome = document.result("closing")["outcome"]
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    closed = table.load(document.circuit.name)
    if closed is not None and _closed_by(closed, document):
        return _announce_again(closed)
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if mapping.is_off:
        # The request got lost, or somebody was faster. The intent is written down, so it is made true.
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=True)
    if mapping.state != "Enabled":
        raise MappingNotSettled(f"mapping {document.circuit.mapping_id} is {mapping.state}, not yet Enabled")
    summary = summarise(record.incident, circuit=document.circuit.name, outcome=outcome, now=clock.now())
    try:
        change_circuit(
            table,
            record,
            Change.CLOSED,
            owner=document.execution,
            reason=f"messages flow again: {outcome}",
            state=CircuitState.CLOSED,
            sets={"last_incident": {"execution": document.execution, "summary": summary}},
            removes=["owner", "incident", "intent", "failure"],
            details={"summary": summary},
        )
    except CircuitTakenOver:
        # The SDK repeats a write whose answer got lost, and finds the claim released: by itself.
        closed = table.load(document.circuit.name)
        if closed is None or not _closed_by(closed, document):
            raise
        return _announce_again(closed)
    return summary


def _closed_by(record: Record, document: StateDocument) -> bool:
    return not record.owner and record.last_incident.get("execution") == document.execution


def _announce_again(record: Record) -> dict[str, Any]:
    """Finish what an earlier try of this step had begun: it closed the circuit, but its answer got lost."""
    summary: dict[str, Any] = record.last_incident["summary"]
    announce(
        Announcement(
            circuit=record.circuit.name,
            incident=summary["incident"],
            sequence=record.sequence,
            change=Change.CLOSED,
            before=CircuitState.HALF_OPEN.value,
            after=CircuitState.CLOSED.value,
            reason=record.reason,
            details={"summary": summary},
        )
    )
    return summary
