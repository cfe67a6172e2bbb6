"""The target fails again as messages flow: pause once more. The incident goes on."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, next_probe
from breaker.circuit_table import CircuitTable
from breaker.mapping import read_mapping
from breaker.ownership import owned_record
from breaker.recovery import current, pause
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Write down the intent, disable, and give the mapping's owner its settings back. Safe to repeat.

    Input
        The state document with `recovery`.
    Output
        `{"outcome": "REOPENED", "reason": <one line>, "checks": n}` and how the incident goes on, as after a probe that
        failed (`breaker.next_probe`). It stands in place of the last probe.
    Raises
        MappingNotSettled while another change of the mapping is in progress; CircuitTakenOver.
    """
    document = StateDocument.read(event)
    judged = document.result("recovery")
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    if record.intent != "DISABLE":
        recovery = current(record)
        bound = {"incident.too_much": recovery.too_much_after_reopening()} if recovery else {}
        table.write(
            document.circuit.name,
            owner=document.execution,
            sets={"intent": "DISABLE", "incident.reopen_reason": judged["reason"], **bound},
            adds={"incident.reopened": 1},
        )
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if not mapping.is_off and not mapping.is_gone:
        pause(clients.lambda_control(), record, mapping)
    reopened = {"outcome": "REOPENED", "reason": judged["reason"], "checks": judged["checks"]}
    return reopened | next_probe.after(reopened, document.schedule, document.circuit.settings, now=clock.now())
