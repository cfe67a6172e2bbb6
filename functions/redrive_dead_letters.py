"""Messages flow and the target is healthy: move back what the incident dead-lettered, a piece at a time."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from breaker import clients, clock, environment
from breaker.circuit_table import CircuitTable, Record
from breaker.errors import MetricsUnanswered
from breaker.metrics import Metrics, wait_for_metrics_seconds
from breaker.ownership import owned_record
from breaker.recovery import current
from breaker.redriving import Moved, Redrive, Redriver, is_refusal, why_not
from breaker.state_document import StateDocument
from breaker.time_budget import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# One batch: receive, send, delete, and the wait that keeps to the rate; with room for retries.
_BATCH_SECONDS = 60


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Decide at the first visit, then move a piece at each. Safe to repeat.

    After a piece the target is judged anew, so that a redrive that does harm ends with the circuit open again, and only
    that piece to wait in the queue. A visit that finds nothing to move ends it.

    Input
        The state document.
    Output
        `{"next": "WATCH", "wait_seconds": n}` while the messages of a piece must show how they fare, or may be hidden
        still; else `{"next": "END"}`.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    redrive = Redrive.current(record)
    if redrive is not None and redrive.result:
        return {"next": "END"}
    if redrive is None:
        redrive, dead_letters = _begin(record, document)
    else:
        dead_letters = record.incident["dead_lettered"]
        redrive = redrive.ended(redrive.why_stop(record.incident, clock.now()))
    found = {} if dead_letters is None else {"incident.dead_lettered": dead_letters}
    under_way = redrive if redrive.result else redrive.with_piece(clock.now())
    table.write(
        document.circuit.name, owner=document.execution, sets={"incident.redrive": under_way.as_dict(), **found}
    )
    if redrive.result:
        logger.info(f"redrive: {redrive.result}", extra={"circuit": document.circuit.name})
        return {"next": "END"}
    return _move(table, record, document, redrive, TimeBudget(context, _BATCH_SECONDS))


def _begin(record: Record, document: StateDocument) -> tuple[Redrive, int | None]:
    """Decide whether anything may be moved. Returns the redrive, and the number of dead letters, None if unknown."""
    redrive = Redrive.begin(record, clock.now())
    # The circuit as the execution began with it: an update of the stack does not change an incident.
    circuit = document.circuit
    try:
        reason = why_not(record.incident, circuit, Metrics(clients.cloudwatch(), circuit), clock.now())
        if reason:
            return redrive.ended(reason), None
        return redrive, Redriver(clients.sqs(), circuit, 0).dead_letters()
    except MetricsUnanswered as error:
        return redrive.ended(f"no: {error}"), None
    except ClientError as error:
        if not is_refusal(error):
            raise
        return redrive.ended(f"no: {_code(error)}"), None


def _move(
    table: CircuitTable, record: Record, document: StateDocument, before: Redrive, budget: TimeBudget
) -> dict[str, Any]:
    """Move a piece, and write down what was moved, also where an error has cut it off."""
    moved, refused, cut_off = Moved(), "", False
    try:
        Redriver(clients.sqs(), document.circuit, clock.parse(before.began).timestamp()).move_a_piece(moved, budget)
    except (ClientError, BotoCoreError) as error:
        if is_refusal(error):
            refused = f"stopped: {_code(error)}"
        elif not moved.copied:
            raise
        cut_off = True
        logger.warning(
            "a piece of the redrive was cut off", extra={"circuit": document.circuit.name, "by": _code(error)}
        )
    now = clock.now()
    redrive = before.after_piece(moved, now, cut_off=cut_off, refused=refused)
    sets: dict[str, Any] = {"incident.redrive": redrive.as_dict()}
    recovery = current(record)
    watch = moved.copied > 0 or (recovery is not None and recovery.began < before.piece_began)
    if watch and recovery is not None:
        # What was moved is judged as a step of the recovery is: on whole periods that begin after it.
        recovery = replace(recovery, began=clock.iso(now))
        sets["incident.recovery"] = recovery.as_dict()
    adds = {"incident.redriven": moved.copied, "incident.duplicated": moved.duplicated}
    table.write(document.circuit.name, owner=document.execution, sets=sets, adds=adds)
    logger.info(
        f"redrive: {redrive.result or 'a piece was moved'}",
        extra={"circuit": document.circuit.name, "incident": record.incident["id"], "left": len(moved.left), **adds},
    )
    if redrive.result and not watch:
        return {"next": "END"}
    began = clock.parse(recovery.began if recovery else document.result("enabled")["at"])
    # Where there is nothing new to watch, hidden messages are waited for, a metric period at most.
    wait = wait_for_metrics_seconds(document.circuit, began, now, looked=None if watch and recovery else now)
    return {"next": "WATCH", "wait_seconds": wait}


def _code(error: ClientError | BotoCoreError) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
