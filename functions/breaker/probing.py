"""Tries messages on the target and settles them: receive, invoke, judge, then delete or keep hidden.

All of it happens inside one handler, because no message content may enter the execution's state: bodies reach 1 MiB,
the state holds 256 KiB, and what is in it is on display in the history.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from breaker import clock, source_queue
from breaker.circuit_table import CircuitTable, chunks_of
from breaker.holding import (
    MAX_HOLD_SECONDS,
    HeldMessage,
    hide_for_seconds,
    may_hold_another,
    may_hold_filtered,
    next_to_try,
    to_hand_back,
    until_after_next_probe,
)
from breaker.lambda_record import record_of
from breaker.state_document import Circuit
from breaker.target import Answer, try_message
from breaker.verdict import Verdict

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

# Covers what a try needs beside the target's own time: storing the content, the invocation's way there and back.
TRY_OVERHEAD_SECONDS = 30
# Of one probe, while all it receives are messages that the mapping would drop.
MOST_RECEIVES = 10


@dataclass(frozen=True)
class Try:
    """What one probe came to.

    Attributes
    ----------
    verdict
        None where there was no message to try.
    receives
        Messages received for it, those that the mapping would drop included.
    held
        The messages that stay hidden.
    slow
        True where the target took longer than the circuit's bound.
    """

    verdict: Verdict | None
    receives: int
    held: list[HeldMessage]
    slow: bool = False

    @property
    def looked_everywhere(self) -> bool:
        """True when it received all there was to receive."""
        return self.receives < MOST_RECEIVES


@dataclass(frozen=True)
class Prober:
    """Tries the messages of one circuit for its owner."""

    circuit: Circuit
    owner: str
    table: CircuitTable
    sqs: "SQSClient"
    invoker: "LambdaClient"

    def live_messages(self) -> tuple[list[HeldMessage], int]:
        """Return the held messages, and how many more there were whose hold has ended.

        Those are the queue's again, so they are forgotten here.
        """
        now = int(clock.now().timestamp())
        held = self.table.held(self.circuit.name)
        ended = [message for message in held if message.hold_ends - self._try_seconds() <= now]
        for message in ended:
            self.table.let_go(self.circuit.name, message, owner=self.owner)
        return [message for message in held if message not in ended], len(ended)

    def try_one(self, held: list[HeldMessage]) -> Try:
        """Try one message, a new one if possible.

        A message that was processed is deleted. One that was not stays hidden, with all the others held. So does one
        that the mapping would drop: the target must not see it, and only the mapping may delete it.
        """
        known = {message.message_id for message in held if message.filtered}
        held = [*held]
        message, record, received = self._choose(held)
        receives = received + len({message.message_id for message in held if message.filtered} - known)
        if message is None or record is None:
            return Try(None, receives, self.keep_hidden(held))
        answer = self.try_record(message, record)
        others = [other for other in held if other.message_id != message.message_id]
        if not answer.verdict.processed:
            message = replace(message, tries=message.tries + 1, last_tried=int(clock.now().timestamp()))
            self.table.hold(self.circuit.name, message, owner=self.owner)
            others.append(message)
        slow = answer.is_slow(self.circuit.settings["SlowTargetSeconds"])
        return Try(answer.verdict, receives, self.keep_hidden(others), slow)

    def try_held(self, message: HeldMessage) -> Verdict | None:
        """Try a held message once more and delete it if it is processed. None where its content is not stored."""
        record = self._stored_record(message)
        return self.try_record(message, record).verdict if record is not None else None

    def try_record(self, message: HeldMessage, record: dict[str, Any]) -> Answer:
        """Try a held message whose content is at hand and delete it if it is processed, however long that took."""
        answer = try_message(self.invoker, self.circuit, record)
        if answer.verdict.processed:
            self._settle_processed(message)
        return answer

    def hold(self, received: dict[str, Any]) -> tuple[HeldMessage, dict[str, Any]]:
        """Write a message that was just received into the table, and return it with its Lambda record."""
        record = record_of(received, queue_arn=self.circuit.queue_arn)
        filtered = self._is_dropped(record)
        content = None
        if self.circuit.settings["StoreHeldMessages"] and not filtered:
            content = json.dumps(record, ensure_ascii=False).encode()
        message = HeldMessage(
            message_id=received["MessageId"],
            receipt_handle=received["ReceiptHandle"],
            receive_count=source_queue.receive_count(received),
            hold_ends=int(clock.now().timestamp()) + MAX_HOLD_SECONDS,
            chunks=len(chunks_of(content)),
            filtered=filtered,
        )
        self.table.hold(self.circuit.name, message, owner=self.owner, content=content)
        if not message.has_room(self.circuit.max_receive_count):
            # Before anything else: it must not come back because the step was killed while the target worked.
            self.keep_hidden([message])
        return message, record

    def _is_dropped(self, record: dict[str, Any]) -> bool:
        if not self.circuit.filters:
            return False
        # Most mappings have none, and then what reads them need not be loaded.
        from breaker.filtering import is_dropped

        return is_dropped(record, self.circuit.filters)

    def keep_hidden(self, held: list[HeldMessage]) -> list[HeldMessage]:
        """Hide held messages until after the next probe and return them. What is hidden no more is forgotten."""
        now = int(clock.now().timestamp())
        visibilities = [
            (
                message.receipt_handle,
                hide_for_seconds(
                    message,
                    now=now,
                    longest_wait=self._longest_wait(),
                    target_timeout=self.circuit.target_timeout_seconds,
                    max_receive_count=self.circuit.max_receive_count,
                ),
            )
            for message in held
        ]
        still_hidden = source_queue.hide(self.sqs, self.circuit.queue_url, visibilities)
        for message, hidden in zip(held, still_hidden, strict=True):
            if not hidden:
                self.table.let_go(self.circuit.name, message, owner=self.owner)
        return [message for message, hidden in zip(held, still_hidden, strict=True) if hidden]

    def show_again(self, messages: list[HeldMessage]) -> None:
        """Make held messages the queue's again, at once."""
        source_queue.hide(self.sqs, self.circuit.queue_url, [(message.receipt_handle, 0) for message in messages])
        for message in messages:
            self.table.let_go(self.circuit.name, message, owner=self.owner)

    def leave_alone(self, last_receive: HeldMessage) -> None:
        """Forget a message at its last receive. Its hold runs to its end, then the queue's own policy applies."""
        self.keep_hidden([last_receive])
        self.table.let_go(self.circuit.name, last_receive, owner=self.owner)

    def _settle_processed(self, message: HeldMessage) -> None:
        # The only place where the breaker deletes a message that it tried.
        source_queue.delete(self.sqs, self.circuit.queue_url, message.receipt_handle)
        self.table.let_go(self.circuit.name, message, owner=self.owner)

    def _choose(self, held: list[HeldMessage]) -> tuple[HeldMessage | None, dict[str, Any] | None, bool]:
        """Return the message to try, its record, and whether it was received for it; `held` becomes all the others."""
        left = iter(range(MOST_RECEIVES))
        if self.circuit.settings["StoreHeldMessages"]:
            most = self.circuit.settings["MaxHeldMessages"]
            received = self._receive(held, left) if may_hold_another(held, max_held=most) else None
        else:
            received = self._receive_without_store(held, left)
        if received:
            return *received, True
        message = next_to_try(held)
        return message, self._stored_record(message) if message else None, False

    def _receive(self, held: list[HeldMessage], left: Iterator[int]) -> tuple[HeldMessage, dict[str, Any]] | None:
        """Receive a message that the mapping would not drop. Those it would are held meanwhile."""
        while may_hold_filtered(held) and next(left, None) is not None:
            received = source_queue.receive(
                self.sqs,
                self.circuit.queue_url,
                most=1,
                # As long as it would be held, so that it does not come again if this step is killed and repeated.
                visibility_seconds=until_after_next_probe(
                    longest_wait=self._longest_wait(), target_timeout=self.circuit.target_timeout_seconds
                ),
            )
            if not received:
                break
            message, record = self.hold(received[0])
            # It may be one that was not hidden any more. Its earlier handle stands for nothing now.
            held[:] = [other for other in held if other.message_id != message.message_id]
            if not message.filtered:
                return message, record
            held.append(message)
        return None

    def _receive_without_store(
        self, held: list[HeldMessage], left: Iterator[int]
    ) -> tuple[HeldMessage, dict[str, Any]] | None:
        # In this order: a message that was just shown would be received again at once, instead of one not tried yet.
        received = self._receive(held, left)
        if received:
            self._hand_one_back(held, self.circuit.settings["MaxHeldMessages"])
            return received
        # All there are were tried. Kept hidden they could not be tried again, and nothing would show a healed target.
        return self._receive(held, left) if self._hand_one_back(held, 1) else None

    def _hand_one_back(self, held: list[HeldMessage], most: int) -> bool:
        message = to_hand_back(held, max_held=most, max_receive_count=self.circuit.max_receive_count)
        if message is None:
            return False
        self.show_again([message])
        held.remove(message)
        return True

    def _stored_record(self, message: HeldMessage) -> dict[str, Any] | None:
        content = self.table.content(self.circuit.name, message)
        if content is None:
            return None
        record: dict[str, Any] = json.loads(content)
        return record

    def _longest_wait(self) -> int:
        settings = self.circuit.settings
        return max(int(settings["MaxProbeIntervalSeconds"]), int(settings["FirstProbeSeconds"]))

    def _try_seconds(self) -> int:
        return self.circuit.target_timeout_seconds + TRY_OVERHEAD_SECONDS
