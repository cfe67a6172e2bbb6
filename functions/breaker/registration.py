"""Finds out what belongs to a circuit, and refuses what does not belong together or cannot work."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from breaker.alarm import alarm_state
from breaker.errors import InvalidSetting
from breaker.filtering import UnknownPattern, check_filters
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# A probe waits for the target inside one handler, which Lambda ends after 900 s.
MAX_TARGET_TIMEOUT_SECONDS = 840

_QUEUE_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


@dataclass(frozen=True)
class Inspector:
    """Reads the pipeline that a circuit shall protect."""

    functions: "LambdaClient"
    queues: "SQSClient"
    alarms: "CloudWatchClient"

    def inspect(self, settings: dict[str, Any]) -> Circuit:
        """Return the circuit for these settings.

        Raises
        ------
        InvalidSetting
            Something does not exist, does not belong together or cannot work. The message names field, value and rule.
        """
        function = self._function(settings["TargetFunction"])
        target = _qualified_arn(function["FunctionArn"], settings["TargetFunction"])
        queue_url, queue = self._queue(settings["QueueArn"], target)
        mapping = self._mapping(settings, target)
        filters = _filters(mapping)
        self._check_together(settings, function, queue, filters)
        for name in settings["AlarmNames"]:
            if alarm_state(self.alarms, name) is None:
                raise InvalidSetting(f"AlarmNames: {name!r} must be a metric alarm of this account and Region")
        return Circuit(
            name=settings["CircuitName"],
            target=target,
            target_timeout_seconds=function["Timeout"],
            queue_url=queue_url,
            queue_arn=settings["QueueArn"],
            mapping_id=mapping["UUID"],
            max_receive_count=_max_receive_count(queue),
            partial_batch_response="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
            settings=settings,
            filters=filters,
            visibility_timeout_seconds=int(queue["VisibilityTimeout"]),
        )

    def _function(self, target: str) -> Any:
        try:
            return self.functions.get_function_configuration(FunctionName=target)
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise InvalidSetting(
                    f"TargetFunction: {target!r} must be a function, alias or version of this account and Region"
                ) from None
            raise

    def _queue(self, arn: str, target: str) -> tuple[str, dict[str, str]]:
        region, account, name = arn.split(":")[3:6]
        if target.split(":")[3:5] != [region, account]:
            raise InvalidSetting(f"QueueArn: {arn!r} must be in the account and Region of the target, {target!r}")
        try:
            url = self.queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
            attributes = self.queues.get_queue_attributes(
                QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _QUEUE_MISSING:
                raise InvalidSetting(f"QueueArn: {arn!r} must be an existing queue") from None
            raise
        return url, {str(name): value for name, value in attributes["Attributes"].items()}

    def _mapping(self, settings: dict[str, Any], target: str) -> dict[str, Any]:
        pages = self.functions.get_paginator("list_event_source_mappings").paginate(
            FunctionName=target, EventSourceArn=settings["QueueArn"]
        )
        found: list[dict[str, Any]] = [
            {**mapping}
            for page in pages
            for mapping in page["EventSourceMappings"]
            if mapping["FunctionArn"] == target and mapping["EventSourceArn"] == settings["QueueArn"]
        ]
        wanted = settings["MappingId"]
        joining = f"joins {target} and {settings['QueueArn']}"
        if wanted:
            found = [mapping for mapping in found if mapping["UUID"] == wanted]
            if not found:
                raise InvalidSetting(f"MappingId: {wanted!r} must be the id of an event source mapping that {joining}")
        if not found:
            raise InvalidSetting(f"TargetFunction: {settings['TargetFunction']!r}: no event source mapping {joining}")
        if len(found) > 1:
            ids = ", ".join(sorted(mapping["UUID"] for mapping in found))
            raise InvalidSetting(f"MappingId: must name one of the mappings where several {joining}: {ids}")
        return found[0]

    @staticmethod
    def _check_together(settings: dict[str, Any], function: Any, queue: dict[str, str], filters: list[str]) -> None:
        timeout = function["Timeout"]
        if timeout > MAX_TARGET_TIMEOUT_SECONDS:
            raise InvalidSetting(
                f"TargetFunction: {settings['TargetFunction']!r} has a timeout of {timeout} s;"
                f" it must be at most {MAX_TARGET_TIMEOUT_SECONDS} s, so that a probe can wait for it"
            )
        visibility = int(queue["VisibilityTimeout"])
        if visibility < timeout:
            raise InvalidSetting(
                f"QueueArn: the queue's visibility timeout of {visibility} s must be at least the target's timeout of"
                f" {timeout} s, or Lambda refuses to enable the mapping again"
            )
        if settings["QueueArn"].endswith(".fifo") and settings["Recovery"] == "REJITTER":
            raise InvalidSetting(
                "Recovery: 'REJITTER' must not be used with a FIFO queue: it would break the order, and SQS would drop"
                " copies as duplicates"
            )
        if filters and _max_receive_count(queue) == 1:
            raise InvalidSetting(
                f"QueueArn: {settings['QueueArn']!r} has a maxReceiveCount of 1; it must be at least 2 where the"
                " mapping has filters, or a probe would use up the only receive of messages that the mapping drops"
            )


def _qualified_arn(function_arn: str, target: str) -> str:
    """Return the ARN that a mapping on `target` names: with its alias or version, if it has one."""
    unqualified = ":".join(function_arn.split(":")[:7])
    parts = target.split(":")
    qualifier = parts[7:] if parts[0] == "arn" else parts[1:]
    return ":".join([unqualified, *qualifier])


def _filters(mapping: dict[str, Any]) -> list[str]:
    """Return the mapping's filter patterns, if a probe can apply them."""
    criteria = mapping.get("FilterCriteria")
    if mapping.get("KMSKeyArn") and criteria is None:
        # ListEventSourceMappings does not show encrypted patterns.
        raise InvalidSetting(
            f"MappingId: {mapping['UUID']!r} must not have a KMS key: a probe cannot apply encrypted filters"
        )
    filters = [str(each["Pattern"]) for each in (criteria or {}).get("Filters", []) if each.get("Pattern")]
    try:
        check_filters(filters)
    except UnknownPattern as error:
        raise InvalidSetting(
            f"MappingId: {mapping['UUID']!r} has a filter that a probe cannot apply as Lambda does: {error}"
        ) from None
    return filters


def _max_receive_count(queue: dict[str, str]) -> int | None:
    policy = queue.get("RedrivePolicy")
    return int(json.loads(policy)["maxReceiveCount"]) if policy else None
