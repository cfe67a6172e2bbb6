"""Spread the backlog by random delays before messages flow again. Runs only where the circuit asks for it."""

import random
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.circuit_table import CircuitTable
from breaker.ownership import owned_record
from breaker.probing import TRY_OVERHEAD_SECONDS, Prober
from breaker.rejittering import LONGEST_RUN_SECONDS, LONGEST_SWEEP_SECONDS, Sweep
from breaker.state_document import StateDocument
from breaker.time_budget import TimeBudget

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Messages sent meanwhile are received too, and left alone. This many batches of nothing else end the sweep.
_BATCHES_WITHOUT_BACKLOG = 3
_BATCH_SECONDS = 60


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Re-queue the backlog that was there when the sweep began.

    Input
        The state document. The sweep begins at the probe that healed, so that a run that is repeated knows its copies.
    Output
        `{"done": bool}`; false if there is more to do, so that the step runs again.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    started = clock.now().timestamp()
    began = clock.parse(document.result("probe")["at"]).timestamp()
    ends = began + LONGEST_SWEEP_SECONDS
    sweep = Sweep(
        client=clients.sqs(),
        queue_url=document.circuit.queue_url,
        began=began,
        longest_delay=document.circuit.settings["RejitterSeconds"],
        max_receive_count=document.circuit.max_receive_count,
        chance=random.random,
    )
    prober = Prober(document.circuit, document.execution, table, clients.sqs(), clients.lambda_invoke())
    budget = TimeBudget(context, _BATCH_SECONDS)
    try_budget = TimeBudget(context, document.circuit.target_timeout_seconds + TRY_OVERHEAD_SECONDS)
    copied, duplicated, at_last_receive, processed, without_backlog, done = 0, 0, 0, 0, 0, False
    left: list[str] = []
    while not done and budget.is_enough() and clock.now().timestamp() < started + LONGEST_RUN_SECONDS:
        batch = sweep.next_batch()
        copied += batch.copied
        duplicated += batch.duplicated
        left += batch.left
        at_last_receive += len(batch.last_receive)
        for message in batch.last_receive:
            # Its next receive would dead-letter it, so it is tried directly: by the next step, or, where contents
            # are not stored, now while its content is at hand.
            held, record_of_message = prober.hold(message)
            if held.chunks == 0 and not held.filtered and try_budget.is_enough():
                processed += prober.try_record(held, record_of_message).verdict.processed
        without_backlog = without_backlog + 1 if batch.copied == 0 else 0
        done = batch.received == 0 or without_backlog >= _BATCHES_WITHOUT_BACKLOG or clock.now().timestamp() > ends
    # Not before the sweep is over: it would receive them again, and each receive counts.
    sweep.show_again(left, after_seconds=0 if done else max(0, round(ends - clock.now().timestamp())))
    counts = {
        "incident.rejittered": copied,
        "incident.duplicated": duplicated,
        # A copy begins anew; of what is left as it is, this receive counts.
        "incident.receives": len(left) + at_last_receive,
        "incident.processed_by_breaker": processed,
    }
    table.write(document.circuit.name, owner=document.execution, adds=counts)
    logger.info(
        "re-jittered a part of the backlog",
        extra={"circuit": document.circuit.name, "incident": record.incident["id"], "done": done, **counts},
    )
    return {"done": done}
