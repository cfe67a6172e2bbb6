"""Try the target with one message, settle it, and say when to try again. No content of a message leaves here."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, next_probe, source_queue
from breaker.alarm import any_rings
from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable
from breaker.commands import held_until
from breaker.holding import may_hold_filtered, needs_trial, receives_within
from breaker.mapping import read_mapping
from breaker.metrics import trial_seconds
from breaker.ownership import owned_record
from breaker.probing import Prober, Try
from breaker.source_queue import Depth
from breaker.state_document import StateDocument
from breaker.verdict import Verdict

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Processed messages in a row that are believed although the alarm is still in ALARM.
SUCCESSES_DESPITE_ALARM = 3
# What another probe follows.
_GOES_ON = ("FAILED", "CONFIRMING", "NOTHING_TO_TRY", "HELD_OPEN")


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Probe once.

    Input
        The state document.
    Output
        `{"outcome": ..., "reason": <one line>}`, with `"at": <ISO 8601>` after a recovery. Outcomes: HEALED, the
        target processed the message; CONFIRMING, it did, but an alarm is still in ALARM, so that one message is not
        enough; FAILED, it did not, or took longer than SlowTargetSeconds; NOTHING_TO_TRY, every message is hidden or
        delayed; QUEUE_EMPTY, there is none; HELD_OPEN, nothing is to be tried before `"until": <ISO 8601>`, by hand;
        TRIAL, too few messages go on failing to decide, or the mapping would drop all there are, and no other can be
        probed with; OVERRIDDEN, somebody else has enabled the mapping; MAPPING_GONE, somebody has deleted it. After
        QUEUE_EMPTY and TRIAL only the mapping can show whether the target works. With it comes how the incident goes
        on: `next`, `wait_seconds` and the counts that `breaker.next_probe.after` returns.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if mapping.is_on:
        probe = {"outcome": "OVERRIDDEN", "reason": f"somebody else has enabled the mapping, it is {mapping.state}"}
        return probe | _schedule(document, probe)
    if mapping.is_gone:
        probe = {"outcome": "MAPPING_GONE", "reason": f"the mapping has been deleted, it is {mapping.state}"}
        return probe | _schedule(document, probe)
    until = held_until(record, now=clock.now())
    if until:
        probe = {"outcome": "HELD_OPEN", "reason": f"held open by hand until {until}", "until": until}
        schedule = _schedule(document, probe)
        table.write(document.circuit.name, owner=document.execution, sets=_due(probe, schedule))
        return probe | schedule
    prober = Prober(document.circuit, document.execution, table, clients.sqs(), clients.lambda_invoke())
    held, ended = prober.live_messages()
    tried = prober.try_one(held)
    adds = {"incident.receives": tried.receives, "incident.holds_ended": ended}
    if tried.verdict is None:
        probe = _without_a_message(document, tried)
    else:
        probe = _after_a_try(document, tried, tried.verdict)
        adds |= {
            "incident.probes": 1,
            "incident.failed_probes": 0 if tried.verdict.processed and not tried.slow else 1,
            "incident.processed_by_breaker": 1 if tried.verdict.processed else 0,
        }
    schedule = _schedule(document, probe)
    change_circuit(
        table,
        record,
        Change.PROBED,
        owner=document.execution,
        reason=probe["reason"],
        sets={
            "incident.most_held": max(len(tried.held), record.incident.get("most_held", 0)),
            **_due(probe, schedule),
        },
        adds=adds,
        details={"probe": probe},
    )
    return probe | schedule


def _schedule(document: StateDocument, probe: dict[str, Any]) -> dict[str, Any]:
    schedule = next_probe.after(probe, document.schedule, document.circuit.settings, now=clock.now())
    logger.info(f"probe: {probe['outcome']}", extra={"circuit": document.circuit.name, **schedule})
    return schedule


def _due(probe: dict[str, Any], schedule: dict[str, Any]) -> dict[str, str]:
    """Return what the record says of the next probe, nothing where there is none."""
    if probe["outcome"] not in _GOES_ON:
        return {}
    due = next_probe.due_at(schedule["wait_seconds"], until=probe.get("until", ""), now=clock.now())
    return {"next_probe_at": due}


def _after_a_try(document: StateDocument, tried: Try, verdict: Verdict) -> dict[str, Any]:
    answer = f"the target answered {verdict.value} to a message"
    if not verdict.processed:
        if _needs_trial(document, tried, _depth(document)):
            return {"outcome": "TRIAL", "reason": f"{answer}; too few others can be probed with to decide"}
        return {"outcome": "FAILED", "reason": answer}
    if tried.slow:
        # Processed is processed: the message is gone. But a target this slow is what the circuit was opened for.
        bound = document.circuit.settings["SlowTargetSeconds"]
        return {"outcome": "FAILED", "reason": f"{answer}, but took longer than {bound:g} s"}
    in_a_row = document.schedule.get("successes", 0) + 1
    at = clock.iso(clock.now())
    # Once closed, only a change of an alarm to ALARM can open the circuit again. While an alarm has not left ALARM, a
    # lucky message must not end the incident; an alarm that never leaves it must not keep the circuit open either.
    if in_a_row < SUCCESSES_DESPITE_ALARM and _alarm_rings(document):
        return {"outcome": "CONFIRMING", "reason": f"{answer}; an alarm is still in ALARM", "at": at}
    return {"outcome": "HEALED", "reason": answer, "at": at}


def _alarm_rings(document: StateDocument) -> bool:
    return any_rings(clients.cloudwatch(), document.circuit.settings["AlarmNames"])


def _without_a_message(document: StateDocument, tried: Try) -> dict[str, Any]:
    depth = _depth(document)
    if _needs_trial(document, tried, depth):
        return {"outcome": "TRIAL", "reason": "the mapping would drop all messages that can be received"}
    if depth.visible:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"none of {depth.visible} visible messages can be probed with"}
    if depth.hidden:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"all {depth.hidden} messages are hidden"}
    if depth.delayed:
        return {"outcome": "NOTHING_TO_TRY", "reason": f"all {depth.delayed} messages are delayed"}
    # Whatever the alarm says: a trial shows more than an alarm about which nothing is measured.
    return {"outcome": "QUEUE_EMPTY", "reason": "the queue is empty"}


def _needs_trial(document: StateDocument, tried: Try, depth: Depth) -> bool:
    # On a FIFO queue what was not received stands behind a message of its group that is hidden.
    out_of_reach = document.circuit.is_fifo or not may_hold_filtered(tried.held)
    return tried.looked_everywhere and needs_trial(
        tried.held,
        max_receive_count=document.circuit.max_receive_count,
        trial_receives=receives_within(
            trial_seconds(document.circuit), visibility_timeout=document.circuit.visibility_timeout_seconds
        ),
        visible=0 if out_of_reach else depth.visible,
        hidden=depth.hidden,
        delayed=depth.delayed,
    )


def _depth(document: StateDocument) -> Depth:
    return source_queue.read_depth(clients.sqs(), document.circuit.queue_url)
