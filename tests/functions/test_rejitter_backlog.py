"""RejitterBacklog: a copy with a random delay, and the original only after the copy is accepted."""

from collections.abc import Callable
from typing import Any

import pytest

from breaker import clock
from tests.functions.world import Context, World, binary, failing, processing, string


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """The input of the step; messages sent before the test waits are the backlog."""
    world.register(Recovery="REJITTER", RejitterSeconds=300)
    return world.open()


def sweep(world: World, document: dict[str, Any], **more: Any) -> Any:
    """Run the step for the first time, a second after everything so far and the probe that healed."""
    world.wait(1)
    document["probe"] = {"outcome": "HEALED", "reason": "test", "at": clock.iso(world.now)}
    return world.run("rejitter_backlog", document, **more)


def go_on(world: World, document: dict[str, Any], **more: Any) -> Any:
    """Run the step again, as the machine does while it is not done."""
    return world.run("rejitter_backlog", document, **more)


def counters(world: World) -> tuple[int, int]:
    """Return how many messages were re-queued and how many of them twice."""
    incident = world.record().incident
    return incident["rejittered"], incident["duplicated"]


def test_rejitter_every_message_is_queued_again_with_a_delay(world: World, document: dict[str, Any]) -> None:
    bodies = [f"order {number}" for number in range(25)]
    originals = {world.send(body) for body in bodies}
    assert sweep(world, document) == {"done": True}
    messages = world.messages()
    assert sorted(message.body for message in messages) == sorted(bodies)
    assert originals.isdisjoint(message.id for message in messages)
    delays = {round(message.delayed_until / 1000 - message.sent_timestamp / 1000) for message in messages}
    assert all(0 <= max(0, delay) <= 300 for delay in delays)
    assert len(delays) > 5
    assert counters(world) == (25, 0)
    assert world.events == []


def test_rejitter_copy_keeps_body_attributes_and_group(world: World, document: dict[str, Any]) -> None:
    attributes = {"kind": string("gift"), "amount": string("12.5", "Number.eur"), "seal": binary(b"\x00\xff")}
    original = world.send('{"order_id": "é"}', MessageAttributes=attributes, MessageGroupId="tenant-1")
    sweep(world, document)
    world.wait(300)
    (copy,) = world.receive()
    assert copy["MessageId"] != original
    assert copy["Body"] == '{"order_id": "é"}'
    assert copy["MessageAttributes"] == attributes
    assert copy["Attributes"]["MessageGroupId"] == "tenant-1"
    assert copy["Attributes"]["ApproximateReceiveCount"] == "1"


def test_rejitter_trace_header_stays_behind(world: World, document: dict[str, Any]) -> None:
    header = {"AWSTraceHeader": string("Root=1-5759e988-bd862e3fe1be46a994272793")}
    world.send(MessageSystemAttributes=header)
    sweep(world, document)
    world.wait(300)
    assert "AWSTraceHeader" not in world.receive()[0]["Attributes"]


