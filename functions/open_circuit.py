"""Claim the circuit and ask Lambda to disable its mapping."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.mapping import read_mapping, switch_mapping
from breaker.ownership import claim_circuit
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Claim, write down the intent, disable. Safe to repeat.

    Input
        The state document.
    Output
        `{"ours": true, "incident": <id>}`, or `{"ours": false, "why": ...}` where another execution owns the circuit
        or somebody else has paused the mapping; then nothing was changed.
    Raises
        MappingNotSettled while another change of the mapping is in progress.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    claim = claim_circuit(
        table,
        clients.stepfunctions(),
        document.circuit.name,
        execution=document.execution,
        cause=dict(document.result("trip")),
    )
    if not claim.ours:
        why = f"execution {claim.record.owner} owns the circuit"
        logger.info(f"not opened: {why}", extra={"circuit": document.circuit.name})
        return {"ours": False, "why": why}
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    paused_by_us = claim.record.intent == "DISABLE" or claim.record.state is not CircuitState.CLOSED
    if mapping.is_off and not paused_by_us:
        return _leave_alone(table, claim.record, document)
    table.write(
        document.circuit.name,
        owner=document.execution,
        sets={"intent": "DISABLE"},
    )
    if not mapping.is_off:
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=False)
    return {"ours": True, "incident": claim.record.incident["id"]}


def _leave_alone(table: CircuitTable, record: Record, document: StateDocument) -> dict[str, Any]:
    why = "the mapping was disabled already, and not by the breaker"
    change_circuit(
        table,
        record,
        Change.STAYED_CLOSED,
        owner=document.execution,
        reason=why,
        removes=["owner", "incident"],
    )
    return {"ours": False, "why": why}
