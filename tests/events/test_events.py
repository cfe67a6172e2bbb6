"""Each event is accepted by its handler, and what the handler answers, placed by the machine's paths, by the next."""

import json
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from events.fill import event_names, read_event
from tests.events.conftest import Events
from tests.events.machine_paths import STATES, after, follow, input_of, module_of, place, tasks
from tests.functions.world import CIRCUIT, World, failing, processing

REPOSITORY = Path(__file__).resolve().parents[2]
STARTS = ("open_by_hand", "alarm")
COMMANDS = {
    "hold_open_by_hand": "TRIP",
    "close_by_hand": "DONE",
    "probe_by_hand": "DONE",
    "status_by_hand": "DONE",
    "active_by_hand": "DONE",
    "watch_by_hand": "DONE",
    "off_by_hand": "DONE",
}


def run_before(world: World, events: Events, *steps: str) -> None:
    """Bring the world to where the machine would be, by the events of earlier steps."""
    for step in steps:
        world.run(step, events[step])


def probed(world: World, events: Events) -> None:
    """Open, and hold one message that the target failed."""
    run_before(world, events, "open_circuit", "confirm_paused")
    world.send()
    world.target = failing
    world.run("probe_target", events["probe_target"])
    world.target = processing


def opened(world: World, events: Events) -> None:
    """Open, after which the alarm leaves ALARM."""
    run_before(world, events, "open_circuit", "confirm_paused")
    world.set_alarm("OK")


def let_in(world: World, events: Events) -> None:
    """Enable the mapping at the first step."""
    opened(world, events)
    run_before(world, events, "close_circuit", "confirm_enabled")


Surroundings = Callable[[World, Events], Any]
BEFORE: dict[str, Surroundings] = {
    "LoadCircuit": lambda world, events: None,
    "TakeCommand": lambda world, events: None,
    "WatchCircuit": lambda world, events: None,
    "OpenCircuit": lambda world, events: None,
    "ConfirmPaused": lambda world, events: run_before(world, events, "open_circuit"),
    "ProbeTarget": lambda world, events: (opened(world, events), world.send()),
    "ScheduleNextProbe": probed,
    "HandOver": probed,
    "GiveUp": probed,
    "RejitterBacklog": probed,
    "SettleHeldMessages": probed,
    "CloseCircuit": opened,
    "ConfirmEnabled": lambda world, events: (opened(world, events), run_before(world, events, "close_circuit")),
    "JudgeRecovery": let_in,
    "RaiseConcurrency": let_in,
    "RedriveDeadLetters": let_in,
    "ReopenCircuit": let_in,
    "EndIncident": let_in,
    "RecordFailure": opened,
}


def context(events: Events, start: Any) -> dict[str, Any]:
    """Return the machine's context object."""
    values = events.values
    execution = {"Id": values["ExecutionArn"], "Input": start}
    return {"Execution": execution, "StateMachine": {"Id": values["StateMachineArn"]}}


def test_events_are_one_for_each_function_and_for_each_way_to_start() -> None:
    modules = {path.stem for path in (REPOSITORY / "functions").glob("*.py")}
    assert set(event_names()) == modules | set(STARTS) | set(COMMANDS)
    assert modules == {module_of(task) for task in tasks()} | {
        "schedule_next_probe",
        "find_pipeline",
        "register_circuit",
        "reconcile_circuits",
        "show_circuits",
        "example_target",
    }


def test_events_name_no_real_account_region_or_part(events: Events) -> None:
    for name in event_names():
        text = json.dumps(read_event(name))
        assert "123456789012" not in text
        assert "us-east-1" not in text
        assert ":function:" not in text
        assert "{{" not in json.dumps(events[name])


@pytest.mark.parametrize("task", tasks())
def test_event_output_placed_by_the_machine_is_accepted_by_the_next_handler(
    world: World, events: Events, task: str
) -> None:
    BEFORE[task](world, events)
    start = events["open_by_hand"]
    event = events[module_of(task)]
    result = world.run(module_of(task), event)
    if task == "RecordFailure":
        # It ends the execution: the Fail state reads its error and cause.
        assert STATES[STATES[task]["Next"]]["ErrorPath"] == "$.failure.error"
        assert set(result) == {"error", "cause"}
        return
    following, document = after(task, event, result)
    definition = STATES[following]
    if definition["Type"] == "Task":
        accepted = world.run(module_of(following), input_of(following, document, context(events, start)))
        assert isinstance(accepted, dict)
    else:
        assert definition["Type"] == "Succeed"


@pytest.mark.parametrize("task", [task for task in tasks() if task not in ("LoadCircuit", "RecordFailure")])
def test_event_is_what_the_machine_passes_on(world: World, events: Events, task: str) -> None:
    # A step's event has all that the steps before it have placed, and nothing that none of them places.
    places = {
        definition["ResultPath"].removeprefix("$.") for definition in STATES.values() if "ResultPath" in definition
    }
    loaded = set(world.run("load_circuit", events["load_circuit"]))
    event = events[module_of(task)]
    assert loaded <= set(event) <= loaded | places
    assert set(event["circuit"]) == set(world.record().circuit.as_dict())
    assert set(event["circuit"]["settings"]) == set(world.record().circuit.settings)


