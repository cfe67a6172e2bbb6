"""Every path through the state machine, with the real handlers.

At the end of each path no message is lost and nothing of a message's content can be read anywhere but in the table:
`paths` checks both.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from emulated_cloud import AwsError
from harness import (
    ALARM,
    CIRCUIT,
    MACHINE_ARN,
    TABLE,
    TARGET,
    Behaviour,
    Ended,
    World,
    after_failures,
    build_world,
    client,
    failing,
    healthy,
    machine_definition,
    reporting_failures,
    throttled,
    timing_out,
    until,
)
from machine_checks import LOADED, states_of, tasks_of, transitions_of

import judge_recovery
from breaker import next_probe

STEPS = sorted(set(tasks_of(machine_definition())) - {"RecordFailure"})
# They act for the owner. OpenCircuit becomes the owner.
OWNED_STEPS = [step for step in STEPS if step not in ("LoadCircuit", "TakeCommand", "WatchCircuit", "OpenCircuit")]

# What leads an incident through a step.
LEADS_TO: dict[str, dict[str, Any]] = {
    "WatchCircuit": {"Mode": "WATCH"},
    "GiveUp": {"MaxProbes": 2, "OnGiveUp": "CLOSE"},
    "RejitterBacklog": {"Recovery": "REJITTER"},
    "RaiseConcurrency": {"Recovery": "RAMP"},
    "RedriveDeadLetters": {"Redrive": True},
}
# What starts an incident that visits a step, where the alarm's event does not.
STARTED_BY = {"TakeCommand": {"circuit": CIRCUIT, "command": "OPEN", "reason": "maintenance"}}


@contextmanager
def paths(*, surroundings: dict[str, Any] | None = None, **settings: Any) -> Iterator[World]:
    """Yield a world with a registered circuit; check what must hold at the end of every path.

    Messages are let in whole unless a test asks for steps: those have their own tests, in test_recovery.py.
    """
    with build_world(**(surroundings or {})) as world:
        answer = world.register(**{"Recovery": "IMMEDIATE"} | settings)
        assert answer["Status"] == "SUCCESS", answer
        yield world
        assert world.lost() == set()
        assert world.exposed() == []


def closed_cleanly(world: World, ended: Ended) -> dict[str, Any]:
    """Assert that the circuit is CLOSED with nothing left over; return the incident's report."""
    ended.expect("SUCCEEDED", last="CircuitClosed")
    assert world.mapping_state() == "Enabled"
    record = world.record()
    assert record["state"] == "CLOSED"
    assert {"owner", "incident", "intent", "failure", "next_probe_at", "successor"} & set(record) == set()
    assert world.held_items() == []
    assert world.announced()[-1] == "CLOSED"
    assert isinstance(ended.output, dict)
    return ended.output


def all_processed(world: World) -> None:
    """Let Lambda drain the queue and assert that every order was processed and none dead-lettered."""
    world.target.behaviour = healthy
    world.drain()
    assert set(world.target.processed) == set(world.sent)
    assert world.dead_lettered() == []


# Probing ------------------------------------------------------------------------------------------------------------


def test_target_that_is_healthy_again_heals_with_the_first_probe() -> None:
    with paths(FirstProbeSeconds=30) as world:
        world.send(3)
        summary = closed_cleanly(world, world.run())
        assert world.waits() == [30]
        assert world.mapping_changes() == [False, True]
        assert world.announced() == ["OPENED", "PROBED", "HALF_OPEN", "CLOSED"]
        assert (summary["outcome"], summary["probes"], summary["failed_probes"]) == ("HEALED", 1, 0)
        assert len(world.target.processed) == 1
        assert [message.receive_count for message in world.queued()] == [0, 0]
        all_processed(world)


def test_states_of_the_shortest_incident_in_order() -> None:
    with paths() as world:
        world.send(1)
        assert world.run().states == (
            "LoadCircuit",
            "WhatIsAsked?",
            "OpenCircuit",
            "WhereDoesItStand?",
            "ConfirmPaused",
            "IsItPausedAgain?",
            "WaitBeforeFirstProbe",
            "ProbeTarget",
            "WhatDidTheProbeShow?",
            "SettleHeldMessages",
            "AreAllSettled?",
            "CloseCircuit",
            "ConfirmEnabled",
            "IsRecoveryJudged?",
            *("WaitForMetrics", "JudgeRecovery", "HowDoesItGoOn?"),
            *("WaitForMoreMetrics", "JudgeRecovery", "HowDoesItGoOn?"),
            "EndIncident",
            "CircuitClosed",
        )
        opened = next(call for call in world.cloud.invocations if call.function == "OpenCircuitFunction")
        assert set(opened.event) == LOADED


