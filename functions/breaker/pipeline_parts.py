"""Finds a pipeline's parts by their names: function, queue and the event source mapping that joins them."""

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from breaker.errors import InvalidSetting, NotJoined

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

QUEUE_MISSING = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}


@dataclass(frozen=True)
class Parts:
    """What AWS answered about the parts of a pipeline that belong together.

    Attributes
    ----------
    function
        The function's configuration, as Lambda describes it.
    target
        The function's ARN, with the alias or version that the mapping names.
    queue
        The queue's attributes, as SQS writes them.
    mapping
        The event source mapping, as Lambda lists it.
    mappings
        All event source mappings of the account and Region.
    """

    function: dict[str, Any]
    target: str
    queue_arn: str
    queue_url: str
    queue: dict[str, str]
    mapping: dict[str, Any]
    mappings: list[dict[str, Any]]

    @property
    def mapping_id(self) -> str:
        """The mapping's UUID."""
        return str(self.mapping["UUID"])

    @property
    def mapping_arn(self) -> str:
        """The mapping's ARN, for permissions on exactly that one."""
        partition, _, region, account = self.target.split(":")[1:5]
        return f"arn:{partition}:lambda:{region}:{account}:event-source-mapping:{self.mapping_id}"

    @property
    def function_name(self) -> str:
        """The function's name, without alias or version: the dimension of its metrics."""
        return self.target.split(":")[6]

    @property
    def queue_name(self) -> str:
        """The queue's name: the dimension of its metrics."""
        return self.queue_arn.rpartition(":")[2]

    @property
    def dead_letter_queue_arn(self) -> str:
        """Where SQS moves messages that were received too often. Without such a queue, a name that none can have."""
        return str(self.redrive_policy.get("deadLetterTargetArn") or f"{self.queue_arn}.no-dead-letter-queue")

    @property
    def redrive_policy(self) -> dict[str, Any]:
        """Where SQS moves messages after how many receives; empty if it does not."""
        policy: dict[str, Any] = json.loads(self.queue.get("RedrivePolicy") or "{}")
        return policy


def find_parts(
    functions: "LambdaClient", queues: "SQSClient", *, target: str, queue_arn: str, mapping_id: str = ""
) -> Parts:
    """Return what makes up the pipeline of this function and queue.

    Parameters
    ----------
    target
        Function, alias or version, by name or ARN.
    mapping_id
        The mapping's UUID, "" for the only one there is.

    Raises
    ------
    InvalidSetting
        Something does not exist or does not belong together. The message names field, value and rule. NotJoined where
        function and queue exist, and no mapping joins them.
    """
    function = _function(functions, target)
    arn = _qualified_arn(function["FunctionArn"], target)
    queue_url, queue = _queue(queues, queue_arn, arn)
    mappings = list_mappings(functions)
    mapping = _mapping(mappings, named=target, target=arn, queue_arn=queue_arn, wanted=mapping_id)
    return Parts(function, arn, queue_arn, queue_url, queue, mapping, mappings)


def list_mappings(functions: "LambdaClient") -> list[dict[str, Any]]:
    """Return all event source mappings of the account and Region, in a steady order.

    All, because the others of the function and of the queue matter, too, and it is not documented whether a request for
    a function shows those of its aliases.
    """
    pages = functions.get_paginator("list_event_source_mappings").paginate()
    found: list[dict[str, Any]] = [{**mapping} for page in pages for mapping in page["EventSourceMappings"]]
    return sorted(found, key=lambda mapping: str(mapping["UUID"]))


def _function(functions: "LambdaClient", target: str) -> dict[str, Any]:
    try:
        return {**functions.get_function_configuration(FunctionName=target)}
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise InvalidSetting(
                f"TargetFunction: {target!r} must be a function, alias or version of this account and Region"
            ) from None
        raise


def _queue(queues: "SQSClient", arn: str, target: str) -> tuple[str, dict[str, str]]:
    if target.split(":")[3:5] != arn.split(":")[3:5]:
        raise InvalidSetting(f"QueueArn: {arn!r} must be in the account and Region of the target, {target!r}")
    found = read_queue(queues, arn)
    if found is None:
        raise InvalidSetting(f"QueueArn: {arn!r} must be an existing queue")
    return found


def read_queue(queues: "SQSClient", arn: str) -> tuple[str, dict[str, str]] | None:
    """Return a queue's URL and attributes, None if there is none of that name."""
    account, name = arn.split(":")[4:6]
    try:
        url = queues.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)["QueueUrl"]
        # All, because SQS refuses a request for an attribute that a queue of this kind cannot have.
        attributes = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    except ClientError as error:
        if error.response["Error"]["Code"] in QUEUE_MISSING:
            return None
        raise
    return url, {str(name): value for name, value in attributes["Attributes"].items()}


def _mapping(mappings: list[dict[str, Any]], *, named: str, target: str, queue_arn: str, wanted: str) -> dict[str, Any]:
    found = [
        mapping
        for mapping in mappings
        if mapping["FunctionArn"] == target and mapping.get("EventSourceArn") == queue_arn
    ]
    joining = f"joins {target} and {queue_arn}"
    if wanted:
        found = [mapping for mapping in found if mapping["UUID"] == wanted]
        if not found:
            raise InvalidSetting(f"MappingId: {wanted!r} must be the id of an event source mapping that {joining}")
    if not found:
        readers = sorted({mapping["FunctionArn"] for mapping in mappings if mapping.get("EventSourceArn") == queue_arn})
        there_is = f"the queue is read by {', '.join(readers)}" if readers else "nothing reads from that queue"
        raise NotJoined(f"TargetFunction: {named!r}: no event source mapping {joining}; {there_is}")
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
