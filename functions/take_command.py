"""A person asks something of a circuit: answer it, or take the running incident over for it."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.announcements import Announcement, Change, announce
from breaker.changes import change_circuit
from breaker.circuit_table import REMOVAL_PREFIX, CircuitTable, Record
from breaker.commands import MODES, Command, Decision, Way, decide
from breaker.errors import CircuitTakenOver, MappingNotSettled, UnknownCircuit
from breaker.observation import observe
from breaker.ownership import RUNNING, execution_status
from breaker.state_document import StateDocument
from breaker.status import status_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Each lost race means that the incident has just gone on; the next look sees where.
_ATTEMPTS = 3


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Carry out STATUS and the modes; write OPEN, CLOSE and PROBE into a running incident. Safe to repeat.

    Input
        The state document.
    Output
        `{"next": "DONE" | "TRIP" | "GO_ON", "answer": <one line>}`, with `"status": {...}` where it is the execution's
        output. GO_ON: this execution owns the incident now, and its record says what is to be done. TRIP: nothing
        runs, so the circuit is opened like by any trip.
    Raises
        MappingNotSettled while the owner is changing the mapping; CircuitTakenOver where somebody else was faster time
        and again; UnknownCircuit where the circuit was removed meanwhile.
    """
    document = StateDocument.read(event)
    trip = document.result("trip")
    command, name = Command(trip["command"]), document.circuit.name
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    if command is not Command.STATUS and command not in MODES:
        return _ask_of_the_incident(table, document, command)
    record = _load(table, name)
    if command is Command.STATUS:
        return _answer(record, "looked at")
    answer = _set_mode(table, record, document, command)
    return _answer(_load(table, name), answer)


def _ask_of_the_incident(table: CircuitTable, document: StateDocument, command: Command) -> dict[str, Any]:
    for _ in range(_ATTEMPTS - 1):
        try:
            return _try(table, document, command)
        except CircuitTakenOver:
            logger.info("somebody else was faster", extra={"circuit": document.circuit.name})
    return _try(table, document, command)


def _try(table: CircuitTable, document: StateDocument, command: Command) -> dict[str, Any]:
    trip, name = document.result("trip"), document.circuit.name
    record = _load(table, name)
    if record.owner == document.execution:
        return {"next": "GO_ON", "answer": "taken over before"}
    if record.owner.startswith(REMOVAL_PREFIX):
        return _answer(record, "nothing to do: the circuit is being removed")
    runs = bool(record.owner) and execution_status(clients.stepfunctions(), record.owner) == RUNNING
    decision = decide(command, record, until=trip.get("until", ""), owner_runs=runs)
    logger.info(f"{command}: {decision.answer}", extra={"circuit": name, "way": decision.way})
    if decision.way is Way.ANSWER:
        return _answer(record, decision.answer)
    if decision.way is Way.TAKE_OVER:
        _take_over(table, record, document, command, decision, owner_runs=runs)
        return {"next": "GO_ON", "answer": decision.answer}
    return {"next": "TRIP", "answer": decision.answer}


def _take_over(
    table: CircuitTable,
    record: Record,
    document: StateDocument,
    command: Command,
    decision: Decision,
    *,
    owner_runs: bool,
) -> None:
    """Become the owner and write the command down, in one write. The owner before finds out at its next step."""
    if record.intent and owner_runs:
        # A change that the owner is about to ask of Lambda would come after ours.
        raise MappingNotSettled(f"circuit {record.circuit.name}: its owner is changing the mapping just now")
    trip = document.result("trip")
    until = trip.get("until", "")
    order = {"command": command.value, "reason": trip["reason"], "at": trip["at"], "by": document.execution}
    # One that gave up is at work again. A recovery's outcome says how it goes on.
    gave_up = ["incident.outcome", "incident.gave_up_announced"] if record.state == "OPEN" else []
    change_circuit(
        table,
        record,
        Change.COMMANDED,
        owner=record.owner,
        reason=f"{command} by hand: {trip['reason']}",
        sets={"owner": document.execution, "incident.order": order} | ({"incident.hold_until": until} if until else {}),
        removes=["successor", "failure", *gave_up, *([] if until else ["incident.hold_until"])],
        details={"command": command.value, "answer": decision.answer} | ({"until": until} if until else {}),
        settled=owner_runs,
    )


def _set_mode(table: CircuitTable, record: Record, document: StateDocument, mode: Command) -> str:
    trip = document.result("trip")
    note = {"mode": mode.value, "reason": trip["reason"], "at": trip["at"], "by": document.execution}
    sequence = table.set_mode(record.circuit.name, mode.value, note=note)
    if sequence is None:
        return f"nothing to do: the mode is {mode}"
    answer = f"the mode is {mode} from the next trip on, until the stack registers the circuit again"
    announce(
        Announcement(
            circuit=record.circuit.name,
            incident=record.incident.get("id", ""),
            sequence=sequence,
            change=Change.COMMANDED,
            before=record.state.value,
            after=record.state.value,
            reason=f"mode {mode} by hand: {trip['reason']}",
            details={"command": mode.value, "answer": answer, "mode_before": record.circuit.settings["Mode"]},
        )
    )
    return answer


def _answer(record: Record, answer: str) -> dict[str, Any]:
    figures = observe(
        record,
        functions=clients.lambda_control(),
        sqs=clients.sqs(),
        cloudwatch=clients.cloudwatch(),
        stepfunctions=clients.stepfunctions(),
    )
    status = status_of(record, figures, now=clock.now()).as_dict()
    logger.info(f"status: {answer}", extra={"status": status})
    return {"next": "DONE", "answer": answer, "status": status}


def _load(table: CircuitTable, name: str) -> Record:
    record = table.load(name)
    if record is None:
        raise UnknownCircuit(f"circuit: {name!r} is not registered")
    return record
