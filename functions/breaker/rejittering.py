"""Spreads a backlog: each message is queued again with a random delay, and the original goes once its copy is accepted.

FIFO queues are never re-jittered: their deduplication would drop copies, and they take no delay a message.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breaker import source_queue
from breaker.requeueing import BATCH_MESSAGES, Requeuer

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

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
        requeued = Requeuer(self.client, self.queue_url, self.queue_url, self._delay).requeue(backlog)
        return Batch(
            received=len(received),
            copied=len(requeued.copied),
            duplicated=requeued.duplicated,
            left=[message["ReceiptHandle"] for message in rest if message not in requeued.copied],
            last_receive=last_receive,
        )

    def show_again(self, handles: Sequence[str], *, after_seconds: int) -> None:
        """Show messages that were left as they are: not before `after_seconds`, and spread like the copies."""
        spread = [(handle, after_seconds + self._delay()) for handle in handles]
        source_queue.hide(self.client, self.queue_url, spread)

    def _is_last_receive(self, message: dict[str, Any]) -> bool:
        return self.max_receive_count is not None and source_queue.receive_count(message) >= self.max_receive_count

    def _delay(self) -> int:
        return round(self.longest_delay * self.chance())
