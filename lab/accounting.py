"""What became of every order. Pure: takes what was sent and what was found, and counts.

An order is lost if it was sent and is neither in the ledger, nor in the queue, nor in the dead-letter queue.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from lab.emulator import WaitingMessage
from lab.orders import Sent


@dataclass(frozen=True)
class LedgerEntry:
    """One item of the ledger: a message that the target has processed, and how often.

    A re-jittered message is a copy with an id of its own. The order id, where the ledger has it, is the same.
    """

    message_id: str
    order_id: str | None = None
    times: int = 1


@dataclass(frozen=True)
class Account:
    """Where the orders are. Every order that was sent is in exactly one of the four sets."""

    sent: int
    processed: frozenset[str]
    waiting: frozenset[str]
    dead_lettered: frozenset[str]
    lost: frozenset[str]
    duplicates: int

    @property
    def ledger_is_empty(self) -> bool:
        """Whether nothing at all was processed."""
        return not self.processed


def order_id_of(body: str) -> str | None:
    """The order id in a message's body, or None if it is not an order of ours."""
    try:
        order = json.loads(body)
    except json.JSONDecodeError:
        return None
    found = order.get("order_id") if isinstance(order, dict) else None
    return found if isinstance(found, str) else None


def times_processed(sent: Sequence[Sent], ledger: Iterable[LedgerEntry]) -> Counter[str]:
    """How often each order that was sent has been processed."""
    by_message = {order.message_id: order.order_id for order in sent}
    known = set(by_message.values())
    times: Counter[str] = Counter()
    for entry in ledger:
        order_id = entry.order_id or by_message.get(entry.message_id)
        if order_id in known and order_id is not None:
            times[order_id] += entry.times
    return times


def settle(
    sent: Sequence[Sent], ledger: Iterable[LedgerEntry], queue: Iterable[str | None], dead: Iterable[str | None]
) -> Account:
    """Account for every order.

    Parameters
    ----------
    sent
        What the queue has accepted.
    ledger
        What the target has written.
    queue, dead
        Order ids found in the queue and in the dead-letter queue. ``None`` for messages that are not orders.

    Returns
    -------
    Account
        An order that was processed counts as processed, even if a copy of it still waits.
    """
    all_ids = {order.order_id for order in sent}
    times = times_processed(sent, ledger)
    processed = frozenset(times)
    waiting = (all_ids & set(queue)) - processed
    dead_lettered = (all_ids & set(dead)) - processed - waiting
    return Account(
        sent=len(all_ids),
        processed=processed,
        waiting=frozenset(waiting),
        dead_lettered=frozenset(dead_lettered),
        lost=frozenset(all_ids - processed - waiting - dead_lettered),
        duplicates=sum(count - 1 for count in times.values()),
    )


@dataclass(frozen=True)
class _Seen:
    receives: int
    visible: bool
    visible_at: float
    order_id: str | None


@dataclass
class ReceiveLog:
    """Counts receives that did not end in the message being processed.

    A message's receive count is known only while the message is in the queue, so the queue is looked at repeatedly.
    """

    _last: dict[str, _Seen] = field(default_factory=dict)
    _gone_at: dict[str, float] = field(default_factory=dict)

    def look(self, now: float, messages: Iterable[WaitingMessage]) -> None:
        """Take note of what the queue holds now (seconds since the epoch)."""
        present: set[str] = set()
        for message in messages:
            present.add(message.message_id)
            self._gone_at.pop(message.message_id, None)
            self._last[message.message_id] = _Seen(
                message.receive_count, message.visible, message.visible_at, order_id_of(message.body)
            )
        for message_id in self._last.keys() - present:
            self._gone_at.setdefault(message_id, now)

    @property
    def most(self) -> int:
        """The most receives of one message."""
        return max((seen.receives for seen in self._last.values()), default=0)

    def burnt(self, processed: Mapping[str, int] | frozenset[str]) -> int:
        """Receives that did not end in the message being processed.

        Parameters
        ----------
        processed
            The orders that have been processed.
        """
        return sum(self._burnt(message_id, seen, processed) for message_id, seen in self._last.items())

    def _burnt(self, message_id: str, seen: _Seen, processed: Mapping[str, int] | frozenset[str]) -> int:
        if seen.receives == 0:
            return 0
        gone_at = self._gone_at.get(message_id)
        if gone_at is None:
            # Still there: a receive that is under way has not failed yet.
            return seen.receives if seen.visible else seen.receives - 1
        if seen.order_id not in processed:
            return seen.receives
        # If it left while it was hidden by the receive we saw, that receive is the one that processed it. If it was
        # still there when it became visible again, that receive failed and a later one succeeded.
        failed = seen.visible or gone_at > seen.visible_at
        return seen.receives if failed else seen.receives - 1
