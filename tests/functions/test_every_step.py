"""What all steps have in common: bad input is refused by name, and a lost claim stops them."""

from typing import Any

import pytest

from breaker.errors import BadStateDocument, CircuitTakenOver
from tests.functions.world import World

STEPS = (
    "take_command",
    "open_circuit",
    "watch_circuit",
    "confirm_paused",
    "probe_target",
    "schedule_next_probe",
    "hand_over",
    "give_up",
    "rejitter_backlog",
    "settle_held_messages",
    "close_circuit",
    "confirm_enabled",
    "judge_recovery",
    "raise_concurrency",
    "redrive_dead_letters",
    "reopen_circuit",
    "end_incident",
)
OWNERS_ONLY = tuple(step for step in STEPS if step not in ("take_command", "open_circuit", "watch_circuit"))
RESULTS: dict[str, Any] = {
    "schedule": {"failures": 2, "successes": 0, "cycles": 2, "began": "2026-03-01T12:00:00Z", "wait_seconds": 60},
    "probe": {"outcome": "FAILED", "reason": "the target answered FUNCTION_ERROR to a message"},
    "closing": {"outcome": "HEALED"},
    "enabled": {"at": "2026-03-01T12:00:00Z", "concurrency": 2, "wait_seconds": 150},
    "recovery": {"next": "RAISE", "reason": "0 of 9 calls failed", "step": 0, "checks": 5},
}


def test_step_bad_input_is_refused_by_name(world: World) -> None:
    good = {**world.document(world.start_execution()), **RESULTS}
    bad = {"format": 99, "execution": "me", "circuit": None}
    for step in STEPS:
        for field, value in bad.items():
            with pytest.raises(BadStateDocument, match=rf"{field}: {value!r} must be"):
                world.run(step, {**good, field: value})
    assert world.mapping_is() == "Enabled"
    assert world.record().owner == ""


@pytest.mark.parametrize("step", OWNERS_ONLY)
def test_step_lost_ownership_changes_nothing(world: World, step: str) -> None:
    world.send()
    document = {**world.open(), **RESULTS}
    world.take_over()
    before, mapping = world.items(), world.mapping_is()
    with pytest.raises(CircuitTakenOver, match=r"circuit orders: .*:first does not own it any more"):
        world.run(step, document)
    assert world.items() == before
    assert world.mapping_is() == mapping
    assert (world.events, world.invocations) == ([], [])
    assert [message.approximate_receive_count for message in world.messages()] == [0]


@pytest.mark.parametrize("step", OWNERS_ONLY)
def test_step_circuit_removed_meanwhile_changes_nothing(world: World, step: str) -> None:
    document = {**world.open(), **RESULTS}
    world.table.remove("orders")
    with pytest.raises(CircuitTakenOver):
        world.run(step, document)
    assert world.table.load("orders") is None
    assert world.events == []


@pytest.mark.parametrize("step", ["probe_target", "close_circuit", "confirm_enabled", "give_up", "confirm_paused"])
def test_step_ownership_lost_while_it_works_announces_nothing(world: World, step: str) -> None:
    document = {**world.open(), **RESULTS}
    if step == "confirm_enabled":
        world.switch_mapping(enabled=True)
    read = world.dynamodb.get_item

    def and_then_somebody_takes_over(**arguments: Any) -> Any:
        answer = read(**arguments)
        if answer.get("Item", {}).get("owner"):
            world.dynamodb.get_item = read
            world.take_over()
        return answer

    world.dynamodb.get_item = and_then_somebody_takes_over
    try:
        with pytest.raises(CircuitTakenOver):
            world.run(step, document)
    finally:
        world.dynamodb.get_item = read
    assert world.events == []


@pytest.mark.parametrize("step", OWNERS_ONLY)
def test_step_table_refuses_raises_what_aws_said(world: World, step: str) -> None:
    document = {**world.open(), **RESULTS}
    for operation in ("get_item", "update_item"):
        world.refuse(world.dynamodb, operation, "ProvisionedThroughputExceededException", times=100)
    with pytest.raises(world.dynamodb.exceptions.ProvisionedThroughputExceededException):
        world.run(step, document)


def test_step_transaction_refused_for_another_reason_raises_what_aws_said(world: World) -> None:
    document = {**world.open(), **RESULTS}
    world.send()
    world.refuse(world.dynamodb, "transact_write_items", "TransactionCanceledException")
    with pytest.raises(world.dynamodb.exceptions.TransactionCanceledException):
        world.run("probe_target", document)


def test_step_repeated_takes_the_next_number_for_the_same_incident(world: World) -> None:
    document = {**world.open(), **RESULTS}
    for _ in range(2):
        world.run("give_up", document)
    assert [event["sequence"] for event in world.events] == [2, 3]
    assert len({event["incident"] for event in world.events}) == 1
