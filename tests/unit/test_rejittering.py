"""Cutting a backlog into batches: nothing too large, nothing lost, nothing twice."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from breaker.rejittering import Sweep
from breaker.requeueing import BATCH_MESSAGES, MAX_BATCH_BYTES, MAX_DELAY_SECONDS, size_in_bytes

BEGAN = 1_772_366_400


class Queue:
    """A queue that answers what it was told to, and keeps what it was sent and asked to delete.

    Attributes
    ----------
    refused
        Bodies that SendMessageBatch does not accept.
    undeletable
        Receipt handles that DeleteMessageBatch does not accept.
    """

    def __init__(
        self,
        messages: list[dict[str, Any]],
        *,
        refused: set[str] = frozenset(),
        undeletable: set[str] = frozenset(),  # type: ignore[assignment]
    ) -> None:
        self._messages = messages
        self._refused, self._undeletable = refused, undeletable
        self.requests: list[list[dict[str, Any]]] = []
        self.accepted: list[str] = []
        self.deleted: list[str] = []

    def receive_message(self, **_: Any) -> dict[str, Any]:
        """Answer everything there is."""
        return {"Messages": self._messages} if self._messages else {}

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Accept what is not refused, entry by entry."""
        self.requests.append(Entries)
        good = [entry for entry in Entries if entry["MessageBody"] not in self._refused]
        self.accepted += [entry["MessageBody"] for entry in good]
        bad = [{"Id": entry["Id"], "Code": "InternalError"} for entry in Entries if entry not in good]
        return {"Successful": [{"Id": entry["Id"]} for entry in good], "Failed": bad}

    def delete_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        """Delete what can be, entry by entry."""
        good = [entry for entry in Entries if entry["ReceiptHandle"] not in self._undeletable]
        self.deleted += [entry["ReceiptHandle"] for entry in good]
        return {"Successful": [{"Id": entry["Id"]} for entry in good]}


def message(body: str, **attributes: Any) -> dict[str, Any]:
    """Return a received message that is part of the backlog; its receipt handle names its body."""
    return {
        "MessageId": f"id of {body[:20]}",
        "ReceiptHandle": f"handle of {body[:20]}",
        "Body": body,
        "Attributes": {"SentTimestamp": str(BEGAN * 1000 - 1), "ApproximateReceiveCount": "1"},
        **({"MessageAttributes": attributes} if attributes else {}),
    }


def sweep(queue: Queue, **changes: Any) -> Sweep:
    """Return a sweep over the queue."""
    plain = {"began": BEGAN, "longest_delay": 300, "max_receive_count": 5, "chance": lambda: 0.5}
    return Sweep(client=queue, queue_url="https://queue", **{**plain, **changes})  # type: ignore[arg-type]


