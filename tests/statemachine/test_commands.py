"""Every command in every state a circuit can be in, with the machine's own file and the real handlers.

What each must do is the table in docs/operations.md, which a test holds against this module.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import pytest
from harness import CIRCUIT, REPOSITORY, START, Ended, World, build_world, client, failing, healthy

STATUS_FIELDS = {"standing", "state", "since", "why", "next_probe_at", "queue", "what_next", "to_do", "mapping", "mode"}


def command(name: str, reason: str = "said so", **fields: Any) -> dict[str, Any]:
    """Return what an execution is started with by hand."""
    return {"circuit": CIRCUIT, "command": name, "reason": reason, **fields}


def closed(world: World) -> None:
    """Leave the circuit as registered."""


def open_(world: World) -> None:
    """Open the circuit, and wait for the probe after the third."""
    world.target.behaviour = failing
    world.start()
    world.clock.sleep(300)
    assert world.record()["state"] == "OPEN"


def half_open(world: World) -> None:
    """Let messages in at the first step of a ramp."""
    world.start()
    until(world, lambda: "began" in world.record().get("incident", {}).get("recovery", {}), within=150)
    until(world, lambda: world.record()["incident"]["recovery"]["began"] != "", within=60)
    assert world.record()["state"] == "HALF_OPEN"


def until(world: World, condition: Callable[[], bool], *, within: int) -> None:
    """Let time pass, second by second, until a condition holds."""
    for _ in range(within):
        if condition():
            return
        world.clock.sleep(1)
    raise AssertionError(f"not within {within} s")


def gave_up(world: World) -> None:
    """Use up the probes."""
    world.register("Update", MaxProbes=2, OnGiveUp="STAY_OPEN", Recovery="RAMP", FirstProbeSeconds=30)
    world.target.behaviour = failing
    world.run().expect("FAILED", last="GaveUp")


def owner_dead(world: World) -> None:
    """Open the circuit, and stop the execution that owns it."""
    open_(world)
    world.stop()


STATES: dict[str, Callable[[World], None]] = {
    "CLOSED": closed,
    "OPEN": open_,
    "HALF_OPEN": half_open,
    "gave up": gave_up,
    "owner dead": owner_dead,
}
PAUSED = ["OPEN", "gave up", "owner dead"]
RUNNING = ["OPEN", "HALF_OPEN"]


@contextmanager
def circuit(state: str, **settings: Any) -> Iterator[World]:
    """Yield a world whose circuit is in a state, with six orders sent; check what must hold after every command."""
    with build_world(max_receive_count=20) as world:
        chosen = {"Recovery": "RAMP", "FirstProbeSeconds": 30} | settings
        assert world.register(**chosen)["Status"] == "SUCCESS"
        world.send(6)
        STATES[state](world)
        yield world
        assert world.lost() == set()
        assert world.exposed() == []


def flows(world: World) -> None:
    """Assert that the incident is over with nothing left, the owner's settings in force, and no order lost."""
    record = world.record()
    assert record["state"] == "CLOSED"
    assert {"owner", "incident", "intent", "failure", "next_probe_at", "successor"} & set(record) == set()
    assert world.held_items() == []
    mapping = client("lambda").get_event_source_mapping(UUID=world.mapping_id)
    assert mapping["State"] == "Enabled"
    assert not (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
    world.target.behaviour = healthy
    world.drain()
    assert set(world.target.processed) == set(world.sent)
    assert world.dead_lettered() == []


def at_once(world: World, document: dict[str, Any]) -> Ended:
    """Run an execution that waits for nothing, without letting the time of the owner's next probe come."""
    arn = world.start(document)
    for _ in range(30):
        if world.status(arn) != "RUNNING":
            break
        world.clock.sleep(1)
    return world.finish(arn)


def answered(ended: Ended) -> dict[str, Any]:
    """Assert that the command was only answered, and return its output."""
    ended.expect("SUCCEEDED", last="CommandAnswered")
    assert set(ended.output) == {"next", "answer", "status"}
    return dict(ended.output)


def unchanged(world: World) -> list[Any]:
    """Return what a command that changes nothing leaves alone."""
    return [world.items(), len(world.cloud.mapping_updates), world.announced(), [vars(m) for m in world.queued()]]


def owner_before_ends(world: World, first: str) -> None:
    """Assert that the owner before, if it still runs, ends without changing anything."""
    if world.status(first) == "RUNNING":
        world.finish(first)
    assert world.ended(first).states[-1] in ("TakenOver", "GaveUp") or world.status(first) == "ABORTED"


# STATUS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "standing"),
    [
        ("CLOSED", "FLOWING"),
        ("OPEN", "PAUSED"),
        ("HALF_OPEN", "RECOVERING"),
        ("gave up", "GAVE_UP"),
        ("owner dead", "WITHOUT_OWNER"),
    ],
)
def test_status_says_how_the_circuit_stands_and_changes_nothing(state: str, standing: str) -> None:
    with circuit(state) as world:
        before = unchanged(world)
        status = answered(at_once(world, {"circuit": CIRCUIT, "command": "STATUS"}))["status"]
        assert unchanged(world) == before
        assert set(status) >= STATUS_FIELDS
        assert status["standing"] == standing
        assert status["state"] == world.record()["state"]
        assert sum(status["queue"][where] for where in ("visible", "hidden", "delayed")) == len(world.queued())
        assert bool(status["next_probe_at"]) == (state == "OPEN")
        assert [line for line in world.log_lines() if line.get("status") == status]


