"""Claim the circuit and ask Lambda to disable its mapping, or go on where the incident stands."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, next_probe
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.commands import Command, held_until
from breaker.mapping import read_mapping
from breaker.ownership import claim_circuit
from breaker.recovery import own_settings, pause
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Claim, write down the intent and the mapping's own settings, disable. Safe to repeat.

    Input
        The state document.
    Output
        `{"ours": true, "incident": <id>, "stands": "PAUSING" | "OPEN" | "HALF_OPEN" | "CLOSING"}`: an incident that
        another execution had begun goes on where it stood, or as the command in its record asks.
        `{"ours": false, "why": ...}` where another execution owns the circuit, somebody else has paused the mapping, or
        it is gone; then nothing was changed.
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
    record = claim.record
    incident = record.incident["id"]
    ordered = record.order.get("command")
    if ordered == Command.CLOSE:
        return {"ours": True, "incident": incident, "stands": "CLOSING"}
    if record.state is CircuitState.HALF_OPEN and record.intent != "DISABLE":
        if ordered == Command.OPEN:
            return _pause_again(table, record, document)
        return {"ours": True, "incident": incident, "stands": "HALF_OPEN"}
    if record.state is CircuitState.OPEN and not record.intent:
        # Whoever gave up before has a successor now. A mapping that somebody enabled meanwhile is the probe's to see.
        now = clock.now()
        due = next_probe.due_at(document.schedule["wait_seconds"], until=held_until(record, now=now), now=now)
        table.write(
            document.circuit.name,
            owner=document.execution,
            sets={"next_probe_at": due},
            removes=["incident.outcome", "incident.order"],
        )
        return {"ours": True, "incident": incident, "stands": "OPEN"}
    return _pause(table, record, document)


def _pause(table: CircuitTable, record: Record, document: StateDocument) -> dict[str, Any]:
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if not record.intent and (mapping.is_off or mapping.is_gone):
        return _leave_alone(table, record, document, "gone" if mapping.is_gone else "disabled already")
    sets: dict[str, Any] = {"intent": "DISABLE"}
    if "own" not in record.incident:
        # Only the first to open sees the owner's own settings; later the mapping may have the breaker's.
        sets["incident.own"] = own_settings(mapping)
    table.write(document.circuit.name, owner=document.execution, sets=sets)
    if not mapping.is_off and not mapping.is_gone:
        pause(clients.lambda_control(), record, mapping)
    return {"ours": True, "incident": record.incident["id"], "stands": "PAUSING"}


def _pause_again(table: CircuitTable, record: Record, document: StateDocument) -> dict[str, Any]:
    table.write(
        document.circuit.name,
        owner=document.execution,
        sets={"intent": "DISABLE", "incident.reopen_reason": f"by hand: {record.order['reason']}"},
        adds={"incident.reopened": 1},
    )
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if not mapping.is_off and not mapping.is_gone:
        pause(clients.lambda_control(), record, mapping)
    return {"ours": True, "incident": record.incident["id"], "stands": "PAUSING"}


def _leave_alone(table: CircuitTable, record: Record, document: StateDocument, how: str) -> dict[str, Any]:
    why = f"the mapping was {how}, and not by the breaker"
    change_circuit(
        table,
        record,
        Change.STAYED_CLOSED,
        owner=document.execution,
        reason=why,
        removes=["owner", "incident"],
    )
    return {"ours": False, "why": why}