def test_waits_grow_with_each_failed_probe_up_to_the_longest() -> None:
    with paths(FirstProbeSeconds=10, ProbeBackoffRate=3, MaxProbeIntervalSeconds=100) as world:
        world.send(8)
        world.target.behaviour = after_failures(4)
        summary = closed_cleanly(world, world.run())
        assert world.waits() == [10, 30, 90, 100, 100]
        assert (summary["probes"], summary["failed_probes"]) == (5, 4)
        assert world.announced().count("PROBED") == 5
        all_processed(world)


def test_jitter_only_shortens_waits() -> None:
    with paths(FirstProbeSeconds=30, ProbeBackoffRate=2, MaxProbeIntervalSeconds=120, ProbeJitterPercent=50) as world:
        world.send(5)
        world.target.behaviour = after_failures(4)
        closed_cleanly(world, world.run())
        first, *later = world.waits()
        assert first == 30
        assert all(low / 2 <= wait <= low for wait, low in zip(later, [60, 120, 120, 120], strict=True))


@pytest.mark.parametrize("how", [failing, reporting_failures, timing_out, throttled])
def test_every_kind_of_failure_keeps_the_circuit_open_and_the_message(how: Behaviour) -> None:
    with paths() as world:
        world.send(1)
        world.target.behaviour = after_failures(2, how=how)
        world.clock.after(100, lambda: kept.extend(world.queued()))
        kept: list[Any] = []
        summary = closed_cleanly(world, world.run())
        assert summary["failed_probes"] == 2
        assert [message.order_id for message in kept] == world.sent
        assert world.target.processed == world.sent
        assert summary["receives"] == 1


def test_failures_that_the_mapping_ignores_are_ignored() -> None:
    # Without ReportBatchItemFailures Lambda deletes what was "reported", so a probe must call that healed.
    with build_world(partial_batch_response=False) as world:
        world.register()
        world.send(1)
        world.target.behaviour = reporting_failures
        assert closed_cleanly(world, world.run())["outcome"] == "HEALED"


def test_probe_gives_the_target_the_event_that_a_poller_would() -> None:
    with paths() as world:
        world.send(1, kind="express")
        closed_cleanly(world, world.run())
        ((record,),) = [event["Records"] for event in world.target.received]
        assert json.loads(record["body"])["order_id"] == "order-0"
        assert record["messageAttributes"]["kind"]["stringValue"] == "express"
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
        assert record["eventSource"] == "aws:sqs"
        assert record["eventSourceARN"] == world.queue_arn
        assert {"messageId", "receiptHandle", "md5OfBody", "awsRegion"} <= set(record)


def test_one_poison_message_does_not_hold_the_circuit_open() -> None:
    def poison(world: World, event: dict[str, Any]) -> Any:
        if any(json.loads(record["body"])["order_id"] == "order-0" for record in event["Records"]):
            return failing(world, event)
        return healthy(world, event)

    with paths() as world:
        world.send(3)
        world.target.behaviour = poison
        summary = closed_cleanly(world, world.run())
        assert summary["probes"] <= 3
        assert {message.order_id for message in world.queued()} >= {"order-0"}


def test_one_lucky_message_does_not_end_an_incident_while_the_alarm_rings() -> None:
    with paths(surroundings={"alarm_stays": True}, FirstProbeSeconds=30) as world:
        world.send(10)
        lucky = iter([True, False, True, True])
        world.target.behaviour = lambda w, event: healthy(w, event) if next(lucky, True) else failing(w, event)
        summary = closed_cleanly(world, world.run())
        assert (summary["outcome"], summary["probes"], summary["failed_probes"]) == ("HEALED", 5, 1)
        assert world.waits() == [30, 30, 60, 30, 30], "a target that seems to have healed is not kept waiting"
        all_processed(world)


def test_message_processed_while_the_alarm_rings_is_believed_once_it_stops() -> None:
    with paths(surroundings={"alarm_stays": True}, FirstProbeSeconds=30) as world:
        world.send(10)
        world.set_alarm_later("OK", 50)
        summary = closed_cleanly(world, world.run())
        assert (summary["outcome"], summary["probes"]) == ("HEALED", 2)
        all_processed(world)


# Nothing to probe with ----------------------------------------------------------------------------------------------


def test_empty_queue_is_tried_with_few_messages_at_once() -> None:
    with paths(surroundings={"alarm_stays": True}) as world:
        summary = closed_cleanly(world, world.run())
        assert summary["outcome"] == "QUEUE_EMPTY"
        assert [update.change.get("ScalingConfig") for update in world.cloud.mapping_updates] == [
            None,
            {"MaximumConcurrency": 2},
            {},
        ]
        assert world.target.received == []


def test_hidden_messages_are_waited_for() -> None:
    with paths(FirstProbeSeconds=30) as world:
        world.send(2)
        world.hide(2, 200)
        world.set_alarm_later("OK", 50)
        assert closed_cleanly(world, world.run())["outcome"] == "HEALED"
        assert world.clock.elapsed() > 200
        assert set(world.waits()) == {30}
        all_processed(world)


