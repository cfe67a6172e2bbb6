"""The event that Lambda's own poller would send for a received message.

Shape: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html (example message event). A consumer that reads
messageId, attributes or eventSourceARN must see no difference between a probe and a poll.
"""

import base64
from collections.abc import Mapping
from typing import Any


def record_of(message: Mapping[str, Any], *, queue_arn: str) -> dict[str, Any]:
    """Return the Lambda event record for `message`, as answered by ReceiveMessage with all attributes asked for."""
    record: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def batch_event(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the event of a batch with this one record."""
    return {"Records": [dict(record)]}


def _attribute(value: Mapping[str, Any]) -> dict[str, Any]:
    attribute: dict[str, Any] = {}
    if "StringValue" in value:
        attribute["stringValue"] = value["StringValue"]
    if "BinaryValue" in value:
        attribute["binaryValue"] = base64.b64encode(value["BinaryValue"]).decode("ascii")
    attribute["stringListValues"] = list(value.get("StringListValues", []))
    attribute["binaryListValues"] = [
        base64.b64encode(item).decode("ascii") for item in value.get("BinaryListValues", [])
    ]
    attribute["dataType"] = value["DataType"]
    return attribute
