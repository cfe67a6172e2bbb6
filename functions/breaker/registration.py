"""Finds out what belongs to a circuit, and refuses what does not belong together or cannot work."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker.errors import InvalidSetting
from breaker.finding import AlarmTiming, Level, Plan
from breaker.findings import find, refuse
from breaker.pipeline import Pipeline
from breaker.pipeline_parts import find_parts, read_queue
from breaker.pipeline_reader import facts_of, read_alarm_timing
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
        parts = find_parts(
            self.functions,
            self.queues,
            target=settings["TargetFunction"],
            queue_arn=settings["QueueArn"],
            mapping_id=settings["MappingId"],
        )
        alarms = [self.alarm_timing(name) for name in settings["AlarmNames"]]
        pipeline = facts_of(parts, named_as=settings["TargetFunction"])
        # The slowest: which of them rings first depends on how the target fails.
        judge_pipeline(pipeline, settings, max(alarms, key=lambda alarm: alarm.seconds))
        return Circuit(
            name=settings["CircuitName"],
            target=parts.target,
            target_timeout_seconds=pipeline.function.timeout_seconds,
            queue_url=parts.queue_url,
            queue_arn=parts.queue_arn,
            mapping_id=pipeline.mapping.id,
            max_receive_count=pipeline.queue.max_receive_count,
            partial_batch_response=pipeline.mapping.partial_batch_response,
            settings=settings,
            filters=[*pipeline.mapping.filters],
            visibility_timeout_seconds=pipeline.queue.visibility_timeout_seconds,
            dead_letter_queue_arn=pipeline.queue.dead_letter_arn,
            dead_letter_queue_url=self._url_to_redrive_from(settings, pipeline),
        )

    def alarm_timing(self, name: str) -> AlarmTiming:
        """Return how long the alarm takes.

        Raises
        ------
        InvalidSetting
            There is no such alarm.
        """
        timing = read_alarm_timing(self.alarms, name)
        if timing is None:
            raise InvalidSetting(f"AlarmNames: {name!r} must be a metric alarm of this account and Region")
        return timing

    def _url_to_redrive_from(self, settings: dict[str, Any], pipeline: Pipeline) -> str:
        """Return the URL of the dead-letter queue, "" where no redrive is asked for."""
        if not settings["Redrive"]:
            return ""
        arn = pipeline.queue.dead_letter_arn
        found = read_queue(self.queues, arn)
        if found is None:
            raise InvalidSetting(f"Redrive: True: the dead-letter queue {arn!r} must be an existing queue")
        url, dead_letter_queue = found
        if dead_letter_queue.get("RedrivePolicy"):
            raise InvalidSetting(
                f"Redrive: True must not be used where the dead-letter queue {arn!r} has a dead-letter queue itself:"
                " each receive of a redrive would bring a message closer to it"
            )
        return url


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