@pytest.mark.parametrize(
    ("task", "states"),
    [
        ("LoadCircuit", ["TakeCommand"]),
        ("TakeCommand", ["CommandAnswered"]),
        ("OpenCircuit", ["ConfirmPaused"]),
        ("ConfirmPaused", ["ProbeTarget"]),
        ("ProbeTarget", ["SettleHeldMessages"]),
        ("HandOver", ["HandedOver"]),
        ("GiveUp", ["SettleHeldMessages"]),
        ("RejitterBacklog", ["SettleHeldMessages"]),
        ("SettleHeldMessages", ["CloseCircuit"]),
        ("CloseCircuit", ["ConfirmEnabled"]),
        ("ConfirmEnabled", ["JudgeRecovery"]),
        ("JudgeRecovery", ["JudgeRecovery"]),
        ("RaiseConcurrency", ["ConfirmEnabled"]),
        ("RedriveDeadLetters", ["EndIncident"]),
        ("ReopenCircuit", ["ConfirmPaused"]),
        ("EndIncident", ["CircuitClosed"]),
        ("WatchCircuit", ["Watched"]),
    ],
)
def test_event_leads_where_it_says(world: World, events: Events, task: str, states: list[str]) -> None:
    BEFORE[task](world, events)
    event = events[module_of(task)]
    following, _ = after(task, event, world.run(module_of(task), event))
    assert [following] == states


@pytest.mark.parametrize(("start", "following"), COMMANDS.items())
def test_start_event_by_hand_is_taken(world: World, events: Events, start: str, following: str) -> None:
    loading = input_of("LoadCircuit", {}, context(events, events[start]))
    state, document = after("LoadCircuit", {}, world.run("load_circuit", loading))
    assert state == "TakeCommand"
    taken = world.run("take_command", document)
    assert taken["next"] == following
    state, document = after(state, document, taken)
    assert state == ("OpenCircuit" if following == "TRIP" else "CommandAnswered")


@pytest.mark.parametrize("start", STARTS)
def test_start_event_leads_through_a_whole_incident(world: World, events: Events, start: str) -> None:
    world.send("one")
    world.send("two")
    state, document = "LoadCircuit", events[start]
    seen: list[str] = []
    world.target = failing
    while STATES[state]["Type"] == "Task":
        seen.append(state)
        if seen.count("ProbeTarget") == 2:
            world.target = processing
        result = world.run(module_of(state), input_of(state, document, context(events, events[start])))
        state, document = after(state, document, result)
        world.wait(60)
        if state == "ProbeTarget":
            world.set_alarm("OK")
    assert state == "CircuitClosed"
    assert [state for state, _ in groupby(seen)] == [
        "LoadCircuit",
        *(["TakeCommand"] if start == "open_by_hand" else []),
        "OpenCircuit",
        "ConfirmPaused",
        "ProbeTarget",
        "SettleHeldMessages",
        "CloseCircuit",
        "ConfirmEnabled",
        "JudgeRecovery",
        "RaiseConcurrency",
        "ConfirmEnabled",
        "JudgeRecovery",
        "EndIncident",
    ]
    assert document["outcome"] == "HEALED"
    assert world.mapping_is() == "Enabled"


@pytest.mark.parametrize("task", [task for task in tasks() if task != "RecordFailure"])
def test_event_error_caught_by_the_machine_is_accepted_by_record_failure(
    world: World, events: Events, task: str
) -> None:
    BEFORE[task](world, events)
    (catch,) = [catch for catch in STATES[task]["Catch"] if catch["ErrorEquals"] == ["States.ALL"]]
    error = events["record_failure"]["error"]
    start = events["open_by_hand"]
    entered = start if task == "LoadCircuit" else events[module_of(task)]
    document = place(catch["ResultPath"], entered, error)
    following = follow(catch["Next"], document)
    assert following == "RecordFailure"
    result = world.run("record_failure", input_of(following, document, context(events, start)))
    last, document = after(following, document, result)
    assert (STATES[last]["ErrorPath"], document["failure"]["error"]) == ("$.failure.error", "AccessDeniedException")


def test_event_reconcile_circuits_finds_nothing_to_do(world: World, events: Events) -> None:
    before = world.items()
    assert world.run("reconcile_circuits", events["reconcile_circuits"]) == {CIRCUIT: "NOTHING"}
    assert world.items() == before


def test_event_show_circuits_shows_the_circuit_and_changes_nothing(world: World, events: Events) -> None:
    before = world.items()
    answer = world.run("show_circuits", events["show_circuits"])
    assert CIRCUIT in answer
    assert "CLOSED (flowing)" in answer
    assert world.items() == before


def test_event_register_circuit_is_accepted_and_changes_nothing(world: World, events: Events) -> None:
    before = world.items()
    with mock.patch("breaker.custom_resource.send") as send:
        answer = world.run("register_circuit", events["register_circuit"])
    assert answer == {"physical_id": CIRCUIT, "reason": ""}
    assert send.call_args.args[0] == events["register_circuit"]
    assert world.items() == before


def test_event_find_pipeline_finds_the_pipeline(world: World, events: Events) -> None:
    before = world.items()
    with mock.patch("breaker.custom_resource.send") as send:
        answer = world.run("find_pipeline", events["find_pipeline"])
    assert answer == {"physical_id": world.mapping_id, "reason": ""}
    assert send.call_args.args[1].attributes["TargetArn"] == world.target_arn
    assert world.items() == before


def test_event_example_target_is_what_the_poller_sends_and_is_processed(world: World, events: Events) -> None:
    event = events["example_target"]
    assert world.run("example_target", event) == {"batchItemFailures": []}
    (ours,) = event["Records"]
    world.send("{}", MessageAttributes={"channel": {"DataType": "String", "StringValue": "web"}})
    opened(world, events)
    world.run("probe_target", events["probe_target"])
    (theirs,) = world.invocations[0][1]["Records"]
    assert set(ours) <= set(theirs) <= {*ours, "md5OfMessageAttributes"}
    assert set(ours["attributes"]) == set(theirs["attributes"])
    assert ours["messageAttributes"] == theirs["messageAttributes"]
    assert ours["eventSourceARN"] == theirs["eventSourceARN"]
