"""Decide when the next probe is, in an incident that began under the release before, whose machine asks for it."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, next_probe
from breaker.circuit_table import CircuitTable
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Decide how the incident goes on, as ProbeTarget and ReopenCircuit now do themselves.

    Input
        The state document with `schedule` and `probe`, which a recovery that failed has replaced.
    Output
        What `breaker.next_probe.after` returns.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    probe, now = document.result("probe"), clock.now()
    schedule = next_probe.after(probe, document.result("schedule"), document.circuit.settings, now=now)
    due = next_probe.due_at(schedule["wait_seconds"], until=probe.get("until", ""), now=now)
    CircuitTable(clients.dynamodb(), environment.circuit_table()).write(
        document.circuit.name, owner=document.execution, sets={"next_probe_at": due}
    )
    logger.info(f"next: {schedule['next']}", extra={"circuit": document.circuit.name, **schedule})
    return schedule
