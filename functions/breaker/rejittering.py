"""Spreads a backlog: each message is queued again with a random delay, and the original goes once its copy is accepted.

A copy gets a new message id, send time and receive count; SQS offers nothing else. FIFO queues are never re-jittered:
their deduplication would drop copies, and they take no delay a message.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breaker import source_queue

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
MAX_BATCH_BYTES = 1_048_576
MAX_DELAY_SECONDS = 900
BATCH_MESSAGES = 10
# The whole sweep. What is left after it simply flows.
LONGEST_SWEEP_SECONDS = 600
# One run of the step, so that progress is written down and a retry repeats little. What is received stays hidden for
# longer, so that no run receives a message twice.
LONGEST_RUN_SECONDS = 240
_VISIBILITY_SECONDS = LONGEST_RUN_SECONDS + 60


@dataclass(frozen=True)
class Batch:
    """What became of one received batch.

    Attributes
    ----------
    received
        Messages received.
    copied
        Messages whose copy was accepted.
    duplicated
        Of these, messages whose original could not be deleted, so that it will come again.
    left
        Receipt handles of originals left as they are: sent after the sweep began, or not accepted as a copy.
    last_receive
        Messages that their next receive would dead-letter. Never copied, so that poison still gets there.
    """

    received: int
    copied: int
    duplicated: int
    left: list[str]
    last_receive: list[dict[str, Any]]


@dataclass(frozen=True)
class Sweep:
    """One sweep over a standard queue.

    Attributes
    ----------
    began
        Only messages sent before this moment are re-queued, epoch seconds.
    longest_delay
        Upper bound of the random delay, 0 to 900 seconds.
    chance
        Returns a random number from 0 to 1.
    """

    client: "SQSClient"
    queue_url: str
    began: float
    longest_delay: int
    max_receive_count: int | None
    chance: Callable[[], float]

    def next_batch(self) -> Batch:
        """Receive a batch and queue again what may be."""
        received = source_queue.receive(
            self.client,
            self.queue_url,
            most=BATCH_MESSAGES,
            visibility_seconds=_VISIBILITY_SECONDS,
            wait_seconds=1,
        )
        last_receive = [message for message in received if self._is_last_receive(message)]
        rest = [message for message in received if message not in last_receive]
        backlog = [message for message in rest if source_queue.sent_before(message, self.began)]
        accepted: list[dict[str, Any]] = []
        deleted = 0
        for part in _parts(backlog):
            # Before the next part is sent, which may be refused outright: nothing may then be there twice.
            copied = self._send_copies(part)
            deleted += self._delete(copied)
            accepted += copied
        return Batch(
            received=len(received),
            copied=len(accepted),
            duplicated=len(accepted) - deleted,
            left=[message["ReceiptHandle"] for message in rest if message not in accepted],
            last_receive=last_receive,
        )

    def show_again(self, handles: Sequence[str], *, after_seconds: int) -> None:
        """Show messages that were left as they are: not before `after_seconds`, and spread like the copies."""
        spread = [(handle, after_seconds + round(self.longest_delay * self.chance())) for handle in handles]
        source_queue.hide(self.client, self.queue_url, spread)

    def _is_last_receive(self, message: dict[str, Any]) -> bool:
        return self.max_receive_count is not None and source_queue.receive_count(message) >= self.max_receive_count

    def _send_copies(self, messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        entries = [self._copy(number, message) for number, message in enumerate(messages)]
        answer = self.client.send_message_batch(QueueUrl=self.queue_url, Entries=entries)  # type: ignore[arg-type]
        return [messages[int(entry["Id"])] for entry in answer.get("Successful", [])]

    def _copy(self, number: int, message: dict[str, Any]) -> dict[str, Any]:
        # The trace header stays behind: copied, it would count towards Lambda's recursive-loop detection.
        copy: dict[str, Any] = {
            "Id": str(number),
            "MessageBody": message["Body"],
            "DelaySeconds": min(MAX_DELAY_SECONDS, round(self.longest_delay * self.chance())),
        }
        if message.get("MessageAttributes"):
            copy["MessageAttributes"] = message["MessageAttributes"]
        if "MessageGroupId" in message["Attributes"]:
            copy["MessageGroupId"] = message["Attributes"]["MessageGroupId"]
        return copy

    def _delete(self, messages: Sequence[dict[str, Any]]) -> int:
        if not messages:
            return 0
        answer = self.client.delete_message_batch(
            QueueUrl=self.queue_url,
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
