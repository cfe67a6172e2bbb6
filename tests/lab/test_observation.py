"""An account that is taken while orders are on their way."""

import json
from typing import Any, cast

import pytest

from lab.clock import Scale
from lab.emulator import WaitingMessage
from lab.observation import Eyes, Observer, Places
from lab.orders import Sent

PLACES = Places(
    queue_url="the queue",
    dead_letter_queue_url="the dead-letter queue",
    function_name="target",
    ledger_table="ledger",
    mapping_id="mapping",
    state_machine_arn="machine",
    circuit_table="circuits",
    circuit="orders",
)


class Road:
    """One order, which moves on to its next place after each look at any of them."""

    def __init__(self, *places: str) -> None:
        self.places = list(places)

    def holds(self, place: str) -> bool:
        here = self.places[0] == place
        self.places = self.places[1:] or self.places
        return here

    def peek(self, queue_url: str) -> list[WaitingMessage]:
        message = WaitingMessage("m0", json.dumps({"order_id": "o0"}), 1, visible=False, visible_at=0.0)
        return [message] if self.holds(queue_url) else []

    def get_paginator(self, _: str) -> "Road":
        return self

    def paginate(self, *, TableName: str, ConsistentRead: bool) -> list[dict[str, Any]]:  # noqa: N803
        assert ConsistentRead
        item = {"message_id": {"S": "m0"}, "order_id": {"S": "o0"}, "deliveries": {"N": "1"}}
        return [{"Items": [item] if self.holds(TableName) else []}]


@pytest.mark.parametrize("end", ["ledger", "the dead-letter queue"])
@pytest.mark.parametrize("looks_before_it_moves", range(4))
def test_order_that_moves_while_the_account_is_taken_is_not_lost(end, looks_before_it_moves):
    road = Road(*["the queue"] * looks_before_it_moves, end)
    eyes = Eyes(*[cast("Any", road)] * 5, peek=road.peek)
    account = Observer(eyes, PLACES, Scale(10), [Sent("o0", "m0", 0.0)], lambda: "OK").account()
    assert account.lost == frozenset()
    assert account.sent == 1


def test_order_that_is_nowhere_is_lost():
    road = Road("nowhere")
    eyes = Eyes(*[cast("Any", road)] * 5, peek=road.peek)
    account = Observer(eyes, PLACES, Scale(10), [Sent("o0", "m0", 0.0)], lambda: "OK").account()
    assert account.lost == {"o0"}