def test_delayed_messages_are_waited_for() -> None:
    with paths(FirstProbeSeconds=30) as world:
        world.send(2, delay=200)
        world.set_alarm_later("OK", 50)
        assert closed_cleanly(world, world.run())["outcome"] == "HEALED"
        assert world.clock.elapsed() > 200
        all_processed(world)


# Holding messages ---------------------------------------------------------------------------------------------------


def test_long_outage_receives_each_held_message_once() -> None:
    with paths(MaxHeldMessages=3, MaxProbeIntervalSeconds=600) as world:
        world.send(5)
        world.target.behaviour = until(5 * 3600)
        summary = closed_cleanly(world, world.run())
        assert summary["failed_probes"] > 20
        assert summary["receives"] == 3
        assert max(message.receive_count for message in world.queued()) == 1
        all_processed(world)


def test_outage_longer_than_sqs_hides_messages_loses_and_dead_letters_nothing() -> None:
    with paths(surroundings={"max_receive_count": 3}, MaxProbeIntervalSeconds=3600, MaxHeldMessages=3) as world:
        world.send(3)
        world.target.behaviour = until(15 * 3600)
        closed_cleanly(world, world.run())
        assert world.dead_lettered() == []
        all_processed(world)


def test_message_at_its_last_receive_is_tried_not_dead_lettered() -> None:
    with paths(surroundings={"max_receive_count": 1}) as world:
        world.send(4)
        world.target.behaviour = after_failures(3)
        closed_cleanly(world, world.run())
        all_processed(world)


def test_contents_that_may_not_be_stored_are_not() -> None:
    with paths(StoreHeldMessages=False, MaxHeldMessages=3) as world:
        world.send(4)
        world.target.behaviour = after_failures(5)
        contents: list[Any] = []
        world.clock.after(200, lambda: contents.extend(item for item in world.items() if "content" in item))
        closed_cleanly(world, world.run())
        assert contents == []
        all_processed(world)


def test_unstored_messages_at_their_last_receive_do_not_end_the_probing() -> None:
    with paths(surroundings={"max_receive_count": 2}, StoreHeldMessages=False, MaxHeldMessages=3) as world:
        world.send(12)
        world.target.behaviour = after_failures(10)
        summary = closed_cleanly(world, world.run())
        assert summary["probes"] == 11
        assert world.clock.elapsed() < 3600


def test_fifo_groups_are_probed_and_keep_their_order() -> None:
    with paths(surroundings={"fifo": True}) as world:
        world.send(3, group="a")
        world.send(1, group="b")
        world.target.behaviour = after_failures(5)
        closed_cleanly(world, world.run())
        all_processed(world)
        assert [order for order in world.target.processed if order != "order-3"] == ["order-0", "order-1", "order-2"]


# Giving up ----------------------------------------------------------------------------------------------------------


def test_giving_up_stays_open_if_told_so_and_says_so() -> None:
    with paths(MaxProbes=3, OnGiveUp="STAY_OPEN") as world:
        world.send(4)
        world.target.behaviour = failing
        ended = world.run().expect("FAILED", last="GaveUp")
        assert ended.error == "GaveUp"
        assert len(world.waits()) == 3
        assert world.mapping_state() == "Disabled"
        assert world.record()["state"] == "OPEN"
        assert "3 failed probes" in world.record()["reason"]
        assert world.announced()[-1] == "GAVE_UP"
        assert world.held_items() == []
        assert not any(message.hidden for message in world.queued())


def test_next_trip_takes_over_after_giving_up() -> None:
    with paths(MaxProbes=2, OnGiveUp="STAY_OPEN") as world:
        world.send(4)
        world.target.behaviour = failing
        world.run().expect("FAILED")
        incident = world.record()["incident"]["id"]
        world.target.behaviour = healthy
        summary = closed_cleanly(world, world.run())
        assert summary["incident"] == incident
        assert summary["outcome"] == "HEALED"
        all_processed(world)


def test_giving_up_closes_if_told_so_and_says_so() -> None:
    with paths(MaxProbes=2, OnGiveUp="CLOSE") as world:
        world.send(2)
        world.target.behaviour = failing
        ended = world.run()
        assert closed_cleanly(world, ended)["outcome"] == "GAVE_UP"
        assert ended.count("GiveUp") == 1
        assert "GAVE_UP" in world.announced()
        all_processed(world)


# One owner ----------------------------------------------------------------------------------------------------------


