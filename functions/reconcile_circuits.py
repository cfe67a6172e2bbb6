"""On a schedule: find what no running execution takes care of, and repair it."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, environment
from breaker.circuit_table import CircuitTable
from breaker.errors import NotReconciled
from breaker.reconciliation import Finding, Reconciler

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Reconcile every registered circuit. One that cannot be reconciled does not keep the others from it.

    Input
        The event that started it: the schedule's, or the state machine's own failure.
    Output
        What was found, by circuit: NOTHING, OWNED, TOO_EARLY, BEING_REMOVED, LEFT_PAUSED, RESUMED, RELEASED or
        TRIPPED.
    Raises
        NotReconciled after all others were reconciled, so that the function's errors raise an alarm.
    """
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    reconciler = Reconciler(
        table,
        clients.stepfunctions(),
        clients.lambda_control(),
        clients.cloudwatch(),
        clients.sqs(),
        environment.state_machine(),
        early=event.get("source") == "aws.states",
    )
    findings: dict[str, Finding] = {}
    failed: list[str] = []
    for name in table.names():
        try:
            record = table.load(name)
            if record is None:
                findings[name] = Finding.NOTHING
                continue
            findings[name] = reconciler.reconcile(record)
            # Last, because it can wait, and resuming cannot.
            reconciler.warn_of_retention(record)
        except Exception as error:
            logger.exception("not reconciled", extra={"circuit": name})
            failed.append(f"{name} ({type(error).__name__})")
    logger.info("reconciled", extra={"findings": findings})
    if failed:
        raise NotReconciled(f"circuit: {', '.join(failed)} could not be reconciled; the others were")
    return {name: finding.value for name, finding in findings.items()}
