"""Messages flow, and the first minutes were good: release the claim and write the incident's report."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, ending, environment
from breaker.circuit_table import CircuitTable
from breaker.ownership import owned_record
from breaker.state_document import StateDocument
from breaker.toll import read_toll

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """End the incident. Safe to repeat.

    Input
        The state document.
    Output
        The incident's report, which is the execution's output.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    before = ending.ended_before(table, document)
    if before is not None:
        return before
    record = owned_record(table, document.circuit.name, document.execution)
    toll = read_toll(record.incident, document.circuit, clients.cloudwatch_soon(), clock.now())
    return ending.end_incident(table, record, document, toll)
