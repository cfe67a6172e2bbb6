"""A redrive conserves messages: killed between any two calls, it loses nothing, leaves nothing half done, and ends."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from breaker import clock, redriving
from breaker.redriving import Moved, Redrive, Redriver
from breaker.state_document import Circuit
from breaker.time_budget import TimeBudget

BEGAN = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DEAD, MAIN = "https://dead", "https://main"
QUEUE_ARN = "arn:aws:sqs:us-east-1:123456789012:main"


class Killed(BaseException):
    """The process ended. Not an Exception, so that no code can live on by catching it."""


@dataclass
class Message:
    """A message in one of the queues."""

    name: str
    sent: float
    source: str | None
    visible_at: float = 0


@dataclass
class Queues:
    """The dead-letter queue and the queue, with SQS's rules, a clock, and what becomes of the redrive's calls.

    Attributes
    ----------
    calls_left
        How many more calls the process makes before it is killed, None for no end.
    """

    now: float = BEGAN.timestamp()
    calls_left: int | None = None
    refused: set[str] = field(default_factory=set)
    queues: dict[str, list[Message]] = field(default_factory=lambda: {DEAD: [], MAIN: []})
    copies: Counter[str] = field(default_factory=Counter)

    def names(self, url: str) -> list[str]:
        """Return the names of a queue's messages."""
        return sorted(message.name for message in self.queues[url])

    def dead_letter_again(self, poison: set[str]) -> None:
        """Have the target process what is in the queue, but for poison, which is dead-lettered with its send time."""
        for message in [each for each in self.queues[MAIN] if each.name in poison]:
            self.queues[MAIN].remove(message)
            self.queues[DEAD].append(Message(message.name, message.sent, QUEUE_ARN))

    # What the redrive calls

    def receive_message(self, **request: Any) -> dict[str, Any]:
        """Receive, and hide."""
        self._call()
        visible = [message for message in self.queues[DEAD] if message.visible_at <= self.now]
        taken = visible[: request["MaxNumberOfMessages"]]
        for message in taken:
            message.visible_at = self.now + request["VisibilityTimeout"]
        self._call_ends()
        return {"Messages": [self._as_received(message) for message in taken]} if taken else {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Accept what is not refused."""
        self._call()
        good = [entry for entry in Entries if entry["MessageBody"] not in self.refused]
        for entry in good:
            self.queues[QueueUrl].append(Message(entry["MessageBody"], self.now, None))
            self.copies[entry["MessageBody"]] += 1
        self._call_ends()
        return {"Successful": [{"Id": entry["Id"]} for entry in good]}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Delete."""
        self._call()
        gone = {entry["ReceiptHandle"] for entry in Entries}
        self.queues[QueueUrl] = [message for message in self.queues[QueueUrl] if str(id(message)) not in gone]
        self._call_ends()
        return {"Successful": [{"Id": entry["Id"]} for entry in Entries]}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
        """Show again."""
        self._call()
        shown = {entry["ReceiptHandle"] for entry in Entries}
        for message in self.queues[QueueUrl]:
            if str(id(message)) in shown:
                message.visible_at = self.now
        return {}

    def _as_received(self, message: Message) -> dict[str, Any]:
        source = {"DeadLetterQueueSourceArn": message.source} if message.source else {}
        return {
            "ReceiptHandle": str(id(message)),
            "Body": message.name,
            "Attributes": {"SentTimestamp": str(int(message.sent * 1000)), **source},
        }

    def _call(self) -> None:
        self.now += 0.05
        if self.calls_left == 0:
            raise Killed

    def _call_ends(self) -> None:
        """Be killed after a call had its effect, and before its answer came."""
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left == 0:
                raise Killed


class Forever:
    """A handler with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return 900_000


CIRCUIT = Circuit(
    name="orders",
    target="target",
    target_timeout_seconds=30,
    queue_url=MAIN,
    queue_arn=QUEUE_ARN,
    mapping_id="mapping",
    max_receive_count=5,
    partial_batch_response=True,
    settings={"RedrivePerSecond": 10},
    dead_letter_queue_url=DEAD,
)


@contextmanager
def time_of(queues: Queues) -> Iterator[None]:
    """Have the product read and spend the queues' time."""

    def now() -> datetime:
        return datetime.fromtimestamp(queues.now, UTC)

    def sleep(seconds: float) -> None:
        queues.now += seconds

    with (
        mock.patch.object(clock, "now", now),
        mock.patch.object(clock, "sleep", sleep),
        mock.patch.object(redriving, "LONGEST_RUN_SECONDS", 3),
    ):
        yield


def visit(queues: Queues, redrive: Redrive, *, calls: int | None) -> Redrive:
    """Move a piece as the step does, with what it writes before and after; killed after so many calls."""
    moved = Moved()
    queues.calls_left = calls
    try:
        began = clock.parse(redrive.began).timestamp()
        Redriver(queues, CIRCUIT, began).move_a_piece(moved, TimeBudget(Forever(), 60))  # type: ignore[arg-type]
    except Killed:
        return redrive.with_piece(clock.now())
    finally:
        queues.calls_left = None
    return redrive.after_piece(moved, clock.now(), cut_off=False, refused="")


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 45),
    st.sets(st.integers(0, 44), max_size=5),
    st.sets(st.integers(0, 44), max_size=3),
    st.integers(0, 5),
    st.lists(st.none() | st.integers(0, 12), max_size=8),
)
def test_redrive_killed_anywhere_conserves_messages_and_leaves_nothing_half_done(
    orders: int, poisonous: set[int], refused: set[int], strangers: int, kills: list[int | None]
) -> None:
    ours, theirs = [f"o{number}" for number in range(orders)], [f"s{number}" for number in range(strangers)]
    poison = {f"o{number}" for number in poisonous}
    queues = Queues(refused={f"o{number}" for number in refused})
    queues.queues[DEAD] = [Message(name, queues.now - 600, QUEUE_ARN) for name in ours]
    queues.queues[DEAD] += [Message(name, queues.now - 600, "arn:other") for name in theirs]
    with time_of(queues):
        redrive, visits, killed = Redrive(clock.iso(BEGAN), 0), 0, 0
        while not redrive.result:
            calls = kills[visits] if visits < len(kills) else None
            visits, killed = visits + 1, killed + (calls is not None)
            redrive = visit(queues, redrive, calls=calls)
            assert set(queues.names(DEAD)) | set(queues.names(MAIN)) == {*ours, *theirs}
            queues.dead_letter_again(poison)
            queues.now += 60
            assert visits < 60, "it does not end"
    movable = set(ours) - queues.refused
    # Everything that may go has gone, and nothing but a copy that was dead-lettered again is there of it.
    originals = {message.name for message in queues.queues[DEAD] if message.sent < BEGAN.timestamp()}
    assert originals == set(theirs) | (set(ours) & queues.refused)
    assert set(queues.copies) == movable
    # Only a process that was killed moves a message twice.
    assert all(count <= 1 + killed for count in queues.copies.values())
    assert set(queues.names(MAIN)) == movable - poison


def test_is_refusal_knows_what_trying_again_does_not_mend() -> None:
    def error(code: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": ""}}, "ReceiveMessage")

    refusals = ["AccessDenied", "AccessDeniedException", "KmsAccessDenied", "AWS.SimpleQueueService.NonExistentQueue"]
    assert all(redriving.is_refusal(error(code)) for code in refusals)
    assert not any(redriving.is_refusal(error(code)) for code in ("RequestThrottled", "InternalError", "KmsThrottled"))
