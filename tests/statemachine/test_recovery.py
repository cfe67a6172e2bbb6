"""Letting messages in again: in steps, watched, and paused again where errors go on."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import ALARM, Ended, World, after_failures, build_world, client, failing, healthy, until

import judge_recovery
from breaker import next_probe, ramp


@contextmanager
def recovering(*, surroundings: dict[str, Any] | None = None, **settings: Any) -> Iterator[World]:
    """Yield a world with a circuit that recovers in steps; check what must hold at the end."""
    with build_world(**(surroundings or {})) as world:
        answer = world.register(**{"Recovery": "RAMP", "RampConcurrency": "2,10", "FirstProbeSeconds": 10} | settings)
        assert answer["Status"] == "SUCCESS", answer
        yield world
        assert world.lost() == set()
        assert world.exposed() == []


def limits(world: World) -> list[int | None]:
    """Return the maximum concurrency of each accepted change of the mapping, 0 for none, None where it was left."""
    changes = [update.change.get("ScalingConfig") for update in world.cloud.mapping_updates]
    return [None if change is None else change.get("MaximumConcurrency", 0) for change in changes]


def limit_of(world: World) -> int:
    """Return the mapping's maximum concurrency, 0 for none."""
    mapping = client("lambda").get_event_source_mapping(UUID=world.mapping_id)
    return int((mapping.get("ScalingConfig") or {}).get("MaximumConcurrency", 0))


def change_mapping(world: World, **change: Any) -> None:
    """Change the mapping as a person or a deployment does."""
    client("lambda").update_event_source_mapping(UUID=world.mapping_id, **change)


def switches(world: World) -> list[bool | None]:
    """Return the changes of Enabled, repeats left out."""
    return [enabled for enabled, _ in itertools.groupby(world.mapping_changes())]


# Steps --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("own", "steps"), [(0, [2, 10, 0]), (50, [2, 10, 50]), (5, [2, 5]), (2, [None])])
def test_ramp_ends_with_the_owners_own_concurrency(own: int, steps: list[int | None]) -> None:
    with recovering() as world:
        if own:
            change_mapping(world, ScalingConfig={"MaximumConcurrency": own})
            world.clock.sleep(20)
            world.cloud.mapping_updates.clear()
        world.send(3)
        world.poll_every(5)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert limits(world) == [None, *steps]
        assert limit_of(world) == own
        assert world.announced().count("RAISED") == len(steps) - 1
        assert set(world.target.processed) == set(world.sent)


def test_ramp_of_provisioned_pollers_is_enabled_whole() -> None:
    with recovering() as world:
        world.provision_pollers()
        world.send(1)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert limits(world) == [None, None]


def test_ramp_messages_flow_from_its_first_step_on() -> None:
    with recovering() as world:
        world.send(30)
        world.poll_every(5)
        drained: list[float] = []
        world.clock.after(90, lambda: drained.append(len(world.queued())))
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert drained == [0]


@pytest.mark.parametrize("bad", [1, 2, 3])
def test_bad_step_is_paused_again_and_the_incident_goes_on(bad: int) -> None:
    with recovering() as world:
        world.send(6)
        enabled = itertools.count(1)

        def begin_step() -> None:
            if next(enabled) == bad:
                world.clock.after(75, lambda: world.count_calls(10, failed=9))

        world.cloud.when_enabled = begin_step
        world.cloud.when_scaled = begin_step
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] == 1
        assert switches(world) == [False, True, False, True]
        # The owner's setting comes back with the pause, not only at the end.
        assert limits(world)[bad + 1] == (None if bad == 3 else 0)
        assert limit_of(world) == 0
        assert "REOPENED" in world.announced()
        assert len({detail["incident"] for detail in world.announcements()}) == 1
        numbers = [detail["sequence"] for detail in world.announcements()]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize(("seconds", "calls", "reopened"), [(2.6, 5, 1), (2.5, 5, 0), (9, 4, 0)])
def test_step_whose_calls_are_slow_on_average_is_paused_again(seconds: float, calls: int, reopened: int) -> None:
    with recovering(SlowTargetSeconds=2.5) as world:
        world.send(6)
        first = iter([True])

        def begin_step() -> None:
            if next(first, False):
                world.clock.after(75, lambda: world.count_durations(seconds, calls))

        world.cloud.when_enabled = begin_step
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] == reopened
        assert any("2.6 s on average" in detail["reason"] for detail in world.announcements()) is (reopened == 1)