@st.composite
def backlogs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Return up to ten messages of sizes around the limits, each of which SQS would accept."""
    sizes = draw(st.lists(st.sampled_from([1, 100, 104_857, 104_858, 262_144, 524_288, 1_048_000]), max_size=10))
    messages = []
    for number, size in enumerate(sizes):
        extra = {}
        if draw(st.booleans()):
            extra["kind"] = {"DataType": "String", "StringValue": "é" * draw(st.integers(0, 40))}
        if draw(st.booleans()):
            extra["blob"] = {"DataType": "Binary", "BinaryValue": b"\0" * draw(st.integers(0, 40))}
        filler = draw(st.sampled_from(["x", "é"]))
        messages.append(message(f"{number}:".ljust(22, ".") + filler * (size // len(filler.encode())), **extra))
    return messages


def test_size_in_bytes_counts_body_names_types_and_values() -> None:
    sized = message(
        "é",
        ab={"DataType": "String", "StringValue": "ü"},
        c={"DataType": "Binary", "BinaryValue": b"1234"},
    )
    assert size_in_bytes(sized) == len("é".encode()) + (2 + 6 + 2) + (1 + 6 + 4)


def test_size_in_bytes_without_attributes_is_the_bodys() -> None:
    assert size_in_bytes(message("x" * 1000)) == 1000


@settings(max_examples=40, deadline=None)
@given(backlogs(), st.floats(0, 1), st.integers(0, 900))
def test_next_batch_any_backlog_is_sent_once_within_the_limits_and_deleted(
    messages: list[dict[str, Any]], chance: float, longest: int
) -> None:
    queue = Queue(messages)
    batch = sweep(queue, chance=lambda: chance, longest_delay=longest).next_batch()
    for entries in queue.requests:
        assert 0 < len(entries) <= BATCH_MESSAGES
        assert len({entry["Id"] for entry in entries}) == len(entries)
        assert sum(_bytes_of(entry) for entry in entries) <= MAX_BATCH_BYTES
        assert all(0 <= entry["DelaySeconds"] <= min(longest, MAX_DELAY_SECONDS) for entry in entries)
    assert queue.accepted == [message["Body"] for message in messages]
    assert queue.deleted == [message["ReceiptHandle"] for message in messages]
    assert (batch.received, batch.copied, batch.duplicated) == (len(messages), len(messages), 0)
    assert (batch.left, batch.last_receive) == ([], [])


def _bytes_of(entry: dict[str, Any]) -> int:
    return size_in_bytes({"Body": entry["MessageBody"], "MessageAttributes": entry.get("MessageAttributes", {})})


@given(st.lists(st.sampled_from(["taken", "refused", "undeletable", "newer", "last"]), max_size=10))
def test_next_batch_any_fate_leaves_every_message_in_exactly_one_place(fates: list[str]) -> None:
    messages = [message(f"{number}-{fate}") for number, fate in enumerate(fates)]
    for received in messages:
        if received["Body"].endswith("newer"):
            received["Attributes"]["SentTimestamp"] = str(BEGAN * 1000)
        if received["Body"].endswith("last"):
            received["Attributes"]["ApproximateReceiveCount"] = "5"
    queue = Queue(
        messages,
        refused={received["Body"] for received in messages if received["Body"].endswith("refused")},
        undeletable={r["ReceiptHandle"] for r in messages if r["Body"].endswith("undeletable")},
    )
    batch = sweep(queue).next_batch()
    kept = [handle.removeprefix("handle of ") for handle in batch.left]
    kept += [received["Body"] for received in batch.last_receive]
    assert sorted([*queue.accepted, *kept]) == sorted(received["Body"] for received in messages)
    assert batch.received == len(messages)
    assert batch.copied == fates.count("taken") + fates.count("undeletable")
    assert batch.duplicated == fates.count("undeletable")
    # An original goes only after its copy was accepted.
    assert {handle.removeprefix("handle of ") for handle in queue.deleted} <= set(queue.accepted)


def test_next_batch_originals_of_a_part_go_before_the_next_part_is_sent() -> None:
    queue = Queue([message(str(number) * 600_000) for number in range(3)])
    gone_before = []
    send = queue.send_message_batch

    def watched(**arguments: Any) -> dict[str, Any]:
        gone_before.append(len(queue.deleted))
        return send(**arguments)

    queue.send_message_batch = watched  # type: ignore[method-assign]
    assert sweep(queue).next_batch().copied == 3
    assert gone_before == [0, 1, 2]


def test_next_batch_empty_queue_sends_nothing() -> None:
    queue = Queue([])
    assert sweep(queue).next_batch().received == 0
    assert (queue.requests, queue.deleted) == ([], [])


def test_next_batch_without_dead_letter_queue_copies_whatever_was_received_often() -> None:
    old = message("old")
    old["Attributes"]["ApproximateReceiveCount"] = "1000"
    assert sweep(Queue([old]), max_receive_count=None).next_batch().copied == 1


def test_next_batch_delay_is_never_above_what_sqs_allows() -> None:
    queue = Queue([message("a")])
    sweep(queue, longest_delay=5000, chance=lambda: 1.0).next_batch()
    assert queue.requests[0][0]["DelaySeconds"] == MAX_DELAY_SECONDS