def test_status_of_a_circuit_that_just_opened_names_its_first_probe() -> None:
    with circuit("CLOSED", FirstProbeSeconds=600) as world:
        world.start()
        world.clock.sleep(100)
        assert answered(at_once(world, command("STATUS")))["status"]["next_probe_at"].startswith("2026-03-01T12:10:")


# OPEN ---------------------------------------------------------------------------------------------------------------


def test_open_in_closed_opens_and_probes_as_usual() -> None:
    with circuit("CLOSED") as world:
        world.run(command("OPEN", "maintenance")).expect("SUCCEEDED", last="CircuitClosed")
        assert world.announcements()[0]["change"] == "OPENED"
        assert world.announcements()[0]["reason"] == "maintenance"
        assert world.waits()[0] == 30
        flows(world)


def test_open_in_open_changes_nothing() -> None:
    with circuit("OPEN") as world:
        before = unchanged(world)
        assert "nothing to do" in answered(at_once(world, command("OPEN")))["answer"]
        assert unchanged(world) == before
        world.target.behaviour = healthy
        world.finish(world.started[0]).expect("SUCCEEDED", last="CircuitClosed")
        flows(world)


def test_open_in_half_open_pauses_again_in_the_same_incident() -> None:
    with circuit("HALF_OPEN") as world:
        first, incident = world.started[0], world.record()["incident"]["id"]
        world.target.behaviour = failing
        second = world.start(command("OPEN", "too early"))
        until(world, lambda: world.record()["state"] == "OPEN", within=40)
        record = world.record()
        assert (record["owner"], record["incident"]["id"]) == (second, incident)
        assert "order" not in record["incident"]
        assert world.mapping_state() == "Disabled"
        assert {"COMMANDED", "REOPENED"} <= set(world.announced())
        assert "too early" in record["reason"]
        owner_before_ends(world, first)
        world.target.behaviour = healthy
        world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        flows(world)


@pytest.mark.parametrize("state", ["gave up", "owner dead"])
def test_open_where_nobody_is_at_work_takes_the_incident_on(state: str) -> None:
    with circuit(state) as world:
        incident = world.record()["incident"]["id"]
        world.target.behaviour = healthy
        ended = world.run(command("OPEN", "go on")).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["incident"] == incident
        flows(world)


@pytest.mark.parametrize("state", STATES)
def test_open_with_an_end_is_not_probed_until_then_and_recovers_afterwards(state: str) -> None:
    with circuit(state) as world:
        first = world.started[0] if world.started else None
        at = world.clock.elapsed()
        second = world.start(command("OPEN", "maintenance", for_minutes=60))
        world.clock.sleep(120)
        until = world.record()["incident"]["hold_until"]
        probed = world.announced().count("PROBED")
        world.target.behaviour = healthy
        world.clock.sleep(3000)
        assert world.record()["state"] == "OPEN"
        assert world.record()["owner"] == second
        assert world.record()["next_probe_at"] == until
        assert world.announced().count("PROBED") == probed
        status = at_once(world, {"circuit": CIRCUIT, "command": "STATUS"}).output["status"]
        assert (status["standing"], status["held_until"]) == ("HELD_OPEN", until)
        world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        assert world.clock.elapsed() - at > 3600
        if first:
            owner_before_ends(world, first)
        assert until in str(world.announcements())
        flows(world)