def test_slow_target_that_processes_what_it_is_given_is_not_let_in_until_it_is_fast_again() -> None:
    with recovering(SlowTargetSeconds=2.5) as world:
        world.send(8)

        def slow_at_first(world: World, event: dict[str, Any]) -> Any:
            world.clock.sleep(20 if world.clock.elapsed() < 200 else 1)
            return healthy(world, event)

        world.target.behaviour = slow_at_first
        world.poll_every(5)
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["outcome"] == "HEALED"
        assert summary["failed_probes"] >= 2
        assert switches(world) == [False, True], "it is let in once, and stays"
        # Each message was processed once, by a probe or by the mapping.
        assert sorted(world.target.processed) == sorted(world.sent)


@pytest.mark.parametrize("alarm", ["slow", "messages"])
def test_change_of_any_of_the_circuits_alarms_after_a_step_pauses_again(alarm: str) -> None:
    with recovering() as world:
        for name in ("slow", "messages"):
            client("cloudwatch").put_metric_alarm(
                AlarmName=name,
                Namespace="Shop",
                MetricName=name,
                Statistic="Sum",
                Period=60,
                EvaluationPeriods=1,
                Threshold=1,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
            )
        assert world.register("Update", AlarmNames=[ALARM, "slow", "messages"])["Status"] == "SUCCESS"
        world.send(3)
        first = iter([True])

        def ring() -> None:
            if next(first, False):
                world.clock.after(150, lambda: set_alarm(alarm, "ALARM"))
                world.clock.after(400, lambda: set_alarm(alarm, "OK"))

        world.cloud.when_enabled = ring
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] == 1
        assert any(f"alarm {alarm} changed to ALARM" in detail["reason"] for detail in world.announcements())


def set_alarm(name: str, state: str) -> None:
    """Put an alarm into a state."""
    client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="by the test")


def test_bad_steps_again_and_again_lengthen_the_waits_and_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_probe, "CYCLES_PER_EXECUTION", 10)
    with recovering(ProbeBackoffRate=2, MaxProbeIntervalSeconds=300) as world:
        world.send(20)
        world.fail_recoveries(12)
        ended = world.run()
        while ended.states[-1] == "HandedOver":
            assert len(ended.history) < 1_500
            ended = world.finish(world.executions()[-1])
        ended.expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["reopened"] == 12
        assert len(world.executions()) > 2
        assert max(world.waits()) == 300


# A backlog ----------------------------------------------------------------------------------------------------------

# What one call at once processes in a minute, and what the target processed in a minute before the incident.
EACH, USUAL = 20, 100


@contextmanager
def with_backlog(*, failing_above: int, failed_percent: int = 10, **settings: Any) -> Iterator[World]:
    """Yield a world with a backlog that stays until the test polls.

    What the target processes, and that calls fail where more than `failing_above` run at once, only CloudWatch sees.
    """
    # Without a delay a step takes fewer looks.
    quick = {"RampConcurrency": "2", "MetricDelaySeconds": 0}
    with recovering(surroundings={"target_timeout": 5}, **quick | settings) as world:
        world.count_processed(USUAL)
        world.clock.sleep(120)
        world.send(30)

        def count() -> None:
            limit = limit_of(world) if world.mapping_state() == "Enabled" else 0
            if limit:
                world.count_processed(EACH * min(limit, failing_above))
            if limit > failing_above:
                world.count_calls(100, failed=failed_percent)
            world.clock.after(60, count)

        count()
        yield world


def poll_from(world: World, change: int) -> None:
    """Let the backlog be polled some time after a change of the mapping, counted from 1."""

    def changed() -> None:
        if len(world.cloud.mapping_updates) == change:
            world.clock.after(200, lambda: world.poll_every(5))

    world.cloud.when_enabled = world.cloud.when_scaled = changed


def finish(world: World) -> Ended:
    """Start an execution and return the last that ended for it."""
    ended = world.run()
    while ended.states[-1] == "HandedOver":
        ended = world.finish(world.executions()[-1])
    return ended.expect("SUCCEEDED", last="CircuitClosed")


def test_backlog_is_let_in_by_what_the_target_has_stood_and_strain_is_taken_back_until_it_is_gone() -> None:
    with with_backlog(failing_above=5) as world:
        poll_from(world, 5)
        finish(world)
        assert limits(world) == [None, 2, 5, 6, 5, 0]
        changes = [change for change in world.announced() if change in ("RAISED", "LOWERED")]
        assert changes == ["RAISED", "RAISED", "LOWERED", "RAISED"]
        assert set(world.target.processed) == set(world.sent)


def test_backlog_of_a_mapping_with_a_limit_of_its_own_is_let_in_up_to_that() -> None:
    with with_backlog(failing_above=100) as world:
        change_mapping(world, ScalingConfig={"MaximumConcurrency": 7})
        world.clock.sleep(20)
        world.cloud.mapping_updates.clear()
        finish(world)
        assert limits(world) == [None, 2, 5, 6, 7]


