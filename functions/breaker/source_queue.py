"""The queue that the target reads from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# Long polling asks every server of the queue, so that few messages are not overlooked.
LONG_POLL_SECONDS = 5
# The receipt handle no longer stands for a hidden message: it was deleted, or its visibility ran out.
_HANDLE_GONE = {"MessageNotInflight", "ReceiptHandleIsInvalid", "InvalidParameterValue"}


@dataclass(frozen=True)
class Depth:
    """Approximate numbers of messages. SQS lets them settle for about a minute after the last change.

    Attributes
    ----------
    visible, hidden, delayed
        Ready to receive, received and not deleted, and not yet due.
    """

    visible: int
    hidden: int
    delayed: int


def receive(
    client: "SQSClient", queue_url: str, *, most: int, visibility_seconds: int, wait_seconds: int = LONG_POLL_SECONDS
) -> list[dict[str, Any]]:
    """Receive up to `most` messages with all their attributes, hidden for `visibility_seconds`."""
    answer = client.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=most,
        VisibilityTimeout=visibility_seconds,
        WaitTimeSeconds=wait_seconds,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return [dict(message) for message in answer.get("Messages", [])]


def delete(client: "SQSClient", queue_url: str, receipt_handle: str) -> bool:
    """Delete a message that was processed. Returns False if its handle had expired, so that it will come again."""
    try:
        client.delete_message(QueueUrl=queue_url, ReceiptHandle=receipt_handle)
    except ClientError as error:
        if error.response["Error"]["Code"].rpartition(".")[2] in _HANDLE_GONE:
            return False
        raise
    return True


def hide(client: "SQSClient", queue_url: str, visibilities: Sequence[tuple[str, int]]) -> list[bool]:
    """Set how long messages stay hidden from now: pairs of receipt handle and seconds, 0 shows a message at once.

    Returns, in the same order, whether each handle still stood for a hidden message. One that could not be changed for
    another reason, such as a throttle, still does: it comes back when its earlier visibility timeout ends.
    """
    gone: set[int] = set()
    for start in range(0, len(visibilities), 10):
        entries = [
            {"Id": str(start + offset), "ReceiptHandle": handle, "VisibilityTimeout": seconds}
            for offset, (handle, seconds) in enumerate(visibilities[start : start + 10])
        ]
        answer = client.change_message_visibility_batch(QueueUrl=queue_url, Entries=entries)  # type: ignore[arg-type]
        failed = answer.get("Failed", [])
        gone |= {int(entry["Id"]) for entry in failed if entry["Code"].rpartition(".")[2] in _HANDLE_GONE}
    return [index not in gone for index in range(len(visibilities))]


def read_depth(client: "SQSClient", queue_url: str) -> Depth:
    """Return the queue's approximate numbers of messages."""
    attributes = client.get_queue_attributes(
        QueueUrl=queue_url,
        AttributeNames=[
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ],
    )["Attributes"]
    return Depth(
        visible=int(attributes["ApproximateNumberOfMessages"]),
        hidden=int(attributes["ApproximateNumberOfMessagesNotVisible"]),
        delayed=int(attributes["ApproximateNumberOfMessagesDelayed"]),
    )


def retention_seconds(client: "SQSClient", queue_url: str) -> int:
    """Return how long the queue keeps a message."""
    answer = client.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["MessageRetentionPeriod"])
    return int(answer["Attributes"]["MessageRetentionPeriod"])


def receive_count(message: dict[str, Any]) -> int:
    """Return how often the message was received, this time included."""
    return int(message["Attributes"]["ApproximateReceiveCount"])


def sent_before(message: dict[str, Any], epoch_seconds: float) -> bool:
    """True when the message was sent before the moment."""
    return int(message["Attributes"]["SentTimestamp"]) < epoch_seconds * 1000
