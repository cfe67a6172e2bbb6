"""Finds out what belongs to a circuit, and refuses what does not belong together or cannot work."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breaker.alarm import alarm_state
from breaker.errors import InvalidSetting
from breaker.filtering import UnknownPattern, check_filters
from breaker.pipeline import Pipeline, find_pipeline
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# A probe waits for the target inside one handler, which Lambda ends after 900 s.
MAX_TARGET_TIMEOUT_SECONDS = 840


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
        pipeline = find_pipeline(
            self.functions,
            self.queues,
            target=settings["TargetFunction"],
            queue_arn=settings["QueueArn"],
            mapping_id=settings["MappingId"],
        )
        mapping = pipeline.mapping
        filters = _filters(mapping)
        self._check_together(settings, pipeline, filters)
        for name in settings["AlarmNames"]:
            if alarm_state(self.alarms, name) is None:
                raise InvalidSetting(f"AlarmNames: {name!r} must be a metric alarm of this account and Region")
        return Circuit(
            name=settings["CircuitName"],
            target=pipeline.target,
            target_timeout_seconds=pipeline.function["Timeout"],
            queue_url=pipeline.queue_url,
            queue_arn=pipeline.queue_arn,
            mapping_id=pipeline.mapping_id,
            max_receive_count=_max_receive_count(pipeline),
            partial_batch_response="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or []),
            settings=settings,
            filters=filters,
            visibility_timeout_seconds=int(pipeline.queue["VisibilityTimeout"]),
        )

    @staticmethod
    def _check_together(settings: dict[str, Any], pipeline: Pipeline, filters: list[str]) -> None:
        timeout = pipeline.function["Timeout"]
        if timeout > MAX_TARGET_TIMEOUT_SECONDS:
            raise InvalidSetting(
                f"TargetFunction: {settings['TargetFunction']!r} has a timeout of {timeout} s;"
                f" it must be at most {MAX_TARGET_TIMEOUT_SECONDS} s, so that a probe can wait for it"
            )
        visibility = int(pipeline.queue["VisibilityTimeout"])
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
        if filters and _max_receive_count(pipeline) == 1:
            raise InvalidSetting(
                f"QueueArn: {settings['QueueArn']!r} has a maxReceiveCount of 1; it must be at least 2 where the"
                " mapping has filters, or a probe would use up the only receive of messages that the mapping drops"
            )


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


def _max_receive_count(pipeline: Pipeline) -> int | None:
    policy = pipeline.redrive_policy
    return int(policy["maxReceiveCount"]) if policy else None