def test_open_with_an_end_twice_changes_nothing_the_second_time() -> None:
    with circuit("CLOSED") as world:
        asked = command("OPEN", "maintenance", until="2026-03-01T13:00:00Z")
        first = world.start(asked)
        world.clock.sleep(100)
        before = unchanged(world)
        assert "nothing to do" in answered(at_once(world, asked))["answer"]
        assert unchanged(world) == before
        world.finish(first).expect("SUCCEEDED", last="CircuitClosed")
        flows(world)


def test_open_with_an_end_is_kept_by_whoever_resumes_the_incident() -> None:
    with circuit("CLOSED") as world:
        world.start(command("OPEN", "maintenance", for_minutes=60))
        world.clock.sleep(600)
        world.stop()
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        ended = world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert world.target_first_received_at() >= 3600
        assert ended.output["outcome"] == "HEALED"
        flows(world)


def test_mapping_that_somebody_enables_while_the_circuit_is_held_open_is_respected_soon() -> None:
    with circuit("CLOSED") as world:
        arn = world.start(command("OPEN", "maintenance", for_minutes=600))
        world.clock.after(1000, lambda: world.set_mapping(enabled=True))
        ended = world.finish(arn).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["outcome"] == "OVERRIDDEN"
        assert world.clock.elapsed() < 1400
        flows(world)


# CLOSE --------------------------------------------------------------------------------------------------------------


def test_close_in_closed_changes_nothing() -> None:
    with circuit("CLOSED") as world:
        before = unchanged(world)
        assert "nothing to do" in answered(at_once(world, command("CLOSE")))["answer"]
        assert unchanged(world) == before


@pytest.mark.parametrize("state", ["OPEN", "HALF_OPEN", "gave up", "owner dead"])
def test_close_lets_messages_flow_with_the_owners_settings_and_ends_the_incident(state: str) -> None:
    with circuit(state) as world:
        first, at = world.started[0], world.clock.elapsed()
        ended = world.run(command("CLOSE", "it is mended")).expect("SUCCEEDED", last="CircuitClosed")
        closed_at = datetime.fromisoformat(ended.output["closed_at"])
        assert (closed_at - START).total_seconds() - at < 30, "nobody waits for a probe that is due later"
        assert ended.output["outcome"] == "CLOSED_BY_HAND"
        assert ended.count("JudgeRecovery") == 0
        said = world.announcements()
        assert [detail["change"] for detail in said][-3:] == ["COMMANDED", "HALF_OPEN", "CLOSED"]
        assert "it is mended" in said[-3]["reason"]
        assert len({detail["incident"] for detail in said}) == 1
        assert not any(message.hidden for message in world.queued())
        owner_before_ends(world, first)
        flows(world)


def test_close_while_the_circuit_is_held_open_ends_the_hold() -> None:
    with circuit("CLOSED") as world:
        world.start(command("OPEN", "maintenance", for_minutes=600))
        world.clock.sleep(100)
        assert world.run(command("CLOSE")).output["outcome"] == "CLOSED_BY_HAND"
        flows(world)


def test_close_again_when_the_circuit_is_closed_changes_nothing() -> None:
    with circuit("OPEN") as world:
        world.run(command("CLOSE")).expect("SUCCEEDED", last="CircuitClosed")
        before = unchanged(world)
        answered(at_once(world, command("CLOSE")))
        assert unchanged(world) == before


def test_close_leaves_a_limit_that_somebody_has_set_meanwhile() -> None:
    with circuit("HALF_OPEN") as world:
        limit = {"MaximumConcurrency": 33}
        client("lambda").update_event_source_mapping(UUID=world.mapping_id, ScalingConfig=limit)
        world.clock.sleep(2)
        world.run(command("CLOSE")).expect("SUCCEEDED", last="CircuitClosed")
        mapping = client("lambda").get_event_source_mapping(UUID=world.mapping_id)
        assert mapping["ScalingConfig"] == limit


def test_close_of_a_mapping_that_is_gone_ends_the_incident() -> None:
    with circuit("OPEN") as world:
        client("lambda").delete_event_source_mapping(UUID=world.mapping_id)
        ended = world.run(command("CLOSE")).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["outcome"] == "MAPPING_GONE"


def test_close_waits_while_the_owner_changes_the_mapping() -> None:
    with circuit("CLOSED") as world:
        world.mapping_settles(after=100)
        first = world.start()
        world.clock.sleep(20)
        assert world.record()["intent"] == "DISABLE"
        second = world.start(command("CLOSE"))
        world.clock.sleep(20)
        assert world.record()["owner"] == first, "a change that was written down is the owner's to finish"
        world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        owner_before_ends(world, first)
        assert world.mapping_changes() == [False, True]
        flows(world)


