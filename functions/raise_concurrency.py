"""The last step went well: let more messages in at once."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable, Record
from breaker.mapping import MappingState, read_mapping, switch_mapping
from breaker.ownership import owned_record
from breaker.recovery import Recovery, current, limit_to_write
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Write down the next step and the intent, then ask Lambda. Safe to repeat.

    Somebody who has changed the mapping's maximum concurrency meanwhile knows better: it is left, which is announced,
    and the recovery goes on with its last step.

    Input
        The state document with `recovery`.
    Output
        `{"concurrency": n}`, 0 for no limit.
    Raises
        MappingNotSettled while another change of the mapping is in progress; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    judged_step = document.result("recovery")["step"]
    recovery = current(record)
    assert recovery is not None, "no step was judged that had not begun"
    if recovery.step == judged_step:
        recovery = _begin_next(table, record, mapping, recovery, owner=document.execution)
    limit = limit_to_write(mapping, recovery.concurrency)
    if limit is not None:
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=True, maximum_concurrency=limit)
    return {"concurrency": recovery.concurrency}


def _begin_next(
    table: CircuitTable, record: Record, mapping: MappingState, recovery: Recovery, *, owner: str
) -> Recovery:
    changed_by_others = not mapping.provisioned and mapping.maximum_concurrency != recovery.concurrency
    if changed_by_others:
        following = Recovery([*recovery.steps[:-1], mapping.maximum_concurrency], len(recovery.steps) - 1)
        reason = f"somebody else has set the maximum concurrency to {mapping.maximum_concurrency or 'none'}; it is left"
    else:
        following = Recovery(recovery.steps, recovery.step + 1)
        reason = f"maximum concurrency {following.concurrency or 'as without the breaker'}"
    change_circuit(
        table,
        record,
        Change.OVERRIDDEN if changed_by_others else Change.RAISED,
        owner=owner,
        reason=reason,
        sets={"intent": "ENABLE", "incident.recovery": following.as_dict()},
        details={"concurrency": following.concurrency, "step": following.step, "of": len(following.steps)},
    )
    return following
