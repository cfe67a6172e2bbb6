"""The last step was judged: let more messages in at once, or fewer where it was too much."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable, Record
from breaker.mapping import MappingState, read_mapping, switch_mapping
from breaker.ownership import owned_record
from breaker.ramp import MOST_CONCURRENCY, Recovery
from breaker.recovery import current, limit_to_write
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
    judged = document.result("recovery")
    recovery = current(record)
    assert recovery is not None, "no step was judged that had not begun"
    if recovery.step == judged["step"]:
        # A release before this one did not say how a recovery goes on: by the next of its steps.
        following = Recovery(**judged["following"]) if "following" in judged else recovery.next_given()
        recovery = _begin_next(table, record, mapping, recovery, following, owner=document.execution)
    limit = limit_to_write(mapping, recovery.concurrency)
    if limit is not None:
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=True, maximum_concurrency=limit)
    return {"concurrency": recovery.concurrency}


def _begin_next(
    table: CircuitTable, record: Record, mapping: MappingState, recovery: Recovery, following: Recovery, *, owner: str
) -> Recovery:
    changed_by_others = not mapping.provisioned and mapping.maximum_concurrency != recovery.concurrency
    change = Change.RAISED if _unbounded(following) > _unbounded(recovery) else Change.LOWERED
    reason = f"maximum concurrency {following.concurrency or 'as without the breaker'}"
    if change is Change.LOWERED:
        reason += f": {recovery.concurrency} was more than the target takes"
    if changed_by_others:
        change = Change.OVERRIDDEN
        following = Recovery([*recovery.steps[:-1], mapping.maximum_concurrency], len(recovery.steps) - 1)
        reason = f"somebody else has set the maximum concurrency to {mapping.maximum_concurrency or 'none'}; it is left"
    change_circuit(
        table,
        record,
        change,
        owner=owner,
        reason=reason,
        sets={"intent": "ENABLE", "incident.recovery": following.as_dict()},
        details={"concurrency": following.concurrency, "step": following.step, "of": len(following.steps)},
    )
    return following


def _unbounded(recovery: Recovery) -> int:
    return recovery.concurrency or MOST_CONCURRENCY + 1