# PROBE --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["CLOSED", "HALF_OPEN"])
def test_probe_where_messages_flow_changes_nothing(state: str) -> None:
    with circuit(state) as world:
        before = unchanged(world)
        assert "nothing to do" in answered(at_once(world, command("PROBE")))["answer"]
        assert unchanged(world) == before


@pytest.mark.parametrize("state", PAUSED)
def test_probe_tries_at_once_and_a_success_ends_the_incident(state: str) -> None:
    with circuit(state) as world:
        first, at, tried = world.started[0], world.clock.elapsed(), len(world.target.received)
        world.target.behaviour = healthy
        second = world.start(command("PROBE", "it should be back"))
        world.clock.sleep(10)
        assert len(world.target.received) == tried + 1
        assert world.clock.elapsed() - at < 11
        world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        assert "PROBE by hand: it should be back" in [detail["reason"] for detail in world.announcements()]
        owner_before_ends(world, first)
        flows(world)


def test_probe_that_fails_goes_on_with_the_waits_where_they_were() -> None:
    with circuit("OPEN") as world:
        failures = world.record()["incident"]["failed_probes"]
        second = world.start(command("PROBE"))
        world.clock.sleep(20)
        assert world.record()["incident"]["failed_probes"] == failures + 1
        world.target.behaviour = healthy
        ended = world.finish(second).expect("SUCCEEDED", last="CircuitClosed")
        assert world.waits()[-1] == 120
        assert ended.output["probes"] == failures + 2
        flows(world)


def test_probe_after_giving_up_has_all_its_tries_again() -> None:
    with circuit("gave up") as world:
        world.run(command("PROBE")).expect("FAILED", last="GaveUp")
        assert world.record()["incident"]["failed_probes"] == 4
        assert world.announced().count("GAVE_UP") == 2
        assert world.mapping_state() == "Disabled"


def test_probe_while_the_circuit_is_held_open_ends_the_hold() -> None:
    with circuit("CLOSED") as world:
        world.start(command("OPEN", "maintenance", for_minutes=600))
        world.clock.sleep(100)
        world.run(command("PROBE", "done early")).expect("SUCCEEDED", last="CircuitClosed")
        assert world.clock.elapsed() < 1800
        flows(world)


# The command's execution dies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "asked", "outcome"),
    [
        ("OPEN", command("CLOSE"), "CLOSED_BY_HAND"),
        ("HALF_OPEN", command("CLOSE"), "CLOSED_BY_HAND"),
        ("gave up", command("CLOSE"), "CLOSED_BY_HAND"),
        ("gave up", command("PROBE"), "HEALED"),
        ("HALF_OPEN", command("OPEN"), "HEALED"),
    ],
)
@pytest.mark.parametrize("step", ["TakeCommand", "OpenCircuit"])
def test_command_whose_execution_dies_is_carried_out_by_its_successor(
    state: str, asked: dict[str, Any], outcome: str, step: str
) -> None:
    with circuit(state) as world:
        world.target.behaviour = healthy
        world.stop_in(step)
        second = world.start(asked)
        assert world.clock.wait_for(lambda: world.status(second) == "ABORTED")
        assert world.record()["owner"] == second
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        ended = world.finish(world.executions()[-1]).expect("SUCCEEDED", last="CircuitClosed")
        assert ended.output["outcome"] == outcome
        assert ("REOPENED" in world.announced()) == (asked["command"] == "OPEN")
        flows(world)


@pytest.mark.parametrize("name", ["OPEN", "CLOSE", "PROBE"])
def test_command_whose_answer_got_lost_is_taken_once(name: str) -> None:
    with circuit("HALF_OPEN" if name == "OPEN" else "OPEN") as world:
        world.target.behaviour = healthy
        world.break_step("TakeCommand", times=1, after_its_work=True)
        world.run(command(name)).expect("SUCCEEDED", last="CircuitClosed")
        assert world.announced().count("COMMANDED") == 1
        flows(world)


