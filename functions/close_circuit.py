"""Let messages in again: write down the intent and the first step, ask Lambda to enable the mapping."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.commands import Command
from breaker.mapping import MappingState, read_mapping, switch_mapping
from breaker.ownership import owned_record
from breaker.ramp import Recovery
from breaker.recovery import CLOSED_BY_HAND, NOT_OURS_TO_JUDGE, current, first_step, limit_to_write
from breaker.state_document import FORMAT_WITHOUT_WATCH, StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Begin to close, or go on with a recovery that another execution had begun. Safe to repeat.

    Input
        The state document with `probe`, and `give_up` where the breaker gave up; neither where a recovery goes on, or
        where the incident's record has the command CLOSE.
    Output
        `{"outcome": "HEALED" | "QUEUE_EMPTY" | "TRIAL" | "OVERRIDDEN" | "MAPPING_GONE" | "GAVE_UP" |
        "CLOSED_BY_HAND", "judged": bool}`; judged where the breaker watches what follows before it ends the incident.
    Raises
        MappingNotSettled while another change of the mapping is in progress; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    going_on = record.state is CircuitState.HALF_OPEN
    if record.order.get("command") == Command.CLOSE:
        # A recovery that is under way ends where the command asks to go; one that the command began goes on.
        going_on = going_on and record.incident.get("outcome") in (CLOSED_BY_HAND, "MAPPING_GONE")
    outcome, reason = (record.incident["outcome"], record.reason) if going_on else _answer(document, record, mapping)
    recovery = current(record) if going_on else None
    if recovery is None:
        # A machine without the states that watch must not be given a step that nobody raises.
        without_steps = document.format == FORMAT_WITHOUT_WATCH
        recovery = first_step(record, mapping, "GAVE_UP" if without_steps else outcome)
        if _has_a_limit_of_others(record, mapping):
            recovery = Recovery([mapping.maximum_concurrency], 0)
        _begin(table, record, document, outcome, reason, recovery)
    # Without an open intent the mapping was let in before, and what it is like now is somebody else's doing.
    ours_to_change = not going_on or record.intent == "ENABLE"
    if ours_to_change and outcome != "OVERRIDDEN" and not mapping.is_gone:
        limit = limit_to_write(mapping, recovery.concurrency)
        if not mapping.is_on or limit is not None:
            switch_mapping(
                clients.lambda_control(), document.circuit.mapping_id, enabled=True, maximum_concurrency=limit
            )
    return {"outcome": outcome, "judged": outcome not in NOT_OURS_TO_JUDGE}


def _has_a_limit_of_others(record: Record, mapping: MappingState) -> bool:
    """Return whether somebody else has set the maximum concurrency since a step of a recovery was confirmed."""
    before = current(record)
    confirmed = before is not None and not record.intent and not mapping.provisioned and not mapping.is_gone
    return confirmed and before is not None and mapping.maximum_concurrency != before.concurrency


def _answer(document: StateDocument, record: Record, mapping: MappingState) -> tuple[str, str]:
    if record.order.get("command") == Command.CLOSE:
        if mapping.is_gone:
            return "MAPPING_GONE", f"the mapping has been deleted, it is {mapping.state}"
        return CLOSED_BY_HAND, f"by hand: {record.order['reason']}"
    if "give_up" in document.results:
        return "GAVE_UP", document.result("give_up")["reason"]
    probe = document.result("probe")
    return probe["outcome"], probe["reason"]


def _begin(
    table: CircuitTable, record: Record, document: StateDocument, outcome: str, reason: str, recovery: Recovery
) -> None:
    change_circuit(
        table,
        record,
        Change.OVERRIDDEN if outcome == "OVERRIDDEN" else Change.HALF_OPEN,
        owner=document.execution,
        reason=reason,
        state=CircuitState.HALF_OPEN,
        sets={"intent": "ENABLE", "incident.outcome": outcome, "incident.recovery": recovery.as_dict()},
        removes=["next_probe_at"],
        details={"outcome": outcome, "concurrency_steps": recovery.steps},
    )
