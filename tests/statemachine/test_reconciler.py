"""Whatever kills an execution, the reconciler has its incident finished. Without it, it would stay as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from harness import ALARM, CIRCUIT, World, after_failures, build_world, client, failing, healthy, until

from breaker import clients, next_probe
from breaker.reconciliation import Reconciler

PERIOD = 300


@contextmanager
def reconciled(*, surroundings: dict[str, Any] | None = None, **settings: Any) -> Iterator[World]:
    """Yield a world with a circuit; check what must hold at the end."""
    with build_world(**(surroundings or {})) as world:
        answer = world.register(**{"FirstProbeSeconds": 10, "Recovery": "RAMP"} | settings)
        assert answer["Status"] == "SUCCESS", answer
        yield world
        assert world.lost() == set()
        assert world.exposed() == []


def settled(world: World, *, within: float) -> None:
    """Let time pass until no incident runs any more."""
    closed_by = world.clock.elapsed() + within
    while world.record()["state"] != "CLOSED" or "owner" in world.record():
        assert world.clock.elapsed() < closed_by, f"stuck: {world.record()}"
        world.clock.sleep(30)


@pytest.mark.parametrize(
    ("state", "visit"),
    [
        ("OpenCircuit", 1),
        ("ConfirmPaused", 1),
        ("ProbeTarget", 1),
        ("ProbeTarget", 2),
        ("RejitterBacklog", 1),
        ("SettleHeldMessages", 1),
        ("CloseCircuit", 1),
        ("ConfirmEnabled", 1),
        ("JudgeRecovery", 3),
        ("RaiseConcurrency", 1),
        ("RaiseConcurrency", 2),
        ("ReopenCircuit", 1),
    ],
)
def test_execution_stopped_anywhere_is_resumed_within_two_periods_and_finished(state: str, visit: int) -> None:
    with reconciled(Recovery="REJITTER" if state == "RejitterBacklog" else "RAMP", RampConcurrency="2,10") as world:
        world.send(4)
        world.target.behaviour = after_failures(2)
        if state == "ReopenCircuit":
            world.fail_recoveries(1)
        world.stop_in(state, visit=visit)
        world.poll_every(20)
        first = world.start()
        world.clock.wait_for(lambda: world.status(first) == "ABORTED")
        stopped_at = world.clock.elapsed()
        world.reconcile_every(PERIOD)
        world.clock.sleep(2 * PERIOD)
        assert "RESUMED" in world.announced(), "nobody resumed it"
        resumed_at = next(
            invocation.at
            for invocation in world.cloud.invocations
            if invocation.function == "LoadCircuitFunction" and "resume" in invocation.event["input"]
        )
        assert resumed_at - stopped_at <= 2 * PERIOD
        settled(world, within=4 * 3600)
        assert world.mapping_state() == "Enabled"
        assert len({detail["incident"] for detail in world.announcements()}) == 1
        numbers = [detail["sequence"] for detail in world.announcements()]
        assert numbers == sorted(set(numbers))
        world.drain()
        assert set(world.target.processed) == set(world.sent)


def test_without_the_reconciler_a_stopped_execution_leaves_the_mapping_disabled() -> None:
    with reconciled() as world:
        world.send(4)
        world.clock.after(30, lambda: None)
        world.stop_in("ConfirmPaused")
        world.start()
        world.clock.sleep(24 * 3600)
        assert world.mapping_state() == "Disabled"


def test_claim_that_had_changed_nothing_is_released() -> None:
    with reconciled() as world:
        world.break_step("OpenCircuit", times=0)
        world.cloud.functions["OpenCircuitFunction"] = type(world.cloud.functions["OpenCircuitFunction"])(
            claim_and_stop, 60
        )
        world.start()
        world.clock.sleep(60)
        assert "owner" in world.record()
        world.set_alarm("OK")
        assert world.reconcile() == {CIRCUIT: "RELEASED"}
        assert "owner" not in world.record()
        assert world.announced() == ["STAYED_CLOSED"]
        assert world.reconcile() == {CIRCUIT: "NOTHING"}
        assert world.mapping_changes() == []


def claim_and_stop(event: Any, context: Any) -> Any:
    """Claim as OpenCircuit does, and be stopped before anything else."""
    from breaker.circuit_table import CircuitTable
    from breaker.ownership import claim_circuit

    table = CircuitTable(clients.dynamodb(), "CircuitTable")
    claim_circuit(table, clients.stepfunctions(), CIRCUIT, execution=event["execution"], cause=event["trip"])
    client("stepfunctions").stop_execution(executionArn=event["execution"])
    raise RuntimeError("stopped")


def test_hand_over_that_died_before_the_start_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 2)
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = until(600)
        # The name is written down, but the successor is never started.
        start = clients.stepfunctions().start_execution
        monkeypatch.setattr(clients.stepfunctions(), "start_execution", lambda **_: {})
        world.run().expect("SUCCEEDED", last="HandedOver")
        named = world.record()["successor"]
        assert named not in world.executions()
        monkeypatch.setattr(clients.stepfunctions(), "start_execution", start)
        monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 500)
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        world.finish(named).expect("SUCCEEDED", last="CircuitClosed")
        assert len(world.executions()) == 2


def test_two_reconcilers_at_once_start_one_successor() -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = until(300)
        world.stop_in("ProbeTarget")
        world.start()
        world.clock.sleep(60)
        found = [world.reconcile(), world.reconcile()]
        assert found == [{CIRCUIT: "RESUMED"}, {CIRCUIT: "OWNED"}]
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert len(world.executions()) == 2


def test_record_read_before_somebody_else_resumed_it_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = until(300)
        world.stop_in("ProbeTarget")
        world.start()
        world.clock.sleep(60)
        resume = Reconciler._resume

        def late(reconciler: Reconciler, record: Any, status: str) -> Any:
            monkeypatch.setattr(Reconciler, "_resume", resume)
            world.reconcile()
            world.clock.sleep(20)
            return resume(reconciler, record, status)

        monkeypatch.setattr(Reconciler, "_resume", late)
        assert world.reconcile() == {CIRCUIT: "OWNED"}
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert len(world.executions()) == 2


def test_running_owner_is_never_disturbed() -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = until(900)
        world.reconcile_every(60)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert "RESUMED" not in world.announced()
        assert len(world.executions()) == 1


# CLOSED -------------------------------------------------------------------------------------------------------------


def fail_calls(world: World, minutes: int) -> None:
    """Let minutes pass in which all calls fail."""
    for _ in range(minutes):
        world.count_calls(10, failed=10)
        world.clock.sleep(60)


def test_errors_that_go_on_with_the_alarm_in_alarm_trip() -> None:
    with reconciled() as world:
        world.send(3)
        fail_calls(world, 5)
        assert world.reconcile() == {CIRCUIT: "TRIPPED"}
        world.clock.sleep(20)
        assert world.reconcile() == {CIRCUIT: "OWNED"}
        ended = world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["cause"]["kind"] == "ERRORS_GO_ON"
        assert "10 of 10 calls failed" in ended.output["cause"]["reason"]


def test_calls_that_stay_slow_trip_while_another_of_the_circuits_alarms_rings() -> None:
    with reconciled(SlowTargetSeconds=2) as world:
        client("cloudwatch").put_metric_alarm(
            AlarmName="slow",
            Namespace="Shop",
            MetricName="slow",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        assert world.register("Update", AlarmNames=[ALARM, "slow"], SlowTargetSeconds=2)["Status"] == "SUCCESS"
        world.set_alarm("OK")
        for _ in range(5):
            world.count_durations(3, 6)
            world.clock.sleep(60)
        assert world.reconcile() == {CIRCUIT: "NOTHING"}
        client("cloudwatch").set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="by the test")
        assert world.reconcile() == {CIRCUIT: "TRIPPED"}
        world.clock.sleep(20)
        assert world.reconcile() == {CIRCUIT: "OWNED"}
        client("cloudwatch").set_alarm_state(AlarmName="slow", StateValue="OK", StateReason="by the test")
        ended = world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert "6 calls took 3 s on average" in ended.output["cause"]["reason"]


@pytest.mark.parametrize("why", ["alarm is OK", "errors are old", "watching", "off", "mapping disabled by a person"])
def test_errors_that_go_on_trip_nothing_where(why: str) -> None:
    modes = {"watching": "WATCH", "off": "OFF"}
    with reconciled(Mode=modes.get(why, "ACTIVE")) as world:
        fail_calls(world, 5)
        if why == "alarm is OK":
            world.set_alarm("OK")
        if why == "errors are old":
            world.clock.sleep(600)
        if why == "mapping disabled by a person":
            world.set_mapping(enabled=False)
            world.clock.sleep(20)
        assert world.reconcile() == {CIRCUIT: "NOTHING"}
        assert world.executions() == []


def test_errors_of_the_last_incident_trip_nothing() -> None:
    with reconciled(surroundings={"alarm_stays": True}, Recovery="IMMEDIATE") as world:
        world.send(5)
        world.run().expect("SUCCEEDED")
        world.cloud.when_enabled = lambda: None
        # Counted into a minute that began before the incident ended, and seen only afterwards.
        minute = (world.clock.now() - timedelta(seconds=1)).replace(second=0)
        client("cloudwatch").put_metric_data(
            Namespace="AWS/Lambda",
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": "FunctionName", "Value": "OrdersTarget"}],
                    "Timestamp": minute,
                    "Value": 10,
                }
                for name in ("Invocations", "Errors")
            ],
        )
        world.clock.sleep(90)
        assert world.reconcile() == {CIRCUIT: "NOTHING"}


# Left as somebody chose ---------------------------------------------------------------------------------------------


def test_mapping_enabled_while_the_owner_is_dead_is_respected_and_announced() -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = failing
        world.stop_in("ProbeTarget")
        world.start()
        world.clock.sleep(60)
        world.set_mapping(enabled=True)
        world.clock.sleep(20)
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        ended = world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["outcome"] == "OVERRIDDEN"
        assert "OVERRIDDEN" in world.announced()
        assert world.mapping_changes() == [False, True]


def test_circuit_that_gave_up_stays_paused() -> None:
    with reconciled(MaxProbes=1) as world:
        world.send(6)
        world.target.behaviour = failing
        world.run().expect("FAILED", last="GaveUp")
        assert world.reconcile() == {CIRCUIT: "LEFT_PAUSED"}
        assert world.announced().count("GAVE_UP") == 1
        assert len(world.executions()) == 1


def test_give_up_that_could_not_be_announced_is_announced_by_the_reconciler() -> None:
    with reconciled(MaxProbes=1) as world:
        world.send(6)
        world.target.behaviour = failing
        world.cloud.refuse_events = True
        world.run().expect("FAILED", last="GaveUp")
        assert world.reconcile() == {CIRCUIT: "LEFT_PAUSED"}
        assert world.announced() == []
        world.cloud.refuse_events = False
        assert world.reconcile() == {CIRCUIT: "LEFT_PAUSED"}
        assert world.reconcile() == {CIRCUIT: "LEFT_PAUSED"}
        assert world.announced() == ["GAVE_UP"]
        (told,) = world.announcements()
        assert (told["then"], told["report"]["outcome"]) == ("STAY_OPEN", "GAVE_UP")
        assert (told["report"]["closed_at"], told["report"]["failed_probes"]) == (None, 1)


def test_circuit_that_gave_up_and_was_enabled_by_somebody_is_closed() -> None:
    with reconciled(MaxProbes=1) as world:
        world.send(6)
        world.target.behaviour = failing
        world.run().expect("FAILED", last="GaveUp")
        world.set_mapping(enabled=True)
        world.clock.sleep(20)
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert world.record()["state"] == "CLOSED"


# Announcing and failing ---------------------------------------------------------------------------------------------


def test_near_retention_is_announced_once_beside_the_owner() -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = failing
        world.start()
        world.clock.sleep(60)
        world.age_oldest_message(0.7 * 345_600)
        world.reconcile()
        assert "NEAR_RETENTION" not in world.announced()
        world.clock.sleep(60)
        world.age_oldest_message(0.8 * 345_600)
        assert [world.reconcile(), world.reconcile()] == [{CIRCUIT: "OWNED"}] * 2
        (told,) = [detail for detail in world.announcements() if detail["change"] == "NEAR_RETENTION"]
        assert "about 19 hours" in told["reason"]
        world.target.behaviour = healthy
        world.finish().expect("SUCCEEDED", last="CircuitClosed")
        numbers = [detail["sequence"] for detail in world.announcements()]
        assert numbers == sorted(set(numbers))


def test_failure_event_resumes_at_once_but_not_again_and_again() -> None:
    died = {"source": "aws.states", "detail-type": "Step Functions Execution Status Change"}
    with reconciled() as world:
        world.send(6)
        world.break_step("ProbeTarget")
        world.run().expect("FAILED")
        assert world.reconcile(died) == {CIRCUIT: "RESUMED"}
        world.finish(world.executions()[-1]).expect("FAILED")
        world.clock.sleep(1)
        found = world.reconcile(died)
        elapsed_since_resumed = world.clock.elapsed()
        assert found in ({CIRCUIT: "TOO_EARLY"}, {CIRCUIT: "RESUMED"}), elapsed_since_resumed
        world.mend_step("ProbeTarget")
        if found == {CIRCUIT: "TOO_EARLY"}:
            assert world.reconcile() == {CIRCUIT: "RESUMED"}
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")


def test_circuit_that_cannot_be_reconciled_does_not_keep_the_others_from_it() -> None:
    with reconciled() as world:
        world.send(6)
        world.target.behaviour = until(300)
        world.stop_in("ProbeTarget")
        world.start()
        world.clock.sleep(60)
        client("dynamodb").put_item(
            TableName="CircuitTable", Item={"pk": {"S": "CIRCUIT#broken"}, "sk": {"S": "CIRCUIT"}}
        )
        answer = world.reconcile()
        assert answer["errorType"] == "NotReconciled"
        assert answer["errorMessage"] == "circuit: broken (KeyError) could not be reconciled; the others were"
        client("dynamodb").delete_item(
            TableName="CircuitTable", Key={"pk": {"S": "CIRCUIT#broken"}, "sk": {"S": "CIRCUIT"}}
        )
        world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")


# Ownership ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 10])
def test_alarm_events_at_once_make_one_incident(count: int) -> None:
    with reconciled(Recovery="IMMEDIATE") as world:
        world.send(6)
        world.target.behaviour = after_failures(3)
        event = {"circuit": CIRCUIT, "cause": world.alarm_event()}
        for _ in range(count):
            world.start(event)
        ended = [world.finish(arn) for arn in world.started]
        assert [end.states[-1] for end in ended].count("CircuitClosed") == 1
        assert {end.status for end in ended} <= {"SUCCEEDED", "FAILED"}
        assert world.announced().count("OPENED") == 1
        assert world.mapping_changes() == [False, True]


def test_alarm_event_delivered_again_a_day_later_is_refused() -> None:
    with reconciled(Recovery="IMMEDIATE") as world:
        world.send(6)
        event = {"circuit": CIRCUIT, "cause": world.alarm_event()}
        world.run(event).expect("SUCCEEDED", last="CircuitClosed")
        world.clock.sleep(24 * 3600)
        world.run(event).expect("FAILED", last="TripRefused")
        assert world.mapping_changes() == [False, True]
