"""No message is lost, whatever happens in which order: the real Prober against a queue, table and target in memory."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from breaker import clock
from breaker.holding import HeldMessage
from breaker.probing import Prober
from breaker.state_document import Circuit

BEGAN = 1_772_366_400
TWELVE_HOURS = 43_200
TIMEOUT = 30
LONGEST_WAIT = 120
# After the breaker was killed, its step is repeated.
STEP_RETRY_SECONDS = 240
SALE = "a message that the mapping drops"


class Killed(BaseException):
    """The breaker's process ended. Not an Exception, so that no code can live on by catching it."""


@dataclass
class Clock:
    """The time, and after how many more calls to AWS the breaker is killed.

    Attributes
    ----------
    fuse
        None while nothing kills the breaker.
    """

    now: int = BEGAN
    fuse: int | None = None

    def call(self) -> None:
        """Be called by the breaker, which may be the last it does."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise Killed


@dataclass
class Message:
    """A message in the queue."""

    name: str
    poison: bool
    visible_at: int = 0
    receives: int = 0
    handle: str = ""
    received_at: int = 0
    received_by: str = ""


@dataclass
class Queue:
    """What the Prober uses of SQS, for a standard queue with a dead-letter queue. Its rules are SQS's.

    A receive that exceeds maxReceiveCount dead-letters the message instead. A handle serves until the next receive.
    """

    clock: Clock
    max_receive_count: int | None
    messages: dict[str, Message] = field(default_factory=dict)
    dead: dict[str, Message] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)

    def take(self, seconds: int, *, who: str) -> Message | None:
        """Receive a message, for the breaker or for Lambda's poller."""
        for message in list(self.messages.values()):
            if message.visible_at > self.clock.now:
                continue
            message.receives += 1
            if self.max_receive_count is not None and message.receives > self.max_receive_count:
                self.dead[message.name] = self.messages.pop(message.name)
                continue
            message.received_by = who
            message.handle = f"{message.name}/{message.receives}"
            message.received_at = self.clock.now
            message.visible_at = self.clock.now + seconds
            return message
        return None

    def holder(self, handle: str) -> Message | None:
        """Return the hidden message that a handle stands for."""
        message = self.messages.get(handle.partition("/")[0])
        return message if message and message.handle == handle and message.visible_at > self.clock.now else None

    def remove(self, name: str) -> None:
        """Delete a message."""
        if self.messages.pop(name, None):
            self.deleted.add(name)

    def receive_message(self, **request: Any) -> dict[str, Any]:
        """Answer as ReceiveMessage does, to the breaker."""
        self.clock.call()
        message = self.take(request["VisibilityTimeout"], who="breaker")
        if message is None:
            return {}
        received = {
            "MessageId": message.name,
            "ReceiptHandle": message.handle,
            "Body": SALE if message.name.startswith("sale") else "{}",
            "MD5OfBody": "",
            "Attributes": {"ApproximateReceiveCount": str(message.receives)},
        }
        return {"Messages": [received]}

    def change_message_visibility_batch(self, *, QueueUrl: str, Entries: Any) -> dict[str, Any]:  # noqa: N803
        """Answer as ChangeMessageVisibilityBatch does."""
        self.clock.call()
        failed = []
        for entry in Entries:
            message = self.holder(entry["ReceiptHandle"])
            end = self.clock.now + entry["VisibilityTimeout"]
            if message is None or end > message.received_at + TWELVE_HOURS:
                failed.append({"Id": entry["Id"], "Code": "InvalidParameterValue"})
            else:
                message.visible_at = end
        return {"Failed": failed}

    def delete_message(self, *, QueueUrl: str, ReceiptHandle: str) -> None:  # noqa: N803
        """Delete by a handle, also one that has expired, as standard queues do unless it was received again."""
        self.clock.call()
        message = self.messages.get(ReceiptHandle.partition("/")[0])
        if message and message.handle == ReceiptHandle:
            self.remove(message.name)


@dataclass
class Table:
    """What the Prober uses of CircuitTable. Each item is written by itself: the breaker may be killed between two."""

    clock: Clock
    items: dict[str, HeldMessage] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)

    def held(self, name: str) -> list[HeldMessage]:
        """Return the held messages."""
        return [*self.items.values()]

    def hold(self, name: str, message: HeldMessage, *, owner: str, content: bytes | None = None) -> None:
        """Write the content, then the message."""
        if content is not None:
            self.clock.call()
            self.contents[message.message_id] = content
        self.clock.call()
        self.items[message.message_id] = message

    def content(self, name: str, message: HeldMessage) -> bytes | None:
        """Return the content."""
        return self.contents.get(message.message_id)

    def let_go(self, name: str, message: HeldMessage, *, owner: str) -> None:
        """Delete the message, then its content."""
        self.clock.call()
        self.items.pop(message.message_id, None)
        self.clock.call()
        self.contents.pop(message.message_id, None)


