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
# So many different messages decide that a target is down. With fewer, each is tried a few times, and then the mapping.
SEVERAL = 3
_TRIES_EACH = 3
# Messages that the mapping would drop, and that are kept out of the way of those it would not. Where they go on beyond
# that, nothing else is looked for.
MOST_FILTERED = 100


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
    filtered
        True when the mapping's filters would drop it, so that the target must not see it. Its content is not stored.
    """

    message_id: str
    receipt_handle: str
    receive_count: int
    hold_ends: int
    tries: int = 0
    last_tried: int = 0
    chunks: int = 0
    filtered: bool = False

    def has_room(self, max_receive_count: int | None) -> bool:
        """True when another receive does not send the message to its dead-letter queue."""
        return max_receive_count is None or self.receive_count < max_receive_count


def next_to_try(held: Sequence[HeldMessage]) -> HeldMessage | None:
    """Return the held message that was tried longest ago, None where none can be tried."""
    triable = [message for message in held if message.chunks > 0 and not message.filtered]
    return min(triable, key=lambda message: (message.last_tried, message.message_id), default=None)


def may_hold_another(held: Sequence[HeldMessage], *, max_held: int) -> bool:
    """True when a probe may receive a message that was not tried yet, which is what probes prefer.

    Those that the mapping would drop take no place: they show nothing about the target.
    """
    held = [message for message in held if not message.filtered]
    return len(held) < max_held


def may_hold_filtered(held: Sequence[HeldMessage]) -> bool:
    """True when a probe may receive a message that the mapping would drop."""
    return sum(message.filtered for message in held) < MOST_FILTERED


def to_hand_back(held: Sequence[HeldMessage], *, max_held: int, max_receive_count: int | None) -> HeldMessage | None:
    """Return the message to show again so that another can be received, where contents are not stored.

    Without stored contents a held message cannot be tried again, so the one held longest makes room. A message whose
    next receive would dead-letter it is never chosen, and takes no place as it can neither be tried nor handed back.
    Nor is one that the mapping would drop: the next probe would receive it again.
    """
    places = [message for message in held if message.has_room(max_receive_count) and not message.filtered]
    if len(places) < max_held:
        return None
    return min(places, key=lambda message: (message.last_tried, message.message_id), default=None)


def needs_trial(
    held: Sequence[HeldMessage],
    *,
    max_receive_count: int | None,
    trial_receives: int,
    visible: int,
    hidden: int,
    delayed: int,
) -> bool:
    """True when only the mapping itself can show more, because no other message can be probed with.

    One or two messages that go on failing may be poison, so they do not decide. A message that a trial could bring to
    its dead-letter queue is none of them: it is tried until it succeeds or its hold ends. Other messages that come by
    themselves are waited for.

    Parameters
    ----------
    held
        The messages held after a probe that received no message to try.
    trial_receives
        How often the mapping may receive a message before a trial that goes wrong has paused it again.
    visible
        Messages that another probe may receive.
    hidden, delayed
        Messages in the queue that are hidden, those held included, and that are not yet due.
    """
    if visible or delayed or hidden > len(held):
        return False
    unfiltered = [message for message in held if not message.filtered]
    return (
        len(held) > 0
        and len(unfiltered) < SEVERAL
        and all(
            message.chunks > 0
            and message.tries >= _TRIES_EACH
            and (max_receive_count is None or message.receive_count + trial_receives <= max_receive_count)
            for message in unfiltered
        )
    )


def receives_within(seconds: int, *, visibility_timeout: int) -> int:
    """Return how often a message that keeps failing may be received within `seconds`; many where that is not known."""
    return 1 + seconds // visibility_timeout if visibility_timeout else 1_000


def hide_for_seconds(
    message: HeldMessage, *, now: int, longest_wait: int, target_timeout: int, max_receive_count: int | None
) -> int:
    """Return the visibility timeout, in seconds from now, that hides `message` until after the next probe.

    It is no longer than that, so that a message comes back by itself soon after a breaker that was killed. A message
    whose next receive would dead-letter it is hidden to the end of its hold: it must not come back because a step of
    the breaker was throttled for long.
    """
    left = max(0, message.hold_ends - now)
    if not message.has_room(max_receive_count):
        return left
    return min(until_after_next_probe(longest_wait=longest_wait, target_timeout=target_timeout), left)


def until_after_next_probe(*, longest_wait: int, target_timeout: int) -> int:
    """Return for how many seconds a message is hidden that was just received, or is held with room."""
    wanted = longest_wait + target_timeout + HOLD_MARGIN_SECONDS
    return min(wanted, MAX_HOLD_SECONDS)
