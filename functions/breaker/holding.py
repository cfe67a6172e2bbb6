"""Which messages the breaker keeps hidden while the circuit is open, and which one a probe takes next.

SQS counts every receive, and ChangeMessageVisibility never gives one back. So a message is received once, kept hidden,
and tried again from the breaker's table. SQS hides a message at most 12 hours after its receive:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html
"""

from collections.abc import Sequence
from dataclasses import dataclass

# 12 hours, less what passes between the receive and the request that extends the hold.
MAX_HOLD_SECONDS = 43_200 - 30
# What a step may need between two extensions: some retries, a slow start.
HOLD_MARGIN_SECONDS = 300


@dataclass(frozen=True)
class HeldMessage:
    """A received message that waits hidden in the queue.

    Attributes
    ----------
    receive_count
        ApproximateReceiveCount at the breaker's own receive.
    hold_ends
        When SQS will show the message again at the latest, epoch seconds.
    tries
        Probes made with this message.
    last_tried
        When the last probe with it began, epoch seconds; 0 if never.
    chunks
        Items that hold its content; 0 when its content is not stored, so that it cannot be tried again.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    hold_ends: int
    tries: int = 0
    last_tried: int = 0
    chunks: int = 0

    def has_room(self, max_receive_count: int | None) -> bool:
        """True when another receive does not send the message to its dead-letter queue."""
        return max_receive_count is None or self.receive_count < max_receive_count


def next_to_try(held: Sequence[HeldMessage]) -> HeldMessage | None:
    """Return the held message that was tried longest ago, None where none can be tried."""
    triable = [message for message in held if message.chunks > 0]
    return min(triable, key=lambda message: (message.last_tried, message.message_id), default=None)


def may_hold_another(held: Sequence[HeldMessage], *, max_held: int) -> bool:
    """True when a probe may receive a message that was not tried yet, which is what probes prefer."""
    return len(held) < max_held


def to_hand_back(held: Sequence[HeldMessage], *, max_held: int, max_receive_count: int | None) -> HeldMessage | None:
    """Return the message to show again so that another can be received, where contents are not stored.

    Without stored contents a held message cannot be tried again, so the one held longest makes room. A message whose
    next receive would dead-letter it is never chosen.
    """
    if len(held) < max_held:
        return None
    with_room = [message for message in held if message.has_room(max_receive_count)]
    return min(with_room, key=lambda message: (message.last_tried, message.message_id), default=None)


def hide_for_seconds(
    message: HeldMessage, *, now: int, longest_wait: int, target_timeout: int, max_receive_count: int | None
) -> int:
    """Return the visibility timeout, in seconds from now, that hides `message` until after the next probe.

    It is no longer than that, so that a message comes back by itself soon after a breaker that was killed. A message
    whose next receive would dead-letter it is hidden to the end of its hold: it must not come back because a step of
    the breaker was throttled for long.
    """
    if not message.has_room(max_receive_count):
        return max(0, message.hold_ends - now)
    wanted = longest_wait + target_timeout + HOLD_MARGIN_SECONDS
    return max(0, min(wanted, message.hold_ends - now))