@dataclass
class Target:
    """The protected function: it fails while its service is down, and always with poison."""

    clock: Clock
    queue: Queue
    healthy: bool = False
    processed: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def process(self, name: str, *, poison: bool) -> bool:
        """Process a message, for the breaker or for Lambda's poller."""
        self.seen.add(name)
        if self.healthy and not poison:
            self.processed.add(name)
        return self.healthy and not poison

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """Answer as Lambda does."""
        self.clock.call()
        name = Payload.decode().partition('"messageId": "')[2].partition('"')[0]
        message = self.queue.messages.get(name)
        good = self.process(name, poison=message is not None and message.poison)
        self.clock.call()
        return {"Payload": SimpleNamespace(read=lambda: b"null"), **({} if good else {"FunctionError": "Unhandled"})}


class Conservation(RuleBasedStateMachine):
    """Any interleaving of producers, Lambda's poller, the breaker's probes, its death, and time."""

    @initialize(limit=st.none() | st.integers(1, 4), store=st.booleans(), most=st.integers(3, 4))
    def start(self, limit: int | None, store: bool, most: int) -> None:
        """Open a circuit on an empty queue."""
        self.clock = Clock()
        self.monkeypatch = pytest.MonkeyPatch()
        moment = clock.parse("1970-01-01T00:00:00Z")
        self.monkeypatch.setattr(clock, "now", lambda: moment.fromtimestamp(self.clock.now, moment.tzinfo))
        self.queue = Queue(self.clock, limit)
        self.table = Table(self.clock)
        self.target = Target(self.clock, self.queue)
        self.store = store
        self.sent: set[str] = set()
        self.dropped: set[str] = set()
        self.receives: dict[str, list[int]] = {}
        self.excused: Counter[str] = Counter()
        self.last_probe = self.clock.now
        circuit = Circuit(
            name="orders",
            target="target",
            target_timeout_seconds=TIMEOUT,
            queue_url="https://queue",
            queue_arn="arn:aws:sqs:us-east-1:123456789012:orders",
            mapping_id="mapping",
            max_receive_count=limit,
            partial_batch_response=True,
            settings={
                "StoreHeldMessages": store,
                "MaxHeldMessages": most,
                "MaxProbeIntervalSeconds": LONGEST_WAIT,
                "FirstProbeSeconds": 30,
                "SlowTargetSeconds": 0,
            },
            filters=['{"body": {"kind": [{"exists": false}]}}'],
        )
        self.prober = Prober(circuit, "owner", self.table, self.queue, self.target)  # type: ignore[arg-type]

    def teardown(self) -> None:
        """Put the clock back."""
        if hasattr(self, "monkeypatch"):
            self.monkeypatch.undo()

    # What others do

    @rule(kind=st.sampled_from(["order", "order", "poison", "sale"]))
    def send(self, kind: str) -> None:
        """Send a message."""
        name = f"{kind}-{len(self.sent)}"
        self.sent.add(name)
        self.queue.messages[name] = Message(name, poison=kind == "poison")

    @rule(seconds=st.sampled_from([1, 60, 120, 3600, 40_000, 43_200]))
    def wait(self, seconds: int) -> None:
        """Let time pass while nobody probes, which may be longer than the breaker ever waits."""
        self.clock.now += seconds

    @rule(healthy=st.booleans())
    def service(self, healthy: bool) -> None:
        """Bring the service behind the target up or down."""
        self.target.healthy = healthy

    @rule()
    def poll(self) -> None:
        """Have Lambda's own poller receive a message, as before the pause is confirmed or after recovery."""
        message = self.queue.take(180, who="poller")
        if message is None:
            return
        if message.name.startswith("sale"):
            self.dropped.add(message.name)
            self.queue.remove(message.name)
        elif self.target.process(message.name, poison=message.poison):
            self.queue.remove(message.name)

    # What the breaker does

    @rule(wait=st.sampled_from([30, 120]), fuse=st.none() | st.integers(0, 14))
    def probe(self, wait: int, fuse: int | None) -> None:
        """Probe once, and where the breaker is killed between two calls, once more."""
        self.clock.now += wait
        if self._probe(fuse):
            self.clock.now += STEP_RETRY_SECONDS
            self._probe(None)

    @rule(fuse=st.none() | st.integers(0, 6))
    def settle(self, fuse: int | None) -> None:
        """Hand everything back that may be, as before messages flow again."""
        self.clock.fuse = fuse
        limit = self.queue.max_receive_count
        try:
            held, _ = self.prober.live_messages()
            for message in held:
                if not message.filtered and not message.has_room(limit):
                    self.prober.leave_alone(message)
            shown = [message for message in held if message.filtered or message.has_room(limit)]
            self.excused.update(message.message_id for message in shown)
            self.prober.show_again(shown)
        except Killed:
            pass
        finally:
            self.clock.fuse = None

    def _probe(self, fuse: int | None) -> bool:
        """Probe, and return whether the breaker was killed."""
        if self.clock.now - self.last_probe > LONGEST_WAIT + STEP_RETRY_SECONDS:
            # The breaker was away. Nothing extended its holds, so what it held may have come back.
            known = [message for message in self.queue.messages.values() if self.receives.get(message.name)]
            self.excused.update(message.name for message in known if message.visible_at <= self.clock.now)
        before = {name: message.receives for name, message in self.queue.messages.items()}
        dead_before = set(self.queue.dead)
        killed = False
        self.clock.fuse = fuse
        try:
            self.prober.try_one(self.prober.live_messages()[0])
        except Killed:
            killed = True
        self.clock.fuse = None
        for name, message in self.queue.messages.items():
            count = message.receives - before.get(name, 0)
            self.receives.setdefault(name, []).extend([self.clock.now] * count)
            assert killed or not count or name in self.table.items, f"{name} was received and forgotten"
            # Killed between receiving it and writing that down, the breaker does not know of it.
            self.excused[name] += killed and count > 0 and name not in self.table.items
        for name in set(self.queue.dead) - dead_before:
            # The queue's own policy, unless the breaker itself had received the message before and shown it again.
            assert self.queue.dead[name].received_by == "poller" or self.excused[name], f"{name} was dead-lettered"
        if not killed:
            self.last_probe = self.clock.now
        return killed

    # What must be true

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each message is in the queue, dead-lettered by it, or was processed; or the mapping itself dropped it."""
        if not hasattr(self, "queue"):
            return
        there = set(self.queue.messages) | set(self.queue.dead) | self.queue.deleted
        assert there == self.sent
        assert self.queue.deleted <= self.target.processed | self.dropped

    @invariant()
    def the_target_never_sees_what_the_mapping_drops(self) -> None:
        """A filter holds for probes too."""
        if hasattr(self, "queue"):
            assert not any(name.startswith("sale") for name in self.target.seen)

    @invariant()
    def the_breaker_receives_a_message_once_in_12_hours(self) -> None:
        """Unless nobody extended its hold, or it was handed back."""
        if not hasattr(self, "queue") or not self.store:
            return
        for name, times in self.receives.items():
            close = sum(later - earlier < TWELVE_HOURS for earlier, later in pairwise(times))
            assert close <= self.excused[name], f"{name} was received at {times}"

    @invariant()
    def a_last_receive_is_hidden_to_its_end(self) -> None:
        """What the breaker knows to be at its last receive comes back no earlier than SQS makes it."""
        if not hasattr(self, "queue"):
            return
        for held in self.table.items.values():
            message = self.queue.messages.get(held.message_id)
            if message and message.handle == held.receipt_handle and not held.has_room(self.queue.max_receive_count):
                assert message.visible_at <= self.clock.now or message.visible_at >= held.hold_ends


TestConservation = Conservation.TestCase
TestConservation.settings = hypothesis_settings(max_examples=250, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("kind", ["order", "sale"])
def test_message_that_came_back_while_the_breaker_was_away_is_held_by_its_new_handle(kind: str) -> None:
    world = Conservation()
    world.start(limit=None, store=True, most=3)
    try:
        world.send(kind=kind)
        world.probe(wait=30, fuse=None)
        world.wait(seconds=3600)
        for _ in range(10):
            world.probe(wait=120, fuse=None)
        assert len(world.table.items) == 1
        assert [message.receives for message in world.queue.messages.values()] == [2]
    finally:
        world.teardown()