def test_command_that_loses_the_race_to_a_step_of_the_owner_looks_again() -> None:
    with circuit("OPEN") as world:
        import take_command

        work, seen = take_command._load, []

        def late(table: Any, name: str) -> Any:
            record = work(table, name)
            if not seen:
                seen.append(record)
                client("dynamodb").update_item(
                    TableName="CircuitTable",
                    Key={"pk": {"S": f"CIRCUIT#{CIRCUIT}"}, "sk": {"S": "CIRCUIT"}},
                    UpdateExpression="SET intent = :intent",
                    ExpressionAttributeValues={":intent": {"S": "ENABLE"}},
                )
                world.clock.after(60, lambda: _forget_intent())
            return record

        def _forget_intent() -> None:
            client("dynamodb").update_item(
                TableName="CircuitTable",
                Key={"pk": {"S": f"CIRCUIT#{CIRCUIT}"}, "sk": {"S": "CIRCUIT"}},
                UpdateExpression="REMOVE intent",
            )

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(take_command, "_load", late)
            at = world.clock.elapsed()
            world.run(command("CLOSE")).expect("SUCCEEDED", last="CircuitClosed")
        assert world.clock.elapsed() - at >= 60
        flows(world)


# Modes --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("mode", ["WATCH", "OFF"])
def test_mode_counts_from_the_next_trip_on_and_leaves_an_incident_alone(state: str, mode: str) -> None:
    with circuit(state) as world:
        before = world.record()
        output = answered(at_once(world, command(mode, "a quiet week")))
        after = world.record()
        assert output["status"]["mode"] == mode
        assert "a quiet week" in output["status"]["mode_by_hand"]
        assert after["circuit"]["settings"]["Mode"] == mode
        assert after["mode_set"]["reason"] == "a quiet week"
        beside = {"circuit", "mode_set", "sequence"}
        assert {k: v for k, v in after.items() if k not in beside} == {
            k: v for k, v in before.items() if k not in beside
        }
        assert world.announced()[-1] == "COMMANDED"
        world.target.behaviour = healthy
        if state in RUNNING:
            world.finish(world.started[0]).expect("SUCCEEDED", last="CircuitClosed")
        elif state != "CLOSED":
            world.run(command("CLOSE")).expect("SUCCEEDED", last="CircuitClosed")
        last = "Watched" if mode == "WATCH" else "CircuitIsOff"
        world.run().expect("SUCCEEDED", last=last)
        flows(world)


def test_mode_active_brings_a_circuit_back_that_was_switched_off() -> None:
    with circuit("CLOSED", Mode="OFF") as world:
        world.run().expect("SUCCEEDED", last="CircuitIsOff")
        answered(at_once(world, command("ACTIVE", "ready")))
        world.run().expect("SUCCEEDED", last="CircuitClosed")
        flows(world)


def test_mode_that_the_circuit_has_changes_nothing() -> None:
    with circuit("CLOSED") as world:
        before = unchanged(world)
        assert "nothing to do" in answered(at_once(world, command("ACTIVE")))["answer"]
        assert unchanged(world) == before


def test_mode_by_hand_lasts_until_the_stack_registers_the_circuit_again() -> None:
    with circuit("CLOSED") as world:
        world.run(command("OFF", "a quiet week"))
        world.register("Update", Recovery="RAMP", FirstProbeSeconds=31)
        assert world.record()["circuit"]["settings"]["Mode"] == "ACTIVE"
        assert "mode_set" not in world.record()


# Wrong input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"command": "STOP"}, "command"),
        ({"command": "CLOSE", "reason": ""}, "reason"),
        ({"command": "OPEN", "until": "2020-01-01T00:00:00Z"}, "until"),
        ({"command": "PROBE", "for_minutes": 5}, "for_minutes"),
    ],
)
def test_wrong_command_is_refused_with_its_field_and_changes_nothing(
    state: str, wrong: dict[str, Any], field: str
) -> None:
    with circuit(state) as world:
        before = unchanged(world)
        ended = at_once(world, command("OPEN") | wrong).expect("FAILED", last="TripRefused")
        assert ended.error == "InvalidTrip"
        assert f"{field}: " in (ended.cause or "")
        assert unchanged(world) == before


# The page -----------------------------------------------------------------------------------------------------------


def test_operations_page_decides_every_command_in_every_state() -> None:
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    rows = [line.split("|")[1:-1] for line in page.splitlines() if line.startswith("| `")]
    decided = {match[1]: [cell.strip() for cell in row[1:]] for row in rows if (match := re.match(r" `(\w+)`", row[0]))}
    assert {"OPEN", "CLOSE", "PROBE", "STATUS", "ACTIVE"} <= set(decided)
    header = next(line for line in page.splitlines() if line.startswith("| command |"))
    assert [cell.strip() for cell in header.split("|")[2:-1]] == list(STATES)
    assert all(len(cells) == len(STATES) and all(cells) for name, cells in decided.items() if name.isupper())
