"""Pass a long incident to a fresh execution before this one's history is full."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.circuit_table import CircuitTable
from breaker.ownership import owned_record
from breaker.state_document import StateDocument
from breaker.succession import name_successor, start_successor

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Write down the successor's name, then start it. Safe to repeat: its name follows from this execution's.

    Input
        The state document.
    Output
        `{"successor": <ARN>}`
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = table.load(document.circuit.name)
    if record is not None and record.owner != document.execution == record.incident.get("handed_over_by"):
        # The successor has claimed the circuit already, and this step's first answer got lost.
        return {"successor": record.owner}
    record = owned_record(table, document.circuit.name, document.execution)
    state_machine = str(event["state_machine"])
    successor = record.successor or name_successor(
        table,
        record,
        state_machine=state_machine,
        change=Change.HANDED_OVER,
        reason="this execution has run for long enough",
        sets={"incident.handed_over_by": document.execution},
    )
    start_successor(clients.stepfunctions(), record, successor, state_machine=state_machine)
    return {"successor": successor}
