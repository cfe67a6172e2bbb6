"""Finds out what belongs to a circuit, and refuses what does not belong together or cannot work."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

from breaker.errors import InvalidSetting, NotJoined
from breaker.finding import AlarmTiming, Level, Plan
from breaker.findings import find, refuse
from breaker.pipeline import Pipeline
from breaker.pipeline_reader import QUEUE_MISSING, Parts, facts_of, read_alarm_timing
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

logger = Logger()


@dataclass(frozen=True)
class Inspector:
    """Reads the pipeline that a circuit shall protect."""

    functions: "LambdaClient"
    queues: "SQSClient"
    alarms: "CloudWatchClient"

    def inspect(self, settings: dict[str, Any]) -> Circuit:
        """Return the circuit for these settings. What is worth a warning or a note goes to the log.

        Raises
        ------
        InvalidSetting
            Something does not exist, does not belong together or cannot work. The message names field, value and rule.
        """
        parts = self.find(settings)
        alarm = self.alarm_timing(settings["AlarmName"])
        pipeline = facts_of(parts, named_as=settings["TargetFunction"])
        judge_pipeline(pipeline, settings, alarm)
        return Circuit(
            name=settings["CircuitName"],
            target=parts.target,
            target_timeout_seconds=pipeline.function.timeout_seconds,
            queue_url=parts.queue_url,
            queue_arn=settings["QueueArn"],
            mapping_id=pipeline.mapping.id,
            max_receive_count=pipeline.queue.max_receive_count,
            partial_batch_response=pipeline.mapping.partial_batch_response,
            settings=settings,
            filters=[*pipeline.mapping.filters],
            visibility_timeout_seconds=pipeline.queue.visibility_timeout_seconds,
        )

    def find(self, settings: dict[str, Any]) -> Parts:
        """Return what belongs to the circuit.

        Raises
        ------
        InvalidSetting
            Something does not exist or does not belong together. The message names field, value and rule. NotJoined
            where function and queue exist, and no mapping joins them.
        """
        function = self._function(settings["TargetFunction"])
        target = _qualified_arn(function["FunctionArn"], settings["TargetFunction"])
        queue_url, queue = self._queue(settings["QueueArn"], target)
        mappings = self.mappings()
        mapping = _mapping(mappings, settings, target)
        return Parts(function, target, queue_url, settings["QueueArn"], queue, mapping, mappings)

    def mappings(self) -> list[dict[str, Any]]:
        """Return all event source mappings of the account and Region, in a steady order.

        All, because the others of the function and of the queue matter, too, and it is not documented whether a request
        for a function shows those of its aliases.
        """
        pages = self.functions.get_paginator("list_event_source_mappings").paginate()
        found: list[dict[str, Any]] = [{**mapping} for page in pages for mapping in page["EventSourceMappings"]]
        return sorted(found, key=lambda mapping: str(mapping["UUID"]))

    def alarm_timing(self, name: str) -> AlarmTiming:
        """Return how long the alarm takes.

        Raises
        ------
        InvalidSetting
            There is no such alarm.
        """
        timing = read_alarm_timing(self.alarms, name)
        if timing is None:
            raise InvalidSetting(f"AlarmName: {name!r} must be a metric alarm of this account and Region")
        return timing

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
            # All, because SQS refuses a request for an attribute that a queue of this kind cannot have.
            attributes = self.queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
        except ClientError as error:
            if error.response["Error"]["Code"] in QUEUE_MISSING:
                raise InvalidSetting(f"QueueArn: {arn!r} must be an existing queue") from None
            raise
        return url, {str(name): value for name, value in attributes["Attributes"].items()}


def judge_pipeline(pipeline: Pipeline, settings: dict[str, Any], alarm: AlarmTiming) -> None:
    """Say in the log what there is to say about the pipeline, and refuse what cannot work.

    Raises
    ------
    InvalidSetting
        The message names field, value and rule.
    """
    findings = find(pipeline, Plan(settings, alarm))
    for finding in findings:
        if finding.level is Level.ERROR:
            # Becomes the reason of the refusal, which is logged and told CloudFormation.
            continue
        say = logger.warning if finding.level is Level.WARNING else logger.info
        say(
            f"{finding.field}: {finding.what}",
            extra={
                "circuit": settings["CircuitName"],
                "finding": finding.rule,
                "kind": finding.level.value,
                "means": finding.means,
                "remedy": finding.remedy,
            },
        )
    refuse(findings)


def _mapping(mappings: list[dict[str, Any]], settings: dict[str, Any], target: str) -> dict[str, Any]:
    found = [
        mapping
        for mapping in mappings
        if mapping["FunctionArn"] == target and mapping.get("EventSourceArn") == settings["QueueArn"]
    ]
    wanted = settings["MappingId"]
    joining = f"joins {target} and {settings['QueueArn']}"
    if wanted:
        found = [mapping for mapping in found if mapping["UUID"] == wanted]
        if not found:
            raise InvalidSetting(f"MappingId: {wanted!r} must be the id of an event source mapping that {joining}")
    if not found:
        raise NotJoined(f"TargetFunction: {settings['TargetFunction']!r}: no event source mapping {joining}")
    if len(found) > 1:
        ids = ", ".join(sorted(mapping["UUID"] for mapping in found))
        raise InvalidSetting(f"MappingId: must name one of the mappings where several {joining}: {ids}")
    return found[0]


def _qualified_arn(function_arn: str, target: str) -> str:
    """Return the ARN that a mapping on `target` names: with its alias or version, if it has one."""
    unqualified = ":".join(function_arn.split(":")[:7])
    parts = target.split(":")
    qualifier = parts[7:] if parts[0] == "arn" else parts[1:]
    return ":".join([unqualified, *qualifier])