def test_second_execution_changes_nothing_while_the_first_runs() -> None:
    with paths() as world:
        world.send(3)
        world.target.behaviour = until(200)
        first = world.start()
        seen: list[Any] = []

        def look_and_start() -> None:
            seen.extend([world.record(), list(world.cloud.mapping_updates)])
            world.start()
            world.clock.after(5, lambda: seen.extend([world.record(), list(world.cloud.mapping_updates)]))

        world.clock.after(50, look_and_start)
        ended = world.finish(first)
        second = world.finish(world.started[1])
        second.expect("SUCCEEDED", last="NotOurs")
        assert seen[:2] == seen[2:]
        closed_cleanly(world, ended)
        assert world.announced().count("OPENED") == 1
        all_processed(world)


def test_execution_that_lost_the_circuit_changes_nothing_more() -> None:
    with paths() as world:
        world.send(3)
        world.target.behaviour = failing
        other = f"{MACHINE_ARN.replace(':stateMachine:', ':execution:')}:other"
        world.clock.after(100, lambda: own(world, other))
        world.run().expect("SUCCEEDED", last="TakenOver")
        assert world.record()["owner"] == other
        assert world.mapping_changes() == [False]
        assert world.announced()[-1] == "PROBED"


@pytest.mark.parametrize("step", OWNED_STEPS)
def test_step_of_an_execution_that_lost_the_circuit_changes_nothing(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with paths_through(step, monkeypatch) as world:
        work = world.cloud.functions[f"{step}Function"]
        seen: list[Any] = []

        def look() -> list[Any]:
            return [world.items(), world.queued(), len(world.cloud.mapping_updates), world.announced()]

        def late(event: Any, context: Any) -> Any:
            if not seen:
                own(world, f"{MACHINE_ARN.replace(':stateMachine:', ':execution:')}:other")
                seen.extend(look())
            return work.handler(event, context)

        world.cloud.functions[f"{step}Function"] = replace(work, handler=late)
        ended = world.run().expect("SUCCEEDED", last="TakenOver")
        assert ended.states[-2] == step
        assert look() == seen


def own(world: World, owner: str) -> None:
    """Make somebody else the circuit's owner."""
    client("dynamodb").update_item(
        TableName=TABLE,
        Key={"pk": {"S": f"CIRCUIT#{CIRCUIT}"}, "sk": {"S": "CIRCUIT"}},
        UpdateExpression="SET #owner = :owner",
        ExpressionAttributeNames={"#owner": "owner"},
        ExpressionAttributeValues={":owner": {"S": owner}},
    )


def test_aborted_owner_is_replaced_by_the_next_trip() -> None:
    with paths() as world:
        world.send(3)
        world.target.behaviour = failing
        arn = world.start()
        world.clock.after(100, lambda: client("stepfunctions").stop_execution(executionArn=arn))
        world.finish(arn).expect("ABORTED")
        assert world.mapping_state() == "Disabled"
        world.target.behaviour = healthy
        closed_cleanly(world, world.run())
        all_processed(world)


def test_long_outage_is_handed_over_to_a_fresh_execution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 3)
    with paths(FirstProbeSeconds=10, ProbeBackoffRate=2, MaxProbeIntervalSeconds=1000) as world:
        world.send(5)
        world.target.behaviour = after_failures(7)
        world.run().expect("SUCCEEDED", last="HandedOver")
        for _ in range(2):
            ended = world.finish(world.executions()[-1])
        summary = closed_cleanly(world, ended)
        assert len(world.executions()) == 3
        assert summary["failed_probes"] == 7
        assert world.announced().count("HANDED_OVER") == 2
        assert world.announced().count("PROBED") == 8
        assert world.mapping_changes() == [False, True]
        assert len({detail["incident"] for detail in world.announcements()}) == 1
        all_processed(world)


def test_successor_that_finds_its_incident_over_is_refused() -> None:
    with paths() as world:
        world.send(1)
        closed_cleanly(world, world.run())
        ended = world.run({"circuit": CIRCUIT, "resume": "orders-000000000000"})
        ended.expect("FAILED", last="TripRefused")
        assert ended.error == "StaleTrip"
        assert world.mapping_state() == "Enabled"


# The mapping --------------------------------------------------------------------------------------------------------


def test_mapping_that_is_busy_is_waited_for_at_both_ends() -> None:
    with paths() as world:
        world.send(2)
        busy = AwsError("ResourceInUseException", "Cannot update the event source mapping because it is in use.")
        world.cloud.mapping_refusals = [busy] * 3
        world.target.behaviour = until(60)
        world.clock.after(60, lambda: world.cloud.mapping_refusals.extend([busy] * 3))
        ended = world.run()
        closed_cleanly(world, ended)
        assert world.cloud.mapping_refusals == []
        assert {error for function, error in world.failed_steps() if function != TARGET} == {"MappingNotSettled"}
        all_processed(world)


def test_mapping_that_somebody_is_updating_is_waited_for() -> None:
    with paths() as world:
        world.send(2)
        world.cloud.keep_mapping_busy(world.mapping_id, 120)
        closed_cleanly(world, world.run())
        assert world.cloud.mapping_updates[0].at >= 120


