"""The event that Lambda's own poller would send."""

import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from breaker.lambda_record import batch_event, record_of

QUEUE_ARN = "arn:aws:sqs:us-east-2:123456789012:my-queue"

# The first message of https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example Amazon SQS message event
# (standard queue)", byte for byte but for white space.
DOCUMENTED = """
{
    "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
    "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
    "body": "Test message.",
    "attributes": {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1545082649183",
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": "1545082649185"
    },
    "messageAttributes": {
        "myAttribute": {
            "stringValue": "myValue",
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": "String"
        }
    },
    "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
    "eventSource": "aws:sqs",
    "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
    "awsRegion": "us-east-2"
}
"""

# The same message as ReceiveMessage answers it.
RECEIVED: dict[str, Any] = {
    "MessageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
    "ReceiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
    "MD5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
    "Body": "Test message.",
    "Attributes": {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": "1545082649183",
        "SenderId": "AIDAIENQZJOLO23YVJ4VO",
        "ApproximateFirstReceiveTimestamp": "1545082649185",
    },
    "MessageAttributes": {"myAttribute": {"StringValue": "myValue", "DataType": "String"}},
}


def test_record_of_documented_message_is_the_documented_record_byte_for_byte() -> None:
    record = record_of(RECEIVED, queue_arn=QUEUE_ARN)
    assert json.dumps(record) == json.dumps(json.loads(DOCUMENTED))


def test_record_of_message_without_attributes_has_them_empty() -> None:
    received = {name: value for name, value in RECEIVED.items() if name != "MessageAttributes"}
    record = record_of(received, queue_arn=QUEUE_ARN)
    assert record["messageAttributes"] == {}
    assert "md5OfMessageAttributes" not in record


def test_record_of_checksum_of_attributes_is_kept() -> None:
    record = record_of({**RECEIVED, "MD5OfMessageAttributes": "00484c68"}, queue_arn=QUEUE_ARN)
    assert record["md5OfMessageAttributes"] == "00484c68"


def test_record_of_fifo_message_keeps_every_system_attribute() -> None:
    system = {
        **RECEIVED["Attributes"],
        "SequenceNumber": "18849496460467696128",
        "MessageGroupId": "1",
        "MessageDeduplicationId": "1",
        "AWSTraceHeader": "Root=1-5759e988-bd862e3fe1be46a994272793",
        "DeadLetterQueueSourceArn": "arn:aws:sqs:us-east-2:123456789012:other.fifo",
    }
    record = record_of({**RECEIVED, "Attributes": system}, queue_arn=f"{QUEUE_ARN}.fifo")
    assert record["attributes"] == system
    assert record["eventSourceARN"] == f"{QUEUE_ARN}.fifo"


@given(st.binary(max_size=200))
def test_record_of_binary_attribute_is_base64_text(data: bytes) -> None:
    received = {**RECEIVED, "MessageAttributes": {"picture": {"BinaryValue": data, "DataType": "Binary.png"}}}
    attribute = record_of(received, queue_arn=QUEUE_ARN)["messageAttributes"]["picture"]
    assert list(attribute) == ["binaryValue", "stringListValues", "binaryListValues", "dataType"]
    assert base64.b64decode(attribute["binaryValue"], validate=True) == data
    assert attribute["dataType"] == "Binary.png"


def test_record_of_lists_are_kept_where_sqs_sends_any() -> None:
    lists = {"StringListValues": ["a"], "BinaryListValues": [b"b"], "DataType": "String"}
    attribute = record_of({**RECEIVED, "MessageAttributes": {"both": lists}}, queue_arn=QUEUE_ARN)
    assert attribute["messageAttributes"]["both"] == {
        "stringListValues": ["a"],
        "binaryListValues": ["Yg=="],
        "dataType": "String",
    }


@given(body=st.text(), name=st.text(min_size=1), value=st.text())
def test_record_of_any_text_survives_the_way_to_the_target(body: str, name: str, value: str) -> None:
    received = {
        **RECEIVED,
        "Body": body,
        "MessageAttributes": {name: {"StringValue": value, "DataType": "String"}},
    }
    event = json.loads(json.dumps(batch_event(record_of(received, queue_arn=QUEUE_ARN))))
    assert event["Records"][0]["body"] == body
    assert event["Records"][0]["messageAttributes"][name]["stringValue"] == value


def test_batch_event_is_a_batch_of_one() -> None:
    assert batch_event({"messageId": "a"}) == {"Records": [{"messageId": "a"}]}
