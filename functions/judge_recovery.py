"""Look at what followed the last step of a recovery, and say how it goes on."""

from dataclasses import asdict, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, source_queue
from breaker.alarm import rang_since
from breaker.circuit_table import CircuitTable, Record
from breaker.health import Health, Judgement, judge
from breaker.mapping import MappingState, read_mapping
from breaker.metrics import Metrics, health_rule, wait_for_metrics_seconds
from breaker.ownership import owned_record
from breaker.ramp import KNOWN_GOOD_SECONDS, Recovery, Shown
from breaker.recovery import TRIALS, current
from breaker.state_document import Circuit, StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# A look writes about 10 events to the execution's history, which ends at 25,000; the probes before it may have written
# 8,000, and retries add more.
LOOKS_PER_EXECUTION = 600


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judge the current step.

    Input
        The state document with `closing` and `enabled`, and `recovery` from the second look on.
    Output
        `{"next": "WAIT" | "RAISE" | "END" | "REOPEN" | "HAND_OVER", "reason": <one line>, "step": n, "checks": n}`.
        With RAISE also `following`, how the recovery goes on, which may be a step back. With WAIT also `wait_seconds`,
        until another look can show something new; WAIT also where the step is held: it is judged anew. END also where
        somebody else has disabled the mapping meanwhile, or it is gone: that is respected.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = owned_record(table, document.circuit.name, document.execution)
    recovery = current(record) or Recovery([0], 0, document.result("enabled")["at"])
    last = document.results.get("recovery", {})
    checks = 1 + (0 if last.get("next") == "REOPEN" else last.get("checks", 0))
    mapping = read_mapping(clients.lambda_control(), document.circuit.mapping_id)
    if mapping.is_off or mapping.is_gone:
        outcome = "MAPPING_GONE" if mapping.is_gone else "DISABLED_BY_OTHERS"
        table.write(document.circuit.name, owner=document.execution, sets={"incident.outcome": outcome})
        return _next("END", f"the mapping is {mapping.state}, and not by the breaker", recovery, checks)
    success_needed = document.result("closing")["outcome"] in TRIALS and recovery.step == 0
    now = clock.now()
    judgement = _judge(document.circuit, recovery, now, success_needed=success_needed)
    if judgement.health is Health.BAD:
        return _next("REOPEN", judgement.reason, recovery, checks)
    if judgement.health is Health.GOOD and recovery.is_last:
        return _next("END", judgement.reason, recovery, checks)
    reason, looked = judgement.reason, now if judgement.health is Health.UNDECIDED else None
    if judgement.health is Health.GOOD:
        following = _following(record, document.circuit, mapping, recovery, strained=judgement.strained)
        if following.step != recovery.step:
            return _next("RAISE", reason, recovery, checks) | {"following": following.as_dict()}
        recovery = replace(following, began=clock.iso(clock.now()))
        table.write(document.circuit.name, owner=document.execution, sets={"incident.recovery": recovery.as_dict()})
        reason = f"{reason}; it is held until the backlog is gone"
    if checks >= LOOKS_PER_EXECUTION:
        return _next("HAND_OVER", reason, recovery, checks)
    wait = wait_for_metrics_seconds(document.circuit, clock.parse(recovery.began), clock.now(), looked=looked)
    return _next("WAIT", reason, recovery, checks) | {"wait_seconds": wait}


def _following(
    record: Record, circuit: Circuit, mapping: MappingState, recovery: Recovery, *, strained: bool
) -> Recovery:
    """Return how the recovery goes on after a good step; the same step, where it is held."""
    changed_by_others = not mapping.provisioned and mapping.maximum_concurrency != recovery.concurrency
    if circuit.settings["Recovery"] != "RAMP" or changed_by_others:
        return recovery.next_given()
    metrics, now = Metrics(clients.cloudwatch(), circuit), clock.now().timestamp()
    began, opened = clock.parse(recovery.began).timestamp(), clock.parse(record.incident["opened_at"]).timestamp()
    shown = Shown(
        waiting=source_queue.read_depth(clients.sqs(), circuit.queue_url).visible,
        processed=metrics.most_processed(began, now),
        known_good=metrics.most_processed(opened - KNOWN_GOOD_SECONDS, opened),
        strained=strained,
        seconds_open=round(now - opened),
    )
    following = recovery.after_good_step(shown)
    logger.info("what the step has shown", extra=asdict(shown) | {"following": following.as_dict()})
    return following


def _judge(circuit: Circuit, recovery: Recovery, at: datetime, *, success_needed: bool) -> Judgement:
    began, now = clock.parse(recovery.began).timestamp(), at.timestamp()
    rule = health_rule(circuit)
    judgement = judge(
        Metrics(clients.cloudwatch(), circuit).periods(began=began, now=now),
        rule,
        began=began,
        now=now,
        enough_periods=circuit.settings["HealthPeriods"],
        success_needed=success_needed,
    )
    if judgement.health is Health.GOOD and success_needed and not judgement.succeeded and not _queue_is_empty(circuit):
        return Judgement(Health.BAD, "messages are there, but none was processed")
    if judgement.health is not Health.GOOD:
        return judgement
    # An alarm of the circuit may see what the metrics do not show. A change this late cannot be about the time before.
    fresh = rule.first_period(began) + rule.period_seconds
    alarm = rang_since(clients.cloudwatch(), circuit.settings["AlarmNames"], fresh)
    return Judgement(Health.BAD, f"alarm {alarm} changed to ALARM since the last step") if alarm else judgement


def _queue_is_empty(circuit: Circuit) -> bool:
    depth = source_queue.read_depth(clients.sqs(), circuit.queue_url)
    return depth.visible == depth.hidden == depth.delayed == 0


def _next(step: str, reason: str, recovery: Recovery, checks: int) -> dict[str, Any]:
    logger.info(f"recovery: {step}", extra={"reason": reason, "step": recovery.step, "of": len(recovery.steps)})
    return {"next": step, "reason": reason, "step": recovery.step, "checks": checks}
