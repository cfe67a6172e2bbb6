"""Try the target with one message and settle it. No content of a message leaves this handler."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, source_queue
from breaker.alarm import alarm_state
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable
from breaker.mapping import read_mapping
from breaker.ownership import owned_record
from breaker.probing import Prober
from breaker.state_document import StateDocument
from breaker.verdict import Verdict

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Processed messages in a row that are believed although the alarm is still in ALARM.
SUCCESSES_DESPITE_ALARM = 3


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Probe once.

    Input
        The state document.
    Output
        `{"outcome": ..., "reason": <one line>}`, with `"at": <ISO 8601>` after a processed message. Outcomes: HEALED,
        the target processed the message; CONFIRMING, it did, but the alarm is still in ALARM, so that one message is
        not enough; FAILED, it did not; NOTHING_TO_TRY, every message is hidden or delayed, or the queue is empty while
        the alarm is still in ALARM; QUEUE_EMPTY, nothing is left that could fail; OVERRIDDEN, somebody else has enabled
        the mapping.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if mapping.is_on:
        return {"outcome": "OVERRIDDEN", "reason": f"somebody else has enabled the mapping, it is {mapping.state}"}
    prober = Prober(document.circuit, document.execution, table, clients.sqs(), clients.lambda_invoke())
    held, ended = prober.live_messages()
    tried = prober.try_one(held)
    if tried is None:
        probe = _without_a_message(document)
        adds = {"incident.holds_ended": ended}
    else:
        probe = _after_a_try(document, tried.verdict)
        adds = {
            "incident.probes": 1,
            "incident.failed_probes": 0 if tried.verdict.processed else 1,
            "incident.receives": 1 if tried.received else 0,
            "incident.processed_by_breaker": 1 if tried.verdict.processed else 0,
            "incident.holds_ended": ended,
        }
    change_circuit(
        table,
        record,
        Change.PROBED,
        owner=document.execution,
        reason=probe["reason"],
        adds=adds,
        details={"probe": probe},
    )
    return probe


def _after_a_try(document: StateDocument, verdict: Verdict) -> dict[str, Any]:
    answer = f"the target answered {verdict.value} to a message"
    if not verdict.processed:
        return {"outcome": "FAILED", "reason": answer}
    in_a_row = document.result("schedule").get("successes", 0) + 1
    at = clock.iso(clock.now())
    # Once closed, only a change of the alarm to ALARM can open the circuit again. While the alarm has not left ALARM, a
    # lucky message must not end the incident; an alarm that never leaves it must not keep the circuit open either.
    if in_a_row < SUCCESSES_DESPITE_ALARM and _alarm_rings(document):
        return {"outcome": "CONFIRMING", "reason": f"{answer}; the alarm is still in ALARM", "at": at}
    return {"outcome": "HEALED", "reason": answer, "at": at}


def _alarm_rings(document: StateDocument) -> bool:
    return alarm_state(clients.cloudwatch(), document.circuit.settings["AlarmName"]) == "ALARM"


def _without_a_message(document: StateDocument) -> dict[str, Any]:
    depth = source_queue.read_depth(clients.sqs(), document.circuit.queue_url)
    if depth.visible:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"none of {depth.visible} visible messages was received"}
    if depth.hidden:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"all {depth.hidden} messages are hidden"}
    if depth.delayed:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"all {depth.delayed} messages are delayed"}
    if _alarm_rings(document):
        return {"outcome": "NOTHING_TO_TRY", "reason": "the queue is empty, but the alarm is still in ALARM"}
    return {"outcome": "QUEUE_EMPTY", "reason": "the queue is empty and the alarm is not in ALARM"}