def test_probes_begin_only_when_the_mapping_is_disabled() -> None:
    with paths(FirstProbeSeconds=1) as world:
        world.send(2)
        world.mapping_settles(after=240)
        summary = closed_cleanly(world, world.run())
        assert world.target_first_received_at() > 240
        assert summary["duration_seconds"] > 480, (
            "the incident ends when the mapping is Enabled, not when it is asked for"
        )


def test_mapping_that_somebody_enables_ends_the_incident() -> None:
    with paths() as world:
        world.send(4)
        world.target.behaviour = failing
        world.clock.after(100, lambda: world.set_mapping(enabled=True))
        summary = closed_cleanly(world, world.run())
        assert summary["outcome"] == "OVERRIDDEN"
        assert world.mapping_changes() == [False, True], "the person's choice stands"
        assert not any(message.hidden for message in world.queued())
        all_processed(world)


def test_mapping_that_somebody_had_disabled_is_left_alone() -> None:
    with paths() as world:
        world.send(2)
        world.set_mapping(enabled=False)
        world.clock.sleep(60)
        world.run().expect("SUCCEEDED", last="NotOurs")
        assert world.mapping_changes() == [False]
        assert world.mapping_state() == "Disabled"
        assert world.announced() == ["STAYED_CLOSED"]
        assert "owner" not in world.record()


def test_circuit_removed_while_open_leaves_messages_flowing() -> None:
    with build_world() as world:
        world.register()
        world.send(3)
        world.target.behaviour = failing
        arn = world.start()
        world.clock.sleep(100)
        world.register("Delete")
        assert world.finish(arn).status == "ABORTED"
        assert world.answers[-1]["Status"] == "SUCCESS"
        assert world.mapping_state() == "Enabled"
        assert world.items() == []
        assert not any(message.hidden for message in world.queued())
        assert world.exposed() == []
        all_processed(world)


def test_settings_changed_while_open_do_not_change_the_incident() -> None:
    with paths(FirstProbeSeconds=30, MaxProbeIntervalSeconds=30) as world:
        world.send(2)
        world.target.behaviour = until(200)
        arn = world.start()
        world.clock.after(100, lambda: world.register("Update", FirstProbeSeconds=900, MaxProbeIntervalSeconds=900))
        closed_cleanly(world, world.finish(arn))
        assert world.answers[-1]["Status"] == "SUCCESS"
        assert set(world.waits()) == {30}
        all_processed(world)


# Modes and refusals -------------------------------------------------------------------------------------------------


def test_watch_says_what_it_would_do_and_touches_nothing() -> None:
    with paths(Mode="WATCH", FirstProbeSeconds=30) as world:
        world.send(2)
        before = world.items()
        ended = world.run().expect("SUCCEEDED", last="Watched")
        assert world.items() == before
        assert world.cloud.mapping_updates == []
        assert world.target.received == []
        assert [message.receive_count for message in world.queued()] == [0, 0]
        assert world.announced() == ["WOULD_OPEN"]
        assert ended.output["would_disable"] == world.mapping_id
        assert ended.output["would_probe_at"][0] == "2026-03-01T12:00:30Z"
        all_processed(world)


def test_off_does_nothing() -> None:
    with paths(Mode="OFF") as world:
        world.send(2)
        before = world.items()
        world.run().expect("SUCCEEDED", last="CircuitIsOff")
        assert world.items() == before
        assert world.cloud.mapping_updates == []
        assert world.target.received == []
        assert world.announced() == []


def _command(**fields: Any) -> Callable[[World], Any]:
    return lambda world: {"circuit": CIRCUIT, **fields}


