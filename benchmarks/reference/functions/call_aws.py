"""Stands in for the SDK integrations of Step Functions that the emulator does not have. Answers as they do on AWS."""

import os
from functools import cache
from typing import Any

import boto3
from botocore.exceptions import ClientError

_QUEUE_REFUSES = ("ReceiptHandleIsInvalid",)


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Make the one call that ``event`` asks for.

    Input: ``{"call": "sqs:ReceiveMessage", "request": {...}}``, the request as the API has it.
    Output: the API's answer, without its metadata. A receive that found nothing has no ``Messages``.
    Raises: what the API refuses.
    """
    service, operation = event["call"].split(":")
    calls = {
        "UpdateEventSourceMapping": "update_event_source_mapping",
        "ReceiveMessage": "receive_message",
        "DeleteMessage": "delete_message",
        # Changes nothing: it has the function start before it is needed, because an integration needs no start.
        "GetQueueUrl": "get_queue_url",
    }
    try:
        answer: dict[str, Any] = getattr(_client(service), calls[operation])(**event["request"])
    except ClientError as error:
        # AWS accepts an old handle of a standard queue, and deletes nothing.
        if operation == "DeleteMessage" and error.response["Error"]["Code"] in _QUEUE_REFUSES:
            return {}
        raise
    kept = {name: value for name, value in answer.items() if name in ("Messages", "UUID", "State")}
    return kept if kept.get("Messages") or operation != "ReceiveMessage" else {}


@cache
def _client(service: str) -> Any:
    return boto3.client(service, region_name=os.environ["AWS_REGION"])  # type: ignore[call-overload]
