"""Before messages flow again: hand every held message back, without sending one to its dead-letter queue."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.circuit_table import CircuitTable
from breaker.commands import Command
from breaker.ownership import owned_record
from breaker.probing import TRY_OVERHEAD_SECONDS, Prober
from breaker.state_document import StateDocument
from breaker.time_budget import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Over all runs of this step. Messages flow again after that, whatever is left.
LONGEST_SETTLING_SECONDS = 1800


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Show held messages again; one whose next receive would dead-letter it is tried on the healed target first.

    Input
        The state document, with `settled` from the second run on.
    Output
        `{"done": bool, "began": <epoch seconds>}`; false if time ran out, so that the step runs again.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    prober = Prober(document.circuit, document.execution, table, clients.sqs(), clients.lambda_invoke())
    budget = TimeBudget(context, document.circuit.target_timeout_seconds + TRY_OVERHEAD_SECONDS)
    now = int(clock.now().timestamp())
    last = document.results.get("settled")
    # What an earlier recovery of this incident settled is done.
    began = last["began"] if last and not last["done"] else now
    # A target that messages flow to anyway is worth a try, and only for so long.
    flow_anyway = record.order.get("command") == Command.CLOSE or document.result("probe")["outcome"] in (
        "HEALED",
        "OVERRIDDEN",
    )
    trying = flow_anyway and now < began + LONGEST_SETTLING_SECONDS
    held, ended = prober.live_messages()
    # One that the mapping drops is shown whatever its count: nothing could process it, and on a FIFO queue its group
    # would wait for hours. Without room it is dead-lettered instead of dropped, which the incident counts.
    shown = [message for message in held if message.filtered or message.has_room(document.circuit.max_receive_count)]
    last_receive = [message for message in held if message not in shown]
    processed, left_alone, done = 0, 0, True
    for message in last_receive:
        if not budget.is_enough():
            done = False
            break
        verdict = prober.try_held(message) if trying else None
        if verdict is not None and verdict.processed:
            processed += 1
        else:
            prober.leave_alone(message)
            left_alone += 1
    # Last, because a message that is shown again may be received at once.
    handed_back = 0
    if done:
        prober.show_again(shown)
        handed_back = sum(message.has_room(document.circuit.max_receive_count) for message in shown)
        left_alone += len(shown) - handed_back
    counts = {
        "incident.holds_ended": ended,
        "incident.processed_by_breaker": processed,
        "incident.left_alone": left_alone,
        "incident.handed_back": handed_back,
    }
    table.write(document.circuit.name, owner=document.execution, adds=counts)
    logger.info(
        "settled held messages", extra={"circuit": document.circuit.name, "incident": record.incident["id"], **counts}
    )
    return {"done": done, "began": began}
