"""What an incident has cost by CloudWatch's figures, and that nobody waits for them."""

from dataclasses import replace
from typing import Any

import pytest

from breaker import clients
from breaker.toll import UNKNOWN, Toll, read_toll
from tests.functions.world import World

BEGAN = "2026-03-01T12:05:00Z"


def count_minutes(world: World, minutes: int, *, failed: int, messages_failed: int | None = None) -> None:
    """Let minutes pass, in each of which ten calls are counted, and messages where the mapping publishes them."""
    for _ in range(minutes):
        world.count_calls(10, failed=failed)
        if messages_failed is not None:
            counted = {"InvokedEventCount": 100.0, "FailedInvokeEventCount": float(messages_failed)}
            world.publish("AWS/Lambda", {"EventSourceMappingUUID": world.mapping_id}, counted)
        world.wait(60)


def see_queue(world: World, *, age: float, waiting: float) -> None:
    """Have CloudWatch see the queue."""
    world.publish(
        "AWS/SQS",
        {"QueueName": "orders"},
        {"ApproximateAgeOfOldestMessage": age, "ApproximateNumberOfMessagesVisible": waiting},
    )


def see_dead_letters(world: World, count: float) -> None:
    """Have CloudWatch see the dead-letter queue."""
    world.publish("AWS/SQS", {"QueueName": "orders-dlq"}, {"ApproximateNumberOfMessagesVisible": count})


def toll(world: World, **changes: Any) -> Toll:
    """Return what the running incident has cost until now."""
    record = world.record()
    circuit = replace(record.circuit, **changes)
    return read_toll(record.incident, circuit, world.cloudwatch, world.now)


def outage(world: World, *, messages_failed: int | None = None) -> None:
    """Five good minutes, three bad ones, and the circuit OPEN for ten."""
    count_minutes(world, 5, failed=0, messages_failed=None if messages_failed is None else 0)
    count_minutes(world, 3, failed=9, messages_failed=messages_failed)
    world.open()
    for minute in range(10):
        see_queue(world, age=60.0 * minute, waiting=100.0 * minute if minute < 8 else 5)
        world.wait(60)


def test_toll_counts_from_the_first_bad_minute_to_now(world: World) -> None:
    outage(world)
    world.count_calls(2, failed=2)
    world.wait(60)
    found = toll(world)
    assert (found.errors_began_at, found.failed_calls) == (BEGAN, 3 * 9 + 2)
    assert (found.oldest_message_seconds, found.most_waiting) == (540, 700)
    assert found.dead_lettered == 0


@pytest.mark.parametrize(("messages_failed", "expected"), [(None, None), (95, 3 * 95), (0, 0)])
def test_toll_messages_are_known_only_where_the_mapping_publishes_them(
    world: World, messages_failed: int | None, expected: int | None
) -> None:
    outage(world, messages_failed=messages_failed)
    assert toll(world).failed_messages == expected


def test_toll_of_an_alarm_that_no_minute_explains_is_unknown_and_not_what_came_after(world: World) -> None:
    count_minutes(world, 3, failed=9)
    # The target has healed before the circuit was opened, and the last minutes were good.
    count_minutes(world, 2, failed=0)
    world.open()
    see_queue(world, age=60, waiting=40)
    world.wait(60)
    record = world.record()
    for kind, failed_calls in (("COMMAND", 0), ("EVENT", 0), ("ALARM", None), ("ERRORS_GO_ON", None)):
        incident = record.incident | {"cause": {"kind": kind}}
        found = read_toll(incident, record.circuit, world.cloudwatch, world.now)
        assert (found.failed_calls, found.errors_began_at, found.most_waiting) == (failed_calls, None, 40)
        assert (found.dead_lettered is None) is (failed_calls is None)


def test_toll_of_an_opening_that_no_metric_explains_begins_with_it(world: World) -> None:
    count_minutes(world, 5, failed=1)
    world.open()
    count_minutes(world, 2, failed=3)
    found = toll(world)
    assert (found.errors_began_at, found.failed_calls) == (None, 6)


@pytest.mark.parametrize(
    ("before", "after", "grown"),
    [(0, 31, 31), (3, 34, 31), (3, 3, 0), (3, 1, None), (None, None, 0), (None, 31, 31), (3, None, 0)],
)
def test_toll_dead_lettered_is_the_growth_of_the_dead_letter_queue(
    world: World, before: int | None, after: int | None, grown: int | None
) -> None:
    if before is not None:
        see_dead_letters(world, before)
    outage(world)
    if after is not None:
        see_dead_letters(world, after)
    assert toll(world).dead_lettered == grown


def test_toll_dead_lettered_without_a_dead_letter_queue_is_0(world: World) -> None:
    outage(world)
    assert toll(world, max_receive_count=None, dead_letter_queue_arn="").dead_lettered == 0


def test_toll_dead_lettered_where_an_older_release_did_not_ask_for_the_queue_is_unknown(world: World) -> None:
    outage(world)
    assert toll(world, dead_letter_queue_arn="").dead_lettered is None


def test_toll_where_no_queue_can_be_seen_is_unknown_and_not_0(world: World) -> None:
    count_minutes(world, 3, failed=9)
    world.open()
    found = toll(world)
    assert (found.failed_calls, found.most_waiting, found.oldest_message_seconds) == (27, None, None)
    assert found.dead_lettered is None


def test_toll_of_an_incident_too_long_for_cloudwatch_is_unknown(world: World) -> None:
    outage(world)
    assert toll(world) != UNKNOWN
    world.wait(14 * 86_400)
    assert toll(world) == UNKNOWN


@pytest.mark.parametrize("code", ["Throttling", "InternalFailure", "AccessDenied"])
def test_toll_that_cloudwatch_refuses_is_unknown_and_ends_the_incident_all_the_same(
    world: World, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    world.wait(600)
    document["closing"] = world.run("close_circuit", document)
    document["enabled"] = world.run("confirm_enabled", document)
    asked = []

    class Refusing:
        def paginate(self, **arguments: Any) -> Any:
            asked.append(arguments)
            error = world.cloudwatch.exceptions.from_code(code)
            raise error({"Error": {"Code": code, "Message": "refused by the test"}}, "GetMetricData")

    monkeypatch.setattr(clients.cloudwatch_soon(), "get_paginator", lambda operation: Refusing())
    report = world.run("end_incident", document)
    assert len(asked) == 1
    assert (report["failed_calls"], report["dead_lettered"], report["outcome"]) == (None, None, "HEALED")
    assert world.changes()[-1] == "CLOSED"
