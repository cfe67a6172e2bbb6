"""Let messages flow again: write down the intent, ask Lambda to enable the mapping."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable
from breaker.mapping import read_mapping, switch_mapping
from breaker.ownership import owned_record
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Begin to close. Safe to repeat.

    Input
        The state document with `probe`, and `give_up` where the breaker gave up.
    Output
        `{"outcome": "HEALED" | "QUEUE_EMPTY" | "OVERRIDDEN" | "GAVE_UP"}`
    Raises
        MappingNotSettled while another change of the mapping is in progress; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    outcome = "GAVE_UP" if "give_up" in event else document.result("probe")["outcome"]
    reason = document.result("give_up" if "give_up" in event else "probe")["reason"]
    if record.state is not CircuitState.HALF_OPEN:
        change_circuit(
            table,
            record,
            Change.HALF_OPEN,
            owner=document.execution,
            reason=reason,
            state=CircuitState.HALF_OPEN,
            sets={"intent": "ENABLE", "incident.outcome": outcome},
            removes=["next_probe_at"],
        )
    if not read_mapping(clients.lambda_control(), document.circuit.mapping_id).is_on:
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=True)
    return {"outcome": outcome}
