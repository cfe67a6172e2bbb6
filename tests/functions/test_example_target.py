"""The example's consumer."""

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.functions.world import LEDGER, World


def batch(*bodies: str) -> dict[str, Any]:
    """Return the event of a batch."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": f"handle-{number}",
                "body": body,
                "attributes": {},
                "messageAttributes": {},
                "md5OfBody": "",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:orders",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }


def ledger(world: World) -> dict[str, tuple[str, int]]:
    """Return what was processed: message id, order and how often."""
    items = world.dynamodb.scan(TableName=LEDGER)["Items"]
    return {item["message_id"]["S"]: (item["order_id"]["S"], int(item["deliveries"]["N"])) for item in items}


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world with no circuit: the target knows nothing of it."""
    return make_world()


def test_example_target_healthy_writes_each_order_to_the_ledger(world: World) -> None:
    answer = world.run("example_target", batch('{"order_id": 7}', '{"order_id": "eight"}'))
    assert answer == {"batchItemFailures": []}
    assert ledger(world) == {"message-0": ("7", 1), "message-1": ("eight", 1)}


def test_example_target_delivered_twice_is_counted_twice(world: World) -> None:
    for _ in range(2):
        world.run("example_target", batch('{"order_id": 7}'))
    assert ledger(world) == {"message-0": ("7", 2)}


@pytest.mark.parametrize("poison", ["no JSON", "{}", "[]", "7"])
def test_example_target_poison_among_others_is_named(world: World, poison: str) -> None:
    answer = world.run("example_target", batch('{"order_id": 1}', poison, '{"order_id": 3}'))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert set(ledger(world)) == {"message-0", "message-2"}


@pytest.mark.parametrize("size", [1, 3])
def test_example_target_should_error_raises_so_that_errors_counts_it(
    world: World, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("SHOULD_ERROR", "true")
    # The module as World.run imports it, whose exception it is.
    with pytest.raises(importlib.import_module("example_target").WholeBatchFailed):
        world.run("example_target", batch(*[json.dumps({"order_id": number}) for number in range(size)]))
    assert ledger(world) == {}


def test_example_target_percentage_fails_about_so_many_and_the_same_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOULD_ERROR", "30%")
    event = batch(*[json.dumps({"order_id": number}) for number in range(200)])
    answer = world.run("example_target", event)
    assert 40 <= len(answer["batchItemFailures"]) <= 80
    assert world.run("example_target", event) == answer


@pytest.mark.parametrize("value", ["false", "", "TRUE", "1"])
def test_example_target_should_error_anything_else_is_healthy(
    world: World, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SHOULD_ERROR", value)
    assert world.run("example_target", batch('{"order_id": 1}')) == {"batchItemFailures": []}
