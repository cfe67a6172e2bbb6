"""An execution begun under the release before finishes under this one: its machine, today's steps."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import (
    ALARM,
    CIRCUIT,
    FORMAT_1,
    MACHINE_ARN,
    TABLE,
    World,
    after_failures,
    build_world,
    client,
    failing,
    healthy,
    in_format_1,
    machine_definition,
    substitute,
)

from breaker import next_probe


@contextmanager
def before_the_upgrade(**settings: Any) -> Iterator[World]:
    """Yield a world whose machine is the release before's, and whose LoadCircuit wrote that release's documents."""
    with build_world(definition=json.loads(FORMAT_1.read_text())) as world:
        assert world.register(**{"FirstProbeSeconds": 10} | settings)["Status"] == "SUCCESS"
        world.cloud.functions["LoadCircuitFunction"] = in_format_1(world.cloud.functions["LoadCircuitFunction"])
        yield world
        assert world.lost() == set()


def upgrade(world: World) -> None:
    """Deploy this release: new executions get today's machine, those that run go on with theirs."""
    definition = machine_definition()
    world.mend_step("LoadCircuit")
    added = ("TakeCommand", "JudgeRecovery", "RaiseConcurrency", "RedriveDeadLetters", "ReopenCircuit", "EndIncident")
    for state in added:
        world.add_step(state)
    client("stepfunctions").update_state_machine(stateMachineArn=MACHINE_ARN, definition=substitute(definition))


def drained(world: World) -> None:
    """Let Lambda drain the queue and assert that every order was processed."""
    world.target.behaviour = healthy
    world.drain()
    assert set(world.target.processed) == set(world.sent)
    assert world.dead_lettered() == []


@pytest.mark.parametrize("recovery", ["IMMEDIATE", "REJITTER", "RAMP"])
def test_incident_begun_before_the_upgrade_closes_as_it_did(recovery: str) -> None:
    with before_the_upgrade(Recovery=recovery) as world:
        world.send(5)
        world.target.behaviour = after_failures(2)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert world.record()["state"] == "CLOSED"
        assert world.mapping_changes() == [False, True]
        mapping = client("lambda").get_event_source_mapping(UUID=world.mapping_id)
        assert not (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency"), "nobody would raise it"
        drained(world)


@pytest.mark.parametrize(
    ("outcome", "settings"),
    [("QUEUE_EMPTY", {}), ("OVERRIDDEN", {}), ("GAVE_UP", {"MaxProbes": 1, "OnGiveUp": "CLOSE"})],
)
def test_other_ends_of_an_incident_begun_before_the_upgrade(outcome: str, settings: dict[str, Any]) -> None:
    with before_the_upgrade(**settings) as world:
        if outcome != "QUEUE_EMPTY":
            world.send(5)
            world.target.behaviour = failing
        if outcome == "OVERRIDDEN":
            world.clock.after(60, lambda: world.set_mapping(enabled=True))
        ended = world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["outcome"] == outcome


def test_giving_up_before_the_upgrade_stays_open_and_says_so() -> None:
    with before_the_upgrade(MaxProbes=1) as world:
        world.send(5)
        world.target.behaviour = failing
        world.run().expect("FAILED", last="GaveUp")
        assert world.announced()[-1] == "GAVE_UP"
        upgrade(world)
        assert world.reconcile() == {CIRCUIT: "LEFT_PAUSED"}


def test_long_incident_is_handed_over_to_a_successor_of_this_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 3)
    with before_the_upgrade() as world:
        world.send(5)
        world.target.behaviour = after_failures(4)
        first = world.start()
        world.clock.sleep(30)
        upgrade(world)
        world.finish(first).expect("SUCCEEDED", last="HandedOver")
        ended = world.finish(world.executions()[-1])
        while ended.states[-1] == "HandedOver":
            ended = world.finish(world.executions()[-1])
        ended.expect("SUCCEEDED", last="CircuitClosed")
        assert "EndIncident" in ended.states
        drained(world)


@pytest.mark.parametrize("command", ["CLOSE", "PROBE"])
def test_command_takes_over_an_incident_begun_before_the_upgrade(command: str) -> None:
    with before_the_upgrade() as world:
        world.send(5)
        world.target.behaviour = failing
        first = world.start()
        world.clock.sleep(60)
        upgrade(world)
        world.target.behaviour = healthy
        second = world.start({"circuit": CIRCUIT, "command": command, "reason": "by hand"})
        world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        world.finish(first).expect("SUCCEEDED", last="TakenOver")
        drained(world)


@pytest.mark.parametrize("state", ["OpenCircuit", "ProbeTarget", "CloseCircuit"])
def test_incident_whose_execution_dies_with_the_upgrade_is_resumed_by_this_release(state: str) -> None:
    with before_the_upgrade() as world:
        world.send(5)
        world.target.behaviour = after_failures(1)
        world.stop_in(state)
        first = world.start()
        assert world.clock.wait_for(lambda: world.status(first) == "ABORTED")
        # What the release before did not write.
        client("dynamodb").update_item(
            TableName=TABLE,
            Key={"pk": {"S": f"CIRCUIT#{CIRCUIT}"}, "sk": {"S": "CIRCUIT"}},
            UpdateExpression="SET circuit.settings.AlarmName = :alarm REMOVE circuit.settings.AlarmNames,"
            " circuit.settings.SlowTargetSeconds, incident.own, incident.recovery, incident.reopened, circuit.filters,"
            " circuit.visibility_timeout_seconds, circuit.settings.RampConcurrency, circuit.settings.HealthPeriods,"
            " circuit.dead_letter_queue_arn, circuit.dead_letter_queue_url, circuit.settings.Redrive",
            ExpressionAttributeValues={":alarm": {"S": ALARM}},
        )
        upgrade(world)
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert world.mapping_state() == "Enabled"
        drained(world)
