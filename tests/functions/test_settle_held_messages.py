"""SettleHeldMessages: every held message is handed back, and none goes to its dead-letter queue for it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.world import Context, LambdaRefusal, World, failing, processing

HEALED = {"outcome": "HEALED", "reason": "test"}


def hold(world: World, count: int, **settings: Any) -> tuple[dict[str, Any], list[str]]:
    """Have `count` messages of the queue probed with and held, and return the step's input and their ids."""
    world.register(MaxHeldMessages=10, **settings)
    world.target = failing
    document = world.open(probe=HEALED)
    for _ in range(count):
        world.run("probe_target", document)
    world.events.clear()
    world.invocations.clear()
    world.target = processing
    return document, [held.message_id for held in world.held()]


def counters(world: World) -> dict[str, int]:
    """Return the counters that this step writes."""
    names = ("holds_ended", "processed_by_breaker", "left_alone", "handed_back")
    return {name: world.record().incident[name] for name in names if world.record().incident[name]}


def test_settle_nothing_held_is_done(world: World) -> None:
    document = world.open(probe=HEALED)
    assert world.run("settle_held_messages", document) == {"done": True, "began": int(world.now.timestamp())}
    assert counters(world) == {}


def test_settle_messages_with_room_are_shown_and_forgotten_untouched(world: World) -> None:
    sent = [world.send(f"order {number}") for number in range(3)]
    document, held = hold(world, 3)
    assert sorted(held) == sorted(sent)
    assert world.run("settle_held_messages", document)["done"]
    assert [world.hidden_for(message_id) for message_id in sent] == [0, 0, 0]
    assert world.invocations == []
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert counters(world) == {"handed_back": 3}


def test_settle_twice_hands_back_once(world: World) -> None:
    world.send()
    document, _ = hold(world, 1)
    world.run("settle_held_messages", document)
    assert world.run("settle_held_messages", document)["done"]
    assert counters(world) == {"handed_back": 1}


def test_settle_at_max_receive_count_is_tried_on_the_healed_target_instead_of_shown(world: World) -> None:
    last = world.send("last receive")
    world.receive_times(4)
    roomy = world.send("roomy")
    document, _ = hold(world, 2)
    assert world.run("settle_held_messages", document)["done"]
    assert [event["Records"][0]["messageId"] for _, event in world.invocations] == [last]
    assert [message.id for message in world.messages()] == [roomy]
    assert world.messages(url=world.dlq_url) == []
    assert counters(world) == {"processed_by_breaker": 1, "handed_back": 1}


def test_settle_poison_at_max_receive_count_stays_hidden_to_the_end_of_its_hold(world: World) -> None:
    poison = world.send("poison")
    world.receive_times(4)
    document, _ = hold(world, 1)
    world.target = failing
    (held,) = world.held()
    assert world.run("settle_held_messages", document)["done"]
    assert world.hidden_for(poison) == held.hold_ends - world.now.timestamp()
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert counters(world) == {"left_alone": 1}
    # Then the queue's own policy applies.
    world.wait(world.hidden_for(poison) + 1)
    world.receive()
    assert [message.id for message in world.messages(url=world.dlq_url)] == [poison]


def test_settle_message_that_the_mapping_drops_is_shown_whatever_its_count_and_never_tried(world: World) -> None:
    criteria = {"Filters": [{"Pattern": '{"body": {"kind": ["gift"]}}'}]}
    world.lambda_.update_event_source_mapping(UUID=world.mapping_id, FilterCriteria=criteria)
    last = world.send("last receive")
    world.receive_times(4)
    roomy = world.send("roomy")
    document, held = hold(world, 1)
    assert sorted(held) == sorted([last, roomy])
    assert world.hidden_for(last) > 40_000
    assert world.run("settle_held_messages", document)["done"]
    assert world.invocations == []
    assert [world.hidden_for(message_id) for message_id in (last, roomy)] == [0, 0]
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert counters(world) == {"left_alone": 1, "handed_back": 1}


@pytest.mark.parametrize("outcome", ["QUEUE_EMPTY", "TRIAL", "FAILED"])
def test_settle_target_not_known_to_be_healed_is_not_tried(world: World, outcome: str) -> None:
    last = world.send()
    world.receive_times(4)
    document, _ = hold(world, 1)
    document["probe"] = {"outcome": outcome, "reason": "test"}
    assert world.run("settle_held_messages", document)["done"]
    assert world.invocations == []
    assert world.hidden_for(last) > 40_000


def test_settle_overridden_by_somebody_who_lets_messages_flow_tries_too(world: World) -> None:
    world.send()
    world.receive_times(4)
    document, _ = hold(world, 1)
    document["probe"] = {"outcome": "OVERRIDDEN", "reason": "test"}
    assert world.run("settle_held_messages", document)["done"]
    assert world.messages() == []
    assert counters(world) == {"processed_by_breaker": 1}


def test_settle_without_stored_content_cannot_try_and_leaves_alone(world: World) -> None:
    world.send()
    world.receive_times(4)
    document, _ = hold(world, 1, StoreHeldMessages="false")
    world.run("settle_held_messages", document)
    assert world.invocations == []
    assert counters(world) == {"left_alone": 1}


def test_settle_without_a_dead_letter_queue_shows_everything(make_world: Callable[..., World]) -> None:
    world = make_world(max_receive_count=None)
    world.register()
    message_id = world.send()
    world.receive_times(9)
    document, _ = hold(world, 1)
    world.run("settle_held_messages", document)
    assert world.hidden_for(message_id) == 0


def test_settle_hold_that_has_ended_is_only_counted(world: World) -> None:
    world.send()
    document, _ = hold(world, 1)
    world.wait(43_200)
    assert world.run("settle_held_messages", document)["done"]
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert counters(world) == {"holds_ended": 1}


def test_settle_time_runs_out_goes_on_in_the_next_run_and_shows_the_others_last(world: World) -> None:
    for number in range(3):
        world.send(f"last receive {number}")
    world.receive_times(4)
    roomy = world.send("roomy")
    document, _ = hold(world, 4)
    began = int(world.now.timestamp())
    left = iter([900, 900, 10])
    answer = world.run("settle_held_messages", document, context=Context(lambda: next(left)))
    assert answer == {"done": False, "began": began}
    assert len(world.invocations) == 2
    assert world.hidden_for(roomy) > 0
    assert counters(world) == {"processed_by_breaker": 2}
    world.wait(100)
    answer = world.run("settle_held_messages", {**document, "settled": answer})
    assert answer == {"done": True, "began": began}
    assert world.hidden_for(roomy) == 0
    assert counters(world) == {"processed_by_breaker": 3, "handed_back": 1}


def test_settle_after_half_an_hour_tries_no_more(world: World) -> None:
    last = world.send()
    world.receive_times(4)
    document, _ = hold(world, 1)
    document["settled"] = {"done": False, "began": int(world.now.timestamp()) - 1800}
    assert world.run("settle_held_messages", document)["done"]
    assert world.invocations == []
    assert world.hidden_for(last) > 40_000


def not_allowed(event: dict[str, Any]) -> None:
    """Be refused by Lambda before the target runs."""
    raise LambdaRefusal("AccessDeniedException", status=403)


def test_settle_breaker_may_not_invoke_raises_and_keeps_the_message(world: World) -> None:
    world.send()
    world.receive_times(4)
    document, held = hold(world, 1)
    world.target = not_allowed
    with pytest.raises(Exception, match="AccessDeniedException"):
        world.run("settle_held_messages", document)
    assert [message.message_id for message in world.held()] == held
    assert len(world.messages()) == 1