REFUSED: dict[str, tuple[str, Callable[[World], Any]]] = {
    "unknown circuit": ("UnknownCircuit", lambda w: {"circuit": "payments", "cause": w.alarm_event()}),
    "no circuit": ("InvalidTrip", lambda w: {"cause": w.alarm_event()}),
    "nothing": ("InvalidTrip", lambda w: {}),
    "unknown command": ("InvalidTrip", _command(command="STOP", reason="by hand")),
    "command without a reason": ("InvalidTrip", _command(command="OPEN")),
    "command with an unknown field": ("InvalidTrip", _command(command="OPEN", reason="by hand", force=True)),
    "no event": ("InvalidTrip", _command(cause="ALARM")),
    "another kind of event": (
        "InvalidTrip",
        lambda w: {"circuit": CIRCUIT, "cause": w.alarm_event() | {"detail-type": "Scheduled Event"}},
    ),
    "a forged alarm": ("InvalidTrip", lambda w: {"circuit": CIRCUIT, "cause": w.alarm_event() | {"source": "shop"}}),
    "change to OK": ("InvalidTrip", lambda w: {"circuit": CIRCUIT, "cause": w.alarm_event("OK")}),
    "another alarm": ("InvalidTrip", lambda w: {"circuit": CIRCUIT, "cause": w.alarm_event(alarm="cpu")}),
    "alarm that is over": (
        "StaleTrip",
        lambda w: (w.set_alarm("OK"), {"circuit": CIRCUIT, "cause": w.alarm_event()})[1],
    ),
    "alarm that is gone": (
        "StaleTrip",
        lambda w: (
            client("cloudwatch").delete_alarms(AlarmNames=[ALARM]),
            {"circuit": CIRCUIT, "cause": w.alarm_event()},
        )[1],
    ),
    "old event": ("StaleTrip", lambda w: {"circuit": CIRCUIT, "cause": w.custom_event(age_seconds=301)}),
    "event for another circuit": (
        "InvalidTrip",
        lambda w: {"circuit": CIRCUIT, "cause": w.custom_event(circuit="payments")},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_trip_that_must_not_open_a_circuit_is_refused(name: str) -> None:
    error, document = REFUSED[name]
    with paths() as world:
        world.send(1)
        before = world.items()
        ended = world.run(document(world)).expect("FAILED", last="TripRefused")
        assert ended.error == error
        assert ended.count("LoadCircuit") == 1
        assert len(world.cloud.invocations) == 2, "a refusal is not retried"  # the registration and this
        assert world.items() == before
        assert world.cloud.mapping_updates == []
        assert world.mapping_state() == "Enabled"


@pytest.mark.parametrize("kind", ["command", "event", "event of 5 minutes ago"])
def test_command_and_event_open_the_circuit(kind: str) -> None:
    with paths() as world:
        world.send(1)
        world.set_alarm("OK")
        age = 300 if "ago" in kind else 0
        by_event = {"circuit": CIRCUIT, "cause": world.custom_event(age_seconds=age)}
        by_hand = {"circuit": CIRCUIT, "command": "OPEN", "reason": "maintenance of the payment service"}
        closed_cleanly(world, world.run(by_hand if kind == "command" else by_event))
        if kind == "command":
            assert world.announcements()[0]["reason"] == "maintenance of the payment service"


# Recovery -----------------------------------------------------------------------------------------------------------


def test_rejitter_spreads_the_backlog_whole() -> None:
    with paths(Recovery="REJITTER", RejitterSeconds=300) as world:
        world.send(25, kind="express")
        before = {message.order_id: message for message in world.queued()}
        world.target.behaviour = after_failures(2)
        ended = world.run()
        summary = closed_cleanly(world, ended)
        assert "RejitterBacklog" in ended.states
        copies = [message for message in world.queued() if message.message_id != before[message.order_id].message_id]
        assert len(copies) == summary["rejittered"] >= 20
        assert len({message.order_id for message in world.queued()}) == len(world.queued())
        for copy in copies:
            assert copy.body == before[copy.order_id].body
            assert dict(copy.attributes) == dict(before[copy.order_id].attributes)
        all_processed(world)


def test_rejitter_leaves_messages_at_their_last_receive_to_the_healed_target() -> None:
    with paths(surroundings={"max_receive_count": 1}, Recovery="REJITTER", MaxHeldMessages=3) as world:
        world.send(25)
        world.target.behaviour = after_failures(3)
        closed_cleanly(world, world.run())
        all_processed(world)


def test_rejitter_of_an_empty_backlog_ends() -> None:
    with paths(Recovery="REJITTER") as world:
        world.send(1)
        assert closed_cleanly(world, world.run())["rejittered"] == 0


# Steps that fail ----------------------------------------------------------------------------------------------------


@contextmanager
def paths_through(step: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Yield a world whose next incident visits `step`."""
    if step == "HandOver":
        monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 2)
    with paths(**LEADS_TO.get(step, {})) as world:
        if step == "RedriveDeadLetters":
            world.send(2)
            world.dead_letter_the_queue()
        world.send(4)
        world.target.behaviour = after_failures(2)
        if step == "ReopenCircuit":
            world.fail_recoveries(1)
        yield world


@pytest.mark.parametrize("step", STEPS)
def test_step_that_fails_for_good_is_recorded_and_announced(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with paths_through(step, monkeypatch) as world:
        world.break_step(step)
        ended = world.run(STARTED_BY.get(step)).expect("FAILED", last="BreakerFailed")
        assert step in ended.states
        assert ended.error == "StepBroken"
        assert world.announced()[-1] == "BREAKER_FAILED"
        record = world.record()
        if world.mapping_state() != "Enabled" or record["state"] != "CLOSED":
            assert record["failure"]["error"] == "StepBroken"
            assert world.mapping_state() in record["failure"]["cause"], "the record must say how the mapping was left"
        # The next trip finishes what this one had begun.
        world.mend_step(step)
        monkeypatch.undo()
        world.target.behaviour = healthy
        if step != "WatchCircuit":
            closed_cleanly(world, world.run())
        all_processed(world)


@pytest.mark.parametrize("after_its_work", [False, True], ids=["before its work", "after its work"])
@pytest.mark.parametrize("step", STEPS)
def test_step_that_fails_twice_is_repeated_harmlessly(
    step: str, after_its_work: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with paths_through(step, monkeypatch) as world:
        world.break_step(step, times=2, after_its_work=after_its_work)
        ended = world.run(STARTED_BY.get(step)).expect("SUCCEEDED")
        if step == "HandOver":
            while ended.states[-1] == "HandedOver":
                ended = world.finish(world.executions()[-1])
        if step != "WatchCircuit":
            closed_cleanly(world, ended)
            switches = [enabled for enabled, _ in itertools.groupby(world.mapping_changes())]
            assert switches == [False, True] * (2 if step == "ReopenCircuit" else 1)
        assert "BREAKER_FAILED" not in world.announced()
        all_processed(world)


@pytest.mark.parametrize("step", STEPS)
def test_step_that_lambda_throttles_for_long_is_retried(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with paths_through(step, monkeypatch) as world:
        refusal = AwsError("TooManyRequestsException", "Rate Exceeded.", status=429)
        world.cloud.refusals[f"{step}Function"] = [refusal] * 60
        world.run(STARTED_BY.get(step)).expect("SUCCEEDED")
        assert world.cloud.refusals[f"{step}Function"] == []


def test_failure_that_cannot_be_recorded_still_fails_the_execution() -> None:
    with paths() as world:
        world.send(1)
        world.break_step("ProbeTarget")
        world.break_step("RecordFailure")
        ended = world.run().expect("FAILED", last="BreakerFailedUnrecorded")
        assert ended.error == "StepBroken"


def test_announcement_that_cannot_be_sent_does_not_stop_the_breaker(monkeypatch: pytest.MonkeyPatch) -> None:
    with paths() as world:
        world.send(1)
        world.cloud.refuse_events = True
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert world.mapping_state() == "Enabled"
        assert world.announced() == []
        assert "AnnouncementFailed" in world.log_text()


# Every branch -------------------------------------------------------------------------------------------------------


def _slowly(seconds: float, *, after_failures_of: int) -> Behaviour:
    fails = iter(range(after_failures_of))

    def behave(world: World, event: dict[str, Any]) -> Any:
        if next(fails, None) is not None:
            return failing(world, event)
        world.clock.sleep(seconds)
        return healthy(world, event)

    return behave


def _target(behaviour: Behaviour) -> Callable[[World], object]:
    return lambda world: (world.send(4), setattr(world.target, "behaviour", behaviour))


def _ends_half_open(world: World) -> None:
    world.send(1)
    world.stop_in("JudgeRecovery")
    world.clock.after(200, world.reconcile)


QUICK = {"FirstProbeSeconds": 10, "MetricPeriodSeconds": 10, "MetricDelaySeconds": 5}
SLOW = {"max_receive_count": 1, "target_timeout": 840, "visibility_timeout": 5040}

# What it is, its surroundings, settings, and what happens.
BRANCHES: dict[str, tuple[dict[str, Any], dict[str, Any], Callable[[World], object]]] = {
    "a recovery that fails": (
        {},
        {"Recovery": "RAMP", "RampConcurrency": "2"},
        lambda world: (_target(after_failures(1))(world), world.fail_recoveries(1, after=24)),
    ),
    "a recovery that fails, the last that is allowed": (
        {},
        {"Recovery": "RAMP", "RampConcurrency": "2", "MaxProbes": 1},
        lambda world: (_target(healthy)(world), world.fail_recoveries(1, after=24)),
    ),
    "re-jittered in pieces": (
        {"max_receive_count": 1},
        {"Recovery": "REJITTER", "StoreHeldMessages": False},
        lambda world: (world.send(40), setattr(world.target, "behaviour", _slowly(29, after_failures_of=0))),
    ),
    "redrives": ({}, {"Redrive": True}, lambda world: (world.send(2), world.dead_letter_the_queue(), world.send(4))),
    "settled in pieces": (SLOW, {}, _target(_slowly(800, after_failures_of=2))),
    "gives up": ({}, {"MaxProbes": 1}, _target(failing)),
    "gives up and closes": ({}, {"MaxProbes": 1, "OnGiveUp": "CLOSE"}, _target(failing)),
    "nothing to probe with": ({}, {}, lambda world: None),
    "a lone message that fails": (
        {"max_receive_count": 100},
        {},
        lambda world: (world.send(1), setattr(world.target, "behaviour", until(120))),
    ),
    "enabled by somebody": (
        {},
        {},
        lambda world: (_target(failing)(world), world.clock.after(60, lambda: world.set_mapping(enabled=True))),
    ),
    "deleted by somebody": (
        {},
        {},
        lambda world: (
            _target(failing)(world),
            world.clock.after(60, lambda: client("lambda").delete_event_source_mapping(UUID=world.mapping_id)),
        ),
    ),
    "disabled by somebody": (
        {"alarm_stays": True},
        {},
        lambda world: (world.set_mapping(enabled=False), world.clock.sleep(20)),
    ),
    "asked, and told to close": (
        {},
        {},
        lambda world: (
            _target(failing)(world),
            world.clock.after(60, lambda: world.start({"circuit": CIRCUIT, "command": "STATUS"})),
            world.clock.after(90, lambda: world.start({"circuit": CIRCUIT, "command": "CLOSE", "reason": "by hand"})),
        ),
    ),
    # To its end: beside the trip that follows it would be chance which of them opens the circuit.
    "told to open": ({}, {}, lambda world: world.finish(world.start(STARTED_BY["TakeCommand"]))),
    "dies half open": ({}, {}, _ends_half_open),
    "takes long to recover": ({}, {}, lambda world: world.send(1)),
    "watched": ({}, {"Mode": "WATCH"}, lambda world: None),
    "off": ({}, {"Mode": "OFF"}, lambda world: None),
    "refused": ({}, {}, lambda world: world.set_alarm("OK")),
    "breaks": ({}, {}, lambda world: world.break_step("OpenCircuit")),
    "breaks and cannot say so": (
        {},
        {},
        lambda world: (world.break_step("OpenCircuit"), world.break_step("RecordFailure")),
    ),
}


def test_every_state_is_reached_and_every_branch_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: set[tuple[str, str]] = set()
    for name, (surroundings, settings, prepare) in BRANCHES.items():
        monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 1 if name == "a recovery that fails" else 500)
        monkeypatch.setattr(judge_recovery, "LOOKS_PER_EXECUTION", 1 if name == "takes long to recover" else 600)
        with paths(surroundings=surroundings, **QUICK | settings) as world:
            event = {"circuit": CIRCUIT, "cause": world.alarm_event()}
            prepare(world)
            world.start(event)
            while any(world.status(arn) == "RUNNING" for arn in world.executions()):
                for arn in world.executions():
                    world.finish(arn)
                world.clock.sleep(300)
            for arn in world.executions():
                taken |= world.ended(arn).transitions()
    machine = machine_definition()
    assert transitions_of(machine) - taken == set()
    assert set(states_of(machine)) - {state for states in taken for state in states} == set()


# What is said -------------------------------------------------------------------------------------------------------


def test_every_change_is_one_log_line_one_metric_and_one_event() -> None:
    with paths() as world:
        world.send(2)
        world.target.behaviour = after_failures(1)
        closed_cleanly(world, world.run())
        changes = world.announced()
        assert changes == ["OPENED", "PROBED", "PROBED", "HALF_OPEN", "CLOSED"]
        lines = world.log_lines()
        assert [line["change"] for line in lines if "change" in line and "_aws" not in line] == changes
        metrics = [
            metric["Name"]
            for line in lines
            if "_aws" in line
            for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]
        ]
        of_changes = [name for name in metrics if name != "CircuitState"]
        assert of_changes == ["CircuitOpened", "Probed", "Probed", "CircuitHalfOpen", "CircuitClosed"]
        assert len(metrics) - len(of_changes) == len({"OPEN", "HALF_OPEN", "CLOSED"})
        numbers = [detail["sequence"] for detail in world.announcements()]
        assert numbers == sorted(set(numbers))
        for before, after in zip(world.announcements(), world.announcements()[1:], strict=False):
            assert before["to"] == after["from"]


def test_report_is_the_output_the_event_and_the_log_line() -> None:
    with paths() as world:
        world.send(2)
        world.target.behaviour = after_failures(1)
        report = closed_cleanly(world, world.run())
        assert world.announcements()[-1]["report"] == report
        assert [line["report"] for line in world.log_lines() if "report" in line] == [report]
        assert report["circuit"] == CIRCUIT
        assert report["duration_seconds"] == pytest.approx(world.clock.elapsed(), abs=2)


def test_secret_is_where_it_may_be_and_is_found_where_it_may_not() -> None:
    # Shows that the check at the end of every path can fail.
    with build_world() as world:
        world.register()
        world.send(2)
        world.target.behaviour = failing
        stored: list[str] = []
        world.clock.after(60, lambda: stored.extend(str(item) for item in world.items() if "content" in item))
        world.clock.after(61, lambda: setattr(world.target, "behaviour", healthy))
        world.run()
        assert any(world.secret in item for item in stored)
        assert world.exposed() == []
        world.notify()
        world.start({"circuit": CIRCUIT, "command": "OPEN", "reason": f"order {world.secret} failed"})
        world.finish()
        found = " ".join(world.exposed())
        assert all(place in found for place in ("a log line", "an event", "a notification", "the input", "the history"))
