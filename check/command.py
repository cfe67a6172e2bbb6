"""The command: find the pipeline, read what is around it, and report what there is to say."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from breaker.errors import InvalidSetting, NotJoined
from breaker.finding import AlarmTiming, Level, Plan
from breaker.findings import find
from breaker.pipeline import MappingFacts, Pipeline, Unread
from breaker.pipeline_parts import QUEUE_MISSING, find_parts, list_mappings
from breaker.pipeline_reader import (
    facts_of,
    mapping_facts,
    read_calls_last_day,
    read_dead_letter_queue,
    read_reserved_concurrency,
)
from breaker.registration import Inspector
from breaker.settings import read_settings
from check.options import Options, parse_options
from check.report import Checked, describe, write_json, write_table

WRONG_ARGUMENT = 2
# What the arguments are called here, by the settings' names.
_ARGUMENTS = {"TargetFunction": "FUNCTION", "QueueArn": "QUEUE", "MappingId": "MAPPING", "AlarmNames": "ALARM"}
_NO_SUCH_QUEUE = QUEUE_MISSING | {"InvalidParameterValue", "InvalidAddress", "QueueNameInvalid"}
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 4})


class WrongArgument(Exception):
    """An argument names something that is not there. The message names argument, value and rule."""


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> int:
    """Check a pipeline. Returns the exit code: 0, 1 for what registration would refuse, 2 for a wrong argument."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    try:
        checked = check(options)
    except WrongArgument as error:
        return _fail(str(error))
    except ClientError as error:
        answer = error.response["Error"]
        return _fail(f"{error.operation_name}: AWS answered {answer['Code']}: {answer.get('Message', '')}")
    except BotoCoreError as error:
        # No credentials, no Region, no such profile, no connection.
        return _fail(f"AWS cannot be asked: {error}")
    if options.as_json:
        write_json(checked, sys.stdout)
    else:
        write_table(checked, console or Console())
    return 1 if any(finding.level is Level.ERROR for finding in checked.findings) else 0


def check(options: Options) -> Checked:
    """Read the pipeline and judge it.

    Raises
    ------
    WrongArgument
        Something does not exist or does not belong together.
    """
    session = boto3.Session()
    functions, queues = session.client("lambda", config=_CONFIG), session.client("sqs", config=_CONFIG)
    metrics = session.client("cloudwatch", config=_CONFIG)
    inspector = Inspector(functions, queues, metrics)
    queue_arn = _queue_arn(queues, options.queue)
    try:
        settings = read_settings(
            {
                "CircuitName": "check",
                "TargetFunction": options.function,
                "QueueArn": queue_arn,
                "MappingId": options.mapping,
                "AlarmNames": [options.alarm or "built-in"],
            }
        )
        parts = find_parts(
            functions,
            queues,
            target=options.function,
            queue_arn=queue_arn,
            mapping_id=options.mapping,
        )
        alarm = inspector.alarm_timing(options.alarm) if options.alarm else AlarmTiming()
    except NotJoined as error:
        raise WrongArgument("\n".join([_renamed(error), *_alternatives(functions, options, queue_arn)])) from None
    except InvalidSetting as error:
        raise WrongArgument(_renamed(error)) from None
    pipeline = _with_surroundings(facts_of(parts, named_as=options.function), functions, queues)
    if not options.alarm:
        # How many calls an alarm of one's own wants is its owner's business.
        pipeline = _with_calls(pipeline, metrics)
    plan = Plan(settings, alarm, options.rate)
    return Checked(pipeline, plan, options.alarm, find(pipeline, plan))


def _with_surroundings(pipeline: Pipeline, functions: Any, queues: Any) -> Pipeline:
    """Add what only the check reads: it needs permissions that registration has no other use for."""
    reserved = read_reserved_concurrency(functions, pipeline.function.arn)
    dead = pipeline.queue.dead_letter_arn and read_dead_letter_queue(queues, pipeline.queue.dead_letter_arn)
    unread = tuple(part for part in (reserved, dead) if isinstance(part, Unread))
    return replace(
        pipeline,
        function=replace(pipeline.function, reserved_concurrency=None if isinstance(reserved, Unread) else reserved),
        dead_letter=None if isinstance(dead, Unread | str) else dead,
        unread=unread,
    )


def _with_calls(pipeline: Pipeline, metrics: Any) -> Pipeline:
    calls = read_calls_last_day(metrics, pipeline.function.arn)
    if isinstance(calls, Unread):
        return replace(pipeline, unread=(*pipeline.unread, calls))
    return replace(pipeline, function=replace(pipeline.function, calls_last_day=calls))


def _queue_arn(queues: Any, queue: str) -> str:
    if queue.startswith("arn:"):
        return queue
    try:
        url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
        attributes = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    except ClientError as error:
        if error.response["Error"]["Code"] in _NO_SUCH_QUEUE:
            raise WrongArgument(f"QUEUE: {queue!r} must be a queue of this account and Region") from None
        raise
    return str(attributes["Attributes"]["QueueArn"])


def _alternatives(functions: Any, options: Options, queue_arn: str) -> list[str]:
    """Return the mappings that there are of either, a line each."""
    name = options.function.removeprefix("arn:").rpartition(":function:")[2].split(":")[0]
    mappings: list[MappingFacts] = [mapping_facts(mapping) for mapping in list_mappings(functions)]
    found = [mapping for mapping in mappings if mapping.source == queue_arn or mapping.target.split(":")[6:7] == [name]]
    if not found:
        return ["Neither has any mapping."]
    return ["These mappings exist:", *(f"  {describe(mapping)}" for mapping in found)]


def _renamed(error: InvalidSetting) -> str:
    field, colon, rest = str(error).partition(":")
    return f"{_ARGUMENTS.get(field, field)}{colon}{rest}"


def _fail(message: str) -> int:
    Console(stderr=True).print(f"python -m check: error: {message}", markup=False, highlight=False, soft_wrap=True)
    return WRONG_ARGUMENT
