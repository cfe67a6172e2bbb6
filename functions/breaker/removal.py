"""Takes a circuit away, at any moment of an incident: the pipeline goes on as if it had never been there."""

from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from breaker import clock, source_queue
from breaker.announcements import Announcement, Change, announce
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import MappingNotSettled
from breaker.incident_report import REMOVED, report
from breaker.mapping import read_mapping, switch_mapping
from breaker.recovery import limit_to_restore
from breaker.toll import UNKNOWN

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient

logger = Logger()

_POLL_SECONDS = 3
# The timeout of the functions that switch the mapping, in template.yaml.
_LONGEST_SWITCHING_STEP_SECONDS = 60
# Enabling takes well under a minute as far as is known; the rest is for a mapping busy with other changes.
_LONGEST_WAIT_SECONDS = 480


def remove_circuit(
    table: CircuitTable,
    name: str,
    *,
    remover: str,
    sqs: "SQSClient",
    functions: "LambdaClient",
    stepfunctions: "SFNClient",
) -> None:
    """Stop a running incident, hand held messages back, leave the mapping enabled, forget the circuit.

    A CLOSED circuit's mapping is not touched: if it is disabled, somebody else did that.

    Raises
    ------
    MappingNotSettled
        The mapping could not be enabled in time. The circuit is kept, so that removing it can be tried again.
    """
    # First, so that a step still under way loses its claim before anything is handed back.
    record = table.seize(name, owner=remover)
    if record is None:
        return
    for execution in (record.owner, record.successor):
        _stop(stepfunctions, execution)
    _hand_back(table, record, remover=remover, sqs=sqs)
    if record.intent == "DISABLE":
        # Stopping an execution does not stop its step, and one that was about to disable the mapping still may.
        clock.sleep(_LONGEST_SWITCHING_STEP_SECONDS)
    if record.state is not CircuitState.CLOSED or record.intent:
        _enable(functions, record)
        _announce_end(table, record)
    table.release_mapping(record.circuit.mapping_id, circuit=name)
    table.remove(name)


def _stop(stepfunctions: "SFNClient", execution: str) -> None:
    if ":execution:" not in execution:
        return
    try:
        stepfunctions.stop_execution(executionArn=execution, error="CircuitRemoved", cause="the circuit was removed")
    except stepfunctions.exceptions.ExecutionDoesNotExist:
        logger.info("the owner's execution is gone already", extra={"execution": execution})


def _hand_back(table: CircuitTable, record: Record, *, remover: str, sqs: "SQSClient") -> None:
    held = table.held(record.circuit.name)
    # One whose next receive would dead-letter it is shown too: its only other way out is the same, hours later.
    try:
        source_queue.hide(sqs, record.circuit.queue_url, [(message.receipt_handle, 0) for message in held])
    except ClientError as error:
        # A queue that is gone holds nothing back; the circuit must still be removable.
        logger.warning("held messages could not be shown", extra={"error": error.response["Error"]["Code"]})
    for message in held:
        table.let_go(record.circuit.name, message, owner=remover)


def _enable(functions: "LambdaClient", record: Record) -> None:
    """Enable the mapping with its owner's settings and wait until it is."""
    mapping_id = record.circuit.mapping_id
    deadline = clock.now().timestamp() + _LONGEST_WAIT_SECONDS
    while True:
        try:
            mapping = read_mapping(functions, mapping_id)
            limit = limit_to_restore(record, mapping)
            if mapping.is_gone:
                logger.info("the mapping is gone already", extra={"mapping": mapping_id})
                return
            if mapping.state == "Enabled" and limit is None:
                return
            if not mapping.is_on or limit is not None:
                switch_mapping(functions, mapping_id, enabled=True, maximum_concurrency=limit)
        except MappingNotSettled:
            logger.info("the mapping is busy", extra={"mapping": mapping_id})
        if clock.now().timestamp() > deadline:
            raise MappingNotSettled(
                f"MappingId: {mapping_id!r} could not be enabled within {_LONGEST_WAIT_SECONDS} s; try again"
            )
        clock.sleep(_POLL_SECONDS)


def _announce_end(table: CircuitTable, record: Record) -> None:
    """Say that the incident is over, because its circuit is going. A removal asks CloudWatch for nothing."""
    name, incident = record.circuit.name, record.incident
    sequence = table.next_sequence(name, incident=incident["id"])
    if sequence is None:
        return
    announce(
        Announcement(
            circuit=name,
            incident=incident["id"],
            sequence=sequence,
            change=Change.CLOSED,
            before=record.state.value,
            after=CircuitState.CLOSED.value,
            reason=f"the circuit was removed: {REMOVED}",
            details={"report": report(incident, circuit=name, outcome=REMOVED, toll=UNKNOWN, now=clock.now())},
        )
    )
