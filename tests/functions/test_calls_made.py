"""How many AWS calls a step makes: what is paid for, and what is throttled."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.own_cost.recording import calls_made
from breaker import clock
from tests.functions.world import World


def calls_of(run: Callable[[], Any], *, service: str = "") -> Counter[str]:
    """Return the calls made by `run`, to one service or to all."""
    with calls_made() as calls:
        run()
    return Counter(str(call) for call in calls if service in ("", call.service))


@pytest.mark.parametrize("batches", [1, 3])
def test_rejitter_backlog_ten_messages_are_one_receive_one_send_and_one_delete(
    world: World, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    # A copy without a delay would be received again, and left alone.
    monkeypatch.setattr("random.random", lambda: 0.5)
    world.register(Recovery="REJITTER")
    document = world.open()
    for number in range(10 * batches):
        world.send(f"order {number}")
    world.wait(1)
    document["probe"] = {"outcome": "HEALED", "reason": "test", "at": clock.iso(world.now)}
    assert calls_of(lambda: world.run("rejitter_backlog", document)) == {
        "dynamodb:get_item": 1,
        # The last one finds nothing.
        "sqs:receive_message": batches + 1,
        "sqs:send_message_batch": batches,
        "sqs:delete_message_batch": batches,
        "dynamodb:update_item": 1,
    }


def test_probe_target_message_that_fails_is_received_and_hidden_once(world: World) -> None:
    def failing(event: dict[str, Any]) -> Any:
        raise RuntimeError

    world.target = failing
    document = world.open()
    world.send()
    assert calls_of(lambda: world.run("probe_target", document), service="sqs") == {
        "sqs:receive_message": 1,
        "sqs:change_message_visibility_batch": 1,
        "sqs:get_queue_attributes": 1,
    }
    assert len(world.invocations) == 1


def test_reconcile_circuits_quiet_circuit_costs_one_read_and_one_look_at_its_alarm(world: World) -> None:
    world.set_alarm("OK")
    event = {"source": "aws.events"}
    assert calls_of(lambda: world.run("reconcile_circuits", event)) == {
        "dynamodb:scan": 1,
        "dynamodb:get_item": 1,
        "cloudwatch:describe_alarms": 1,
    }


def test_reconcile_circuits_incident_that_runs_is_read_once(world: World) -> None:
    world.open()
    calls = calls_of(lambda: world.run("reconcile_circuits", {"source": "aws.events"}), service="dynamodb")
    assert calls == {"dynamodb:scan": 1, "dynamodb:get_item": 1}