def test_backlog_that_does_not_shrink_does_not_hold_a_recovery_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    # How many looks it takes is the rule's own test; each takes a while here.
    monkeypatch.setattr(ramp, "FRUITLESS_LOOKS", 2)
    monkeypatch.setattr(ramp, "LAST_FRUITLESS_LOOK", 4)
    with with_backlog(failing_above=5) as world:
        finish(world)
        assert limits(world) == [None, 2, 5, 6, 5, 6, 5, 0]


def test_each_judgement_takes_two_looks_also_of_a_step_that_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ramp, "FRUITLESS_LOOKS", 2)
    monkeypatch.setattr(ramp, "LAST_FRUITLESS_LOOK", 4)
    with with_backlog(failing_above=5) as world:
        ended = finish(world)
        # A minute's figures are there at its end, and change for the target's timeout of 5 s.
        waits = world.waits("WaitForMoreMetrics")
        held = [seconds for seconds in waits if seconds != 5]
        assert held, "a step was held"
        assert all(60 <= seconds <= 120 for seconds in held)
        judged = len(world.waits("WaitForMetrics")) + len(held)
        assert ended.count("JudgeRecovery") == 2 * judged
        assert len(waits) - len(held) == judged


def test_long_recovery_is_handed_over_and_goes_on_where_it_stood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_recovery, "LOOKS_PER_EXECUTION", 2)
    with with_backlog(failing_above=5) as world:
        poll_from(world, 5)
        finish(world)
        assert len(world.executions()) > 3
        assert limits(world) == [None, 2, 5, 6, 5, 0]
        assert world.announced().count("HALF_OPEN") == 1
        assert len({detail["incident"] for detail in world.announcements()}) == 1


def test_step_beyond_what_the_target_had_stood_that_opens_the_circuit_again_is_not_taken_again() -> None:
    with with_backlog(failing_above=5, failed_percent=90) as world:
        poll_from(world, 7)
        summary = finish(world).output
        assert summary["reopened"] == 1
        # The owner's setting comes back with the pause.
        assert limits(world) == [None, 2, 5, 6, 0, 2, 5, 0]


def test_concurrency_that_somebody_sets_while_a_step_is_held_ends_the_hold() -> None:
    with with_backlog(failing_above=5) as world:
        world.clock.after(1000, lambda: change_mapping(world, ScalingConfig={"MaximumConcurrency": 4}))
        finish(world)
        assert limits(world) == [None, 2, 5, 6, 5, 4]
        assert "OVERRIDDEN" in world.announced()


# Not fooled ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recovery", ["RAMP", "IMMEDIATE", "REJITTER"])
def test_lucky_probe_does_not_end_an_incident_although_the_alarm_never_leaves_alarm(recovery: str) -> None:
    with recovering(
        surroundings={"alarm_stays": True, "visibility_timeout": 30, "max_receive_count": 20},
        Recovery=recovery,
        RejitterSeconds=60,
    ) as world:
        world.send(40)
        # Three processed messages are believed; then errors go on until the service is back.
        calls = itertools.count(1)

        def lucky(world: World, event: dict[str, Any]) -> Any:
            return healthy(world, event) if next(calls) <= 3 or world.clock.elapsed() > 1200 else failing(world, event)

        world.target.behaviour = lucky
        world.poll_every(3)
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] >= 1
        assert world.clock.elapsed() > 1200
        assert world.dead_lettered() == []


def test_partial_batch_failures_are_seen_through_the_mappings_own_metrics() -> None:
    with recovering(Recovery="IMMEDIATE") as world:
        world.send(3)
        bad = iter([True])
        world.cloud.when_enabled = lambda: (
            next(bad, False) and world.clock.after(75, lambda: world.count_messages(50, failed=45))
        )
        assert world.run().expect("SUCCEEDED").output["reopened"] == 1


def test_alarm_that_changes_to_alarm_during_a_step_is_believed() -> None:
    with recovering(Recovery="IMMEDIATE") as world:
        world.send(3)
        rings = iter([True])
        world.cloud.when_enabled = lambda: next(rings, False) and world.set_alarm_later("ALARM", 150)
        assert world.run().expect("SUCCEEDED").output["reopened"] == 1


def test_quiet_queue_does_not_hold_a_recovery_up() -> None:
    with recovering() as world:
        world.send(1)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert world.clock.elapsed() < 900


# Trials -------------------------------------------------------------------------------------------------------------