def test_rejitter_refused_copy_keeps_the_original_and_spreads_it_too(
    world: World, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    originals = {body: world.send(body) for body in ("good", "bad", "fine")}
    send = world.sqs.send_message_batch

    def partly(*, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
        good = [entry for entry in Entries if entry["MessageBody"] != "bad"]
        answer = send(QueueUrl=QueueUrl, Entries=good) if good else {}
        bad = [{"Id": entry["Id"], "Code": "InternalError"} for entry in Entries if entry not in good]
        return {**answer, "Failed": bad}

    monkeypatch.setattr(world.sqs, "send_message_batch", partly)
    assert sweep(world, document)["done"]
    assert sorted(message.body for message in world.messages()) == ["bad", "fine", "good"]
    assert {message.id for message in world.messages()} & set(originals.values()) == {originals["bad"]}
    assert world.hidden_for(originals["bad"]) <= 300
    assert counters(world) == (2, 0)


def test_rejitter_send_fails_altogether_deletes_nothing(world: World, document: dict[str, Any]) -> None:
    original = world.send()
    world.refuse(world.sqs, "send_message_batch", "RequestThrottled")
    with pytest.raises(Exception, match="RequestThrottled"):
        sweep(world, document)
    assert [message.id for message in world.messages()] == [original]
    world.wait(301)
    assert go_on(world, document)["done"]
    assert counters(world) == (1, 0)


def test_rejitter_delete_not_accepted_counts_a_duplicate(
    world: World, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send()
    monkeypatch.setattr(world.sqs, "delete_message_batch", lambda **_: {"Failed": [{"Id": "0", "Code": "x"}]})
    sweep(world, document)
    assert len(world.messages()) == 2
    assert counters(world) == (1, 1)


def test_rejitter_messages_sent_since_it_began_are_left_alone_and_shown_again(
    world: World, document: dict[str, Any]
) -> None:
    old = world.send("old")
    world.wait(5)
    document["probe"] = {"outcome": "HEALED", "reason": "test", "at": clock.iso(world.now)}
    new = [world.send(f"new {number}") for number in range(30)]
    assert go_on(world, document)["done"]
    assert world.message(old) is None
    assert all(world.hidden_for(message_id) <= 300 for message_id in new)
    assert max(world.messages(), key=lambda message: message.approximate_receive_count).approximate_receive_count == 1
    assert counters(world) == (1, 0)


def test_rejitter_copies_are_not_copied_again(world: World, document: dict[str, Any]) -> None:
    world.register(Recovery="REJITTER", RejitterSeconds=0)
    document["circuit"]["settings"]["RejitterSeconds"] = 0
    for number in range(12):
        world.send(f"order {number}")
    assert sweep(world, document)["done"]
    assert counters(world) == (12, 0)
    assert len(world.messages()) == 12


def test_rejitter_nothing_there_is_done_at_once(world: World, document: dict[str, Any]) -> None:
    assert sweep(world, document)["done"]
    assert counters(world) == (0, 0)


def test_rejitter_again_after_it_was_done_copies_nothing_twice(world: World, document: dict[str, Any]) -> None:
    world.send()
    sweep(world, document)
    world.wait(300)
    assert go_on(world, document)["done"]
    assert counters(world) == (1, 0)


def test_rejitter_time_runs_out_goes_on_in_the_next_run(world: World, document: dict[str, Any]) -> None:
    for number in range(15):
        world.send(f"order {number}")
    left = iter([900, 30])
    first = sweep(world, document, context=Context(lambda: next(left)))
    assert not first["done"]
    assert counters(world) == (10, 0)
    assert go_on(world, document) == {"done": True}
    assert counters(world) == (15, 0)


def test_rejitter_run_is_bounded_so_that_progress_is_written_down(
    world: World, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(25):
        world.send(f"order {number}")
    receive = world.sqs.receive_message

    def slow(**arguments: Any) -> Any:
        world.wait(130)
        return receive(**arguments)

    monkeypatch.setattr(world.sqs, "receive_message", slow)
    assert not sweep(world, document)["done"]
    assert counters(world) == (20, 0)


def test_rejitter_whole_sweep_is_bounded(world: World, document: dict[str, Any]) -> None:
    for number in range(25):
        world.send(f"order {number}")
    world.wait(1)
    document["probe"] = {"outcome": "HEALED", "reason": "test", "at": clock.iso(world.now)}
    world.wait(601)
    assert go_on(world, document)["done"]
    assert counters(world) == (10, 0)


def test_rejitter_largest_messages_are_sent_in_parts(
    world: World, document: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        world.send(str(number) * 400_000)
    parts: list[int] = []
    send = world.sqs.send_message_batch

    def watched(**arguments: Any) -> Any:
        parts.append(len(arguments["Entries"]))
        return send(**arguments)

    monkeypatch.setattr(world.sqs, "send_message_batch", watched)
    sweep(world, document)
    assert parts == [2, 2]
    assert sorted(message.body[0] for message in world.messages()) == ["0", "1", "2", "3"]


def test_rejitter_part_refused_outright_leaves_no_duplicates_of_the_part_before(
    world: World, document: dict[str, Any]
) -> None:
    for number in range(4):
        world.send(str(number) * 400_000)
    world.refuse(world.sqs, "send_message_batch", "RequestThrottled", when="'222222")
    with pytest.raises(Exception, match="RequestThrottled"):
        sweep(world, document)
    assert sorted(message.body[0] for message in world.messages()) == ["0", "1", "2", "3"]
    world.wait(301)
    assert go_on(world, document)["done"]
    assert sorted(message.body[0] for message in world.messages()) == ["0", "1", "2", "3"]


# Messages at their last receive


def test_rejitter_last_receive_is_held_for_the_next_step_and_never_copied(
    world: World, document: dict[str, Any]
) -> None:
    last = world.send("last receive")
    world.receive_times(4)
    world.send("roomy")
    sweep(world, document)
    message = world.message(last)
    assert message is not None
    assert message.approximate_receive_count == 5
    (held,) = world.held()
    assert (held.message_id, held.receive_count) == (last, 5)
    assert world.invocations == []
    assert counters(world) == (1, 0)
    assert world.record().incident["receives"] == 1


def test_rejitter_last_receive_stays_hidden_whatever_holds_the_breaker_up(
    world: World, document: dict[str, Any]
) -> None:
    last = world.send("last receive")
    world.receive_times(4)
    for number in range(9):
        world.send(f"roomy {number}")
    first = sweep(world, document)
    assert first["done"]
    world.wait(6 * 3600)
    world.receive()
    assert world.messages(url=world.dlq_url) == []
    assert world.hidden_for(last) > 0
    assert world.run("settle_held_messages", document)["done"]
    assert world.message(last) is None


def test_rejitter_last_receive_held_by_the_probes_stays_hidden_too(world: World, document: dict[str, Any]) -> None:
    held = world.send("last receive")
    world.receive_times(4)
    world.target = failing
    world.run("probe_target", document)
    world.send("good")
    world.target = processing
    document["probe"] = world.run("probe_target", document)
    assert document["probe"]["outcome"] == "HEALED"
    world.wait(1800)
    assert go_on(world, document)["done"]
    assert world.messages(url=world.dlq_url) == []
    assert world.hidden_for(held) > 0


def test_rejitter_last_receive_without_stored_content_is_tried_while_it_is_at_hand(world: World) -> None:
    world.register(Recovery="REJITTER", StoreHeldMessages="false")
    document = world.open()
    world.send("last receive")
    world.receive_times(4)
    sweep(world, document)
    assert len(world.invocations) == 1
    assert world.messages() == []
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    incident = world.record().incident
    assert (incident["receives"], incident["processed_by_breaker"]) == (1, 1)


@pytest.mark.parametrize("store", ["true", "false"])
def test_rejitter_last_receive_that_the_mapping_drops_is_never_sent_to_the_target(world: World, store: str) -> None:
    criteria = {"Filters": [{"Pattern": '{"body": {"kind": ["gift"]}}'}]}
    world.lambda_.update_event_source_mapping(UUID=world.mapping_id, FilterCriteria=criteria)
    world.register(Recovery="REJITTER", StoreHeldMessages=store)
    document = world.open()
    world.send("last receive")
    world.receive_times(4)
    sweep(world, document)
    assert world.run("settle_held_messages", document)["done"]
    assert world.invocations == []
    assert len(world.messages()) == 1


def test_rejitter_last_receive_without_stored_content_and_time_is_only_held(world: World) -> None:
    world.register(Recovery="REJITTER", StoreHeldMessages="false")
    document = world.open()
    document["circuit"]["target_timeout_seconds"] = 840
    last = world.send("last receive")
    world.receive_times(4)
    sweep(world, document, context=Context(lambda: 300))
    assert world.invocations == []
    assert [held.message_id for held in world.held()] == [last]


def test_rejitter_without_a_dead_letter_queue_copies_everything(make_world: Callable[..., World]) -> None:
    world = make_world(max_receive_count=None)
    world.register(Recovery="REJITTER")
    document = world.open()
    world.send()
    world.receive_times(20)
    sweep(world, document)
    assert counters(world) == (1, 0)


def test_rejitter_left_messages_come_back_only_after_the_sweep(world: World, document: dict[str, Any]) -> None:
    for number in range(15):
        world.send(f"order {number}")
    world.wait(1)
    document["probe"] = {"outcome": "HEALED", "reason": "test", "at": clock.iso(world.now)}
    newer = world.send("newer")
    left = iter([900, 900, 30])
    assert not go_on(world, document, context=Context(lambda: next(left)))["done"]
    assert 600 <= world.hidden_for(newer) <= 900
    assert go_on(world, document)["done"]
    message = world.message(newer)
    assert message is not None
    assert message.approximate_receive_count == 1
