"""Wait until the mapping is really enabled, and note when: what follows is judged from then on."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.circuit_table import CircuitTable
from breaker.ending import end_incident, ended_before
from breaker.errors import MappingNotSettled
from breaker.mapping import read_mapping, switch_mapping
from breaker.metrics import wait_for_metrics_seconds
from breaker.ownership import owned_record
from breaker.recovery import current, limit_to_write
from breaker.state_document import FORMAT_WITHOUT_WATCH, StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Confirm that messages flow. Safe to repeat.

    Input
        The state document with `closing`.
    Output
        `{"at": <ISO 8601>, "concurrency": n, "wait_seconds": n}`: concurrency is 0 where the mapping has no limit, and
        the wait is until the first look, which comes at once where a step taken over could have been looked at
        already. For a machine of the format before, which ends here, the incident's report.
    Raises
        MappingNotSettled until the mapping's state is Enabled; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    before = ended_before(table, document)
    if before is not None:
        return before
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    recovery = current(record)
    ours_to_change = record.intent == "ENABLE" and document.result("closing")["outcome"] != "OVERRIDDEN"
    if mapping.is_off and ours_to_change:
        # The request got lost, or somebody was faster. The intent is written down, so it is made true.
        limit = limit_to_write(mapping, recovery.concurrency) if recovery else None
        switch_mapping(clients.lambda_control(), document.circuit.mapping_id, enabled=True, maximum_concurrency=limit)
    # What somebody else has decided is only waited for to settle.
    settled = ("Enabled",) if ours_to_change else ("Enabled", "Disabled")
    if mapping.state not in settled and not mapping.is_gone:
        raise MappingNotSettled(f"mapping {document.circuit.mapping_id} is {mapping.state}, not yet Enabled")
    if document.format == FORMAT_WITHOUT_WATCH:
        return end_incident(table, record, document)
    now = clock.now()
    at = clock.iso(now)
    begins = recovery is not None and not recovery.began
    sets = {"incident.recovery": replace(recovery, began=at).as_dict()} if recovery and begins else {}
    table.write(document.circuit.name, owner=document.execution, sets=sets, removes=["intent"])
    began = clock.parse(recovery.began if recovery and recovery.began else at)
    wait = wait_for_metrics_seconds(document.circuit, began, now)
    return {"at": at, "concurrency": mapping.maximum_concurrency, "wait_seconds": wait}