def test_trial_of_an_empty_queue_that_fails_is_paused_again() -> None:
    # Metrics are there at once in this world, so the breaker may look at once.
    with recovering(surroundings={"visibility_timeout": 30}, Recovery="IMMEDIATE", MetricDelaySeconds=0) as world:
        world.target.behaviour = until(500)
        world.poll_every(5)
        world.clock.after(60, lambda: world.send(1))
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] >= 1
        world.drain()
        assert world.target.processed == world.sent
        assert world.dead_lettered() == []


def test_trial_of_a_lone_message_that_keeps_failing_is_paused_again_and_ends_with_the_queues_own_policy() -> None:
    with recovering(surroundings={"max_receive_count": 4}, ProbeBackoffRate=10, MaxProbeIntervalSeconds=7200) as world:
        poison = world.send(1)
        world.target.behaviour = failing
        world.poll_every(60)
        ended = world.run()
        while ended.states[-1] == "HandedOver":
            ended = world.finish(world.executions()[-1])
        summary = ended.expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["reopened"] == 1
        assert summary["outcome"] == "QUEUE_EMPTY"
        # It was tried to the end of its hold, and only then dead-lettered.
        assert [message.order_id for message in world.dead_lettered()] == poison
        assert world.clock.elapsed() > 12 * 3600


def test_message_that_arrives_beside_a_poison_one_heals() -> None:
    with recovering(surroundings={"max_receive_count": 2}, MaxProbeIntervalSeconds=600) as world:
        poison = world.send(1)
        world.target.behaviour = lambda world, event: (
            failing(world, event) if f'"{poison[0]}"' in event["Records"][0]["body"] else healthy(world, event)
        )
        world.clock.after(3600, lambda: world.send(1))
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["outcome"] == "HEALED"
        assert world.clock.elapsed() < 2 * 3600


# Somebody else ------------------------------------------------------------------------------------------------------


def half_open(world: World, seconds: float, **change: Any) -> None:
    """Change the mapping `seconds` after it was first enabled, when it is not changing any more."""
    first = iter([True])
    world.cloud.when_enabled = lambda: (
        next(first, False) and world.clock.after(seconds, lambda: change_mapping(world, **change))
    )


def test_concurrency_that_somebody_sets_is_left_and_announced() -> None:
    with recovering() as world:
        world.send(1)
        half_open(world, 60, ScalingConfig={"MaximumConcurrency": 33})
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        assert limit_of(world) == 33
        overridden = [detail for detail in world.announcements() if detail["change"] == "OVERRIDDEN"]
        assert "33" in overridden[0]["reason"]


def test_mapping_that_somebody_disables_stays_disabled_and_ends_the_incident() -> None:
    with recovering() as world:
        world.send(1)
        half_open(world, 60, Enabled=False)
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["outcome"] == "DISABLED_BY_OTHERS"
        assert world.mapping_state() == "Disabled"
        assert world.announced()[-1] == "CLOSED"


@pytest.mark.parametrize("moment", ["OPEN", "HALF_OPEN"])
def test_mapping_that_somebody_deletes_ends_the_incident(moment: str) -> None:
    with recovering() as world:
        world.send(3)
        world.target.behaviour = after_failures(2)

        def delete() -> None:
            client("lambda").delete_event_source_mapping(UUID=world.mapping_id)

        if moment == "OPEN":
            world.clock.after(15, delete)
        else:
            world.cloud.when_enabled = lambda: world.clock.after(60, delete)
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["outcome"] == "MAPPING_GONE"


def test_mapping_that_somebody_enables_is_respected_and_announced() -> None:
    with recovering() as world:
        world.send(5)
        world.target.behaviour = failing
        world.clock.after(60, lambda: world.set_mapping(enabled=True))
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert summary["outcome"] == "OVERRIDDEN"
        assert "OVERRIDDEN" in world.announced()
        assert world.mapping_state() == "Enabled"


# Giving up ----------------------------------------------------------------------------------------------------------


def test_giving_up_with_close_lets_messages_flow_whole_and_unjudged() -> None:
    with recovering(MaxProbes=2, OnGiveUp="CLOSE") as world:
        world.send(5)
        world.target.behaviour = failing
        summary = world.run().expect("SUCCEEDED", last="CircuitClosed").output
        assert (summary["outcome"], limits(world)) == ("GAVE_UP", [None, None])


def test_giving_up_counts_recoveries_that_failed() -> None:
    with recovering(MaxProbes=2) as world:
        world.send(5)
        world.fail_recoveries(9)
        world.run().expect("FAILED", last="GaveUp")
        assert world.record()["incident"]["reopened"] == 2
        assert world.mapping_state() == "Disabled"
        assert limit_of(world) == 0
