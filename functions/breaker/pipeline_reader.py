"""Reads a pipeline for `breaker.findings`, with boto3 clients passed in.

What a circuit needs is read by `breaker.pipeline_parts`. This turns it into facts, and looks at what stands around it:
the reserved concurrency, the dead-letter queue, the function's calls. Whoever asks may lack the permission for these;
the rest is read anyway.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from breaker import clock
from breaker.finding import AlarmTiming, function_of
from breaker.pipeline import (
    DeadLetterFacts,
    FunctionFacts,
    MappingFacts,
    Pipeline,
    QueueFacts,
    Unread,
)
from breaker.pipeline_parts import QUEUE_MISSING, Parts
from breaker.retention import DEFAULT_RETENTION_SECONDS

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# AWS's services do not agree on a name for it.
REFUSED = {"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"}
_HOUR_SECONDS = 3_600
_IDEMPOTENCY_DISABLED = "POWERTOOLS_IDEMPOTENCY_DISABLED"


def facts_of(parts: Parts, *, named_as: str) -> Pipeline:
    """Return the facts that are in the answers, without a further call.

    Parameters
    ----------
    named_as
        The function as the settings name it.
    """
    mapping = mapping_facts(parts.mapping)
    variables = (parts.function.get("Environment") or {}).get("Variables") or {}
    redrive = parts.redrive_policy
    function = function_of(parts.target)
    return Pipeline(
        function=FunctionFacts(
            name=named_as,
            arn=parts.target,
            timeout_seconds=parts.function["Timeout"],
            environment_names=tuple(sorted(variables)),
            idempotency_disabled=variables.get(_IDEMPOTENCY_DISABLED, "").lower()
            in ("1", "true", "yes", "on", "y", "t"),
        ),
        queue=QueueFacts(
            arn=parts.queue_arn,
            visibility_timeout_seconds=int(parts.queue["VisibilityTimeout"]),
            max_receive_count=int(redrive["maxReceiveCount"]) if redrive else None,
            dead_letter_arn=redrive.get("deadLetterTargetArn", ""),
            retention_seconds=int(parts.queue.get("MessageRetentionPeriod", DEFAULT_RETENTION_SECONDS)),
            delay_seconds=int(parts.queue.get("DelaySeconds", 0)),
            kms_key=parts.queue.get("KmsMasterKeyId", ""),
            hidden_messages=int(parts.queue.get("ApproximateNumberOfMessagesNotVisible", 0)),
        ),
        mapping=mapping,
        others=tuple(
            mapping_facts(other)
            for other in parts.mappings
            if other["UUID"] != mapping.id
            and (other.get("EventSourceArn") == mapping.source or function_of(other["FunctionArn"]) == function)
        ),
    )


def mapping_facts(mapping: Mapping[str, Any]) -> MappingFacts:
    """Return the facts of one mapping, as ListEventSourceMappings shows it."""
    criteria = mapping.get("FilterCriteria")
    return MappingFacts(
        id=mapping["UUID"],
        target=mapping["FunctionArn"],
        source=mapping.get("EventSourceArn", ""),
        state=mapping.get("State", ""),
        batch_size=mapping.get("BatchSize", 10),
        batching_window_seconds=mapping.get("MaximumBatchingWindowInSeconds") or 0,
        filters=tuple(str(each["Pattern"]) for each in (criteria or {}).get("Filters", []) if each.get("Pattern")),
        # ListEventSourceMappings does not show encrypted patterns.
        filters_hidden=bool(mapping.get("KMSKeyArn")) and criteria is None,
        partial_batch_response="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
        maximum_concurrency=(mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", 0),
        provisioned=bool(mapping.get("ProvisionedPollerConfig")),
        counts_events="EventCount" in (mapping.get("MetricsConfig") or {}).get("Metrics", []),
    )


def read_reserved_concurrency(client: "LambdaClient", function_arn: str) -> int | Unread | None:
    """Return the function's reserved concurrency, None where none is reserved."""
    unqualified = function_of(function_arn)
    try:
        return client.get_function_concurrency(FunctionName=unqualified).get("ReservedConcurrentExecutions")
    except ClientError as error:
        return _unread(
            error, "TargetFunction", "the reserved concurrency", f"lambda:GetFunctionConcurrency on {unqualified}"
        )


def read_dead_letter_queue(client: "SQSClient", arn: str) -> DeadLetterFacts | Unread:
    """Return what there is to know of a dead-letter queue."""
    account, name = arn.split(":")[4:6]
    needs = "sqs:GetQueueUrl"
    try:
        url = client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        needs = "sqs:GetQueueAttributes"
        attributes = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except ClientError as error:
        if error.response["Error"]["Code"] in QUEUE_MISSING:
            return DeadLetterFacts(exists=False)
        return _unread(error, "QueueArn", "the dead-letter queue", f"{needs} on {arn}")
    return DeadLetterFacts(
        exists=True,
        retention_seconds=int(attributes.get("MessageRetentionPeriod", DEFAULT_RETENTION_SECONDS)),
        messages=int(attributes.get("ApproximateNumberOfMessages", 0)),
    )


def read_calls_last_day(client: "CloudWatchClient", function_arn: str) -> int | Unread:
    """Return how often the function was called in the last day, by whatever called it."""
    name, now = function_arn.split(":")[6], clock.now()
    try:
        answer = client.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName="Invocations",
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=now - timedelta(days=1),
            EndTime=now,
            Period=_HOUR_SECONDS,
            Statistics=["Sum"],
        )
    except ClientError as error:
        return _unread(
            error, "TargetFunction", "the function's calls of the last day", "cloudwatch:GetMetricStatistics"
        )
    return round(sum(point["Sum"] for point in answer["Datapoints"]))


def read_alarm_timing(client: "CloudWatchClient", name: str) -> AlarmTiming | None:
    """Return how long a metric alarm takes, None where there is no such alarm."""
    alarms = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    if not alarms:
        return None
    alarm = alarms[0]
    periods = [metric["MetricStat"]["Period"] for metric in alarm.get("Metrics", []) if "MetricStat" in metric]
    periods += [metric["Period"] for metric in alarm.get("Metrics", []) if "Period" in metric]
    return AlarmTiming(
        period_seconds=alarm.get("Period") or max(periods, default=AlarmTiming.period_seconds),
        datapoints=alarm.get("DatapointsToAlarm") or alarm.get("EvaluationPeriods") or AlarmTiming.datapoints,
    )


def _unread(error: ClientError, field: str, part: str, needs: str) -> Unread:
    if error.response["Error"]["Code"] in REFUSED:
        return Unread(field, part, needs)
    raise error
