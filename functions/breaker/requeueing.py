"""Queues messages again: a copy is sent, and the original goes only once its copy is accepted, entry by entry.

A copy gets a new message id, send time and receive count; SQS offers nothing else. A process that ends between the two
leaves a duplicate, never a gap.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_BATCH_BYTES = 1_048_576
MAX_DELAY_SECONDS = 900
BATCH_MESSAGES = 10


@dataclass(frozen=True)
class Requeued:
    """What became of the messages.

    Attributes
    ----------
    copied
        Originals whose copy was accepted.
    duplicated
        How many of these could not be deleted, so that they will come again.
    """

    copied: list[dict[str, Any]]
    duplicated: int


@dataclass(frozen=True)
class Requeuer:
    """Sends copies to one queue and deletes the originals from the same, or another.

    Attributes
    ----------
    from_url, to_url
        The queue of the originals, and that of the copies.
    delay
        Returns how many seconds the next copy is delayed; None leaves that to the queue.
    """

    client: "SQSClient"
    from_url: str
    to_url: str
    delay: Callable[[], int] | None = None

    def requeue(self, messages: Sequence[dict[str, Any]]) -> Requeued:
        """Queue received messages again, at most a batch of them."""
        accepted: list[dict[str, Any]] = []
        deleted = 0
        for part in _parts(messages):
            # Before the next part is sent, which may be refused outright: nothing may then be there twice.
            copied = self._send_copies(part)
            deleted += self._delete(copied)
            accepted += copied
        return Requeued(accepted, len(accepted) - deleted)

    def _send_copies(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        entries = [self._copy(number, message) for number, message in enumerate(messages)]
        answer = self.client.send_message_batch(QueueUrl=self.to_url, Entries=entries)  # type: ignore[arg-type]
        return [messages[int(entry["Id"])] for entry in answer.get("Successful", [])]

    def _copy(self, number: int, message: dict[str, Any]) -> dict[str, Any]:
        # The trace header stays behind: copied, it would count towards Lambda's recursive-loop detection.
        copy: dict[str, Any] = {"Id": str(number), "MessageBody": message["Body"]}
        if self.delay is not None:
            copy["DelaySeconds"] = min(MAX_DELAY_SECONDS, self.delay())
        if message.get("MessageAttributes"):
            copy["MessageAttributes"] = message["MessageAttributes"]
        if "MessageGroupId" in message["Attributes"]:
            copy["MessageGroupId"] = message["Attributes"]["MessageGroupId"]
        return copy

    def _delete(self, messages: Sequence[dict[str, Any]]) -> int:
        if not messages:
            return 0
        answer = self.client.delete_message_batch(
            QueueUrl=self.from_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ],
        )
        return len(answer.get("Successful", []))


def size_in_bytes(message: dict[str, Any]) -> int:
    """Return what a message counts against the limit of a batch: its body and attributes."""
    attributes = message.get("MessageAttributes", {})
    return len(message["Body"].encode()) + sum(
        len(name.encode())
        + len(value["DataType"].encode())
        + len(value.get("StringValue", "").encode())
        + len(value.get("BinaryValue", b""))
        for name, value in attributes.items()
    )


def _parts(messages: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Cut a batch so that each part keeps within the limit. One message always does, it came through the same queue."""
    part: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        bytes_of_message = size_in_bytes(message)
        if part and size + bytes_of_message > MAX_BATCH_BYTES:
            yield part
            part, size = [], 0
        part.append(message)
        size += bytes_of_message
    if part:
        yield part
