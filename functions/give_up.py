"""The allowed probes are used up. What happens now was chosen in the settings."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import GAVE_UP_ANNOUNCED, CircuitTable, Record
from breaker.incident_report import report
from breaker.ownership import owned_record
from breaker.state_document import StateDocument
from breaker.toll import read_toll

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Record and announce that the breaker gives up.

    A circuit that stays open is reported on now, because nothing more happens by itself; else CLOSED reports soon.

    Input
        The state document.
    Output
        `{"then": "STAY_OPEN" | "CLOSE", "reason": <one line>}`
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    then = document.circuit.settings["OnGiveUp"]
    what_next = (
        "the mapping stays disabled until somebody acts"
        if then == "STAY_OPEN"
        else "the mapping is enabled all the same"
    )
    reason = f"gave up after {document.schedule['failures']} failed probes; {what_next}"
    announced = change_circuit(
        table,
        record,
        Change.GAVE_UP,
        owner=document.execution,
        reason=reason,
        sets={"incident.outcome": "GAVE_UP", "reason": reason},
        removes=["next_probe_at"],
        details={"then": then} | ({"report": _report(record, document)} if then == "STAY_OPEN" else {}),
    )
    if announced:
        # A mapping that stays disabled without anybody's knowledge is the worst case: else the reconciler announces it.
        table.note(document.circuit.name, GAVE_UP_ANNOUNCED, incident=record.incident["id"])
    return {"then": then, "reason": reason}


def _report(record: Record, document: StateDocument) -> dict[str, Any]:
    now = clock.now()
    toll = read_toll(record.incident, document.circuit, clients.cloudwatch_soon(), now)
    return report(record.incident, circuit=document.circuit.name, outcome="GAVE_UP", toll=toll, now=now, over=False)
