"""Pass a long incident to a fresh execution before this one's history is full."""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable
from breaker.ownership import owned_record
from breaker.state_document import StateDocument

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
    name = f"{record.incident['id']}-{record.incident['hand_overs'] + (0 if record.successor else 1)}"
    successor = f"{state_machine.replace(':stateMachine:', ':execution:')}:{name}"
    if not record.successor:
        change_circuit(
            table,
            record,
            Change.HANDED_OVER,
            owner=document.execution,
            reason=f"this execution has run for long enough; {name} goes on",
            sets={"successor": successor, "incident.handed_over_by": document.execution},
            adds={"incident.hand_overs": 1},
        )
    try:
        clients.stepfunctions().start_execution(
            stateMachineArn=state_machine,
            name=name,
            input=json.dumps({"circuit": document.circuit.name, "resume": record.incident["id"]}),
        )
    except clients.stepfunctions().exceptions.ExecutionAlreadyExists:
        logger.info("the successor was started before", extra={"successor": successor})
    return {"successor": successor}
