"""Looks at what is around a circuit, for its status. Changes nothing."""

from typing import TYPE_CHECKING

from breaker import clock, source_queue
from breaker.alarm import most_urgent_state
from breaker.circuit_table import REMOVAL_PREFIX, Record
from breaker.mapping import read_mapping
from breaker.metrics import Metrics
from breaker.ownership import execution_status
from breaker.status import Figures

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient


def observe(
    record: Record,
    *,
    functions: "LambdaClient",
    sqs: "SQSClient",
    cloudwatch: "CloudWatchClient",
    stepfunctions: "SFNClient",
) -> Figures:
    """Return the figures of a circuit as they are now.

    Raises
    ------
    MappingNotSettled
        Lambda cannot say at the moment.
    """
    depth = source_queue.read_depth(sqs, record.circuit.queue_url)
    age = Metrics(cloudwatch, record.circuit).age_of_oldest_message(now=clock.now().timestamp())
    empty = depth.visible == depth.hidden == depth.delayed == 0
    is_execution = record.owner and not record.owner.startswith(REMOVAL_PREFIX)
    return Figures(
        mapping=read_mapping(functions, record.circuit.mapping_id).state,
        alarm=most_urgent_state(cloudwatch, record.circuit.settings["AlarmNames"]) or "",
        owner=execution_status(stepfunctions, record.owner) if is_execution else "",
        visible=depth.visible,
        hidden=depth.hidden,
        delayed=depth.delayed,
        # The metric is late: it may still tell of a message that has gone.
        oldest_seconds=0 if empty else round(age),
    )
