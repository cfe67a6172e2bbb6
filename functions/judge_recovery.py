"""Look at what followed the last step of a recovery, and say how it goes on."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment, source_queue
from breaker.alarm import rang_since
from breaker.circuit_table import CircuitTable
from breaker.health import Health, Judgement, judge
from breaker.mapping import read_mapping
from breaker.metrics import Metrics, health_rule
from breaker.ownership import owned_record
from breaker.recovery import TRIALS, Recovery, current
from breaker.state_document import Circuit, StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judge the current step.

    Input
        The state document with `closing` and `enabled`, and `recovery` from the second look on.
    Output
        `{"next": "WAIT" | "RAISE" | "END" | "REOPEN", "reason": <one line>, "step": n, "checks": n}`. END also where
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
    judgement = _judge(document.circuit, recovery, success_needed=success_needed)
    step = {
        Health.UNDECIDED: "WAIT",
        Health.BAD: "REOPEN",
        Health.GOOD: "END" if recovery.is_last else "RAISE",
    }[judgement.health]
    return _next(step, judgement.reason, recovery, checks)


def _judge(circuit: Circuit, recovery: Recovery, *, success_needed: bool) -> Judgement:
    began, now = clock.parse(recovery.began).timestamp(), clock.now().timestamp()
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
