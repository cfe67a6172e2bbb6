"""RecordFailure: where a failed step leaves the pipeline is written down and said."""

import json
from typing import Any

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import BadStateDocument
from tests.functions.world import World

START = {"circuit": "orders", "command": "OPEN", "reason": "test"}
TRACE = {
    "errorMessage": "An error occurred (AccessDeniedException)",
    "errorType": "ClientError",
    "stackTrace": ["line 1", "line 2"],
}
ERROR = {"Error": "ClientError", "Cause": json.dumps(TRACE)}


def record(world: World, execution: str, error: Any = ERROR, start: Any = START) -> Any:
    """Run the step the way the state machine does."""
    return world.run("record_failure", {"execution": execution, "input": start, "error": error})


def test_record_failure_owner_writes_announces_and_keeps_the_claim(world: World) -> None:
    execution = world.open()["execution"]
    answer = record(world, execution)
    cause = "ClientError: An error occurred (AccessDeniedException); the mapping is Disabled"
    assert answer == {"error": "ClientError", "cause": cause}
    item = next(item for item in world.items() if item["sk"] == "CIRCUIT")
    assert item["failure"] == {"error": "ClientError", "cause": cause, "at": "2026-03-01T12:00:00Z"}
    assert world.record().owner == execution
    assert world.record().state is CircuitState.OPEN
    (event,) = world.events
    assert (event["change"], event["reason"], event["error"]) == ("BREAKER_FAILED", cause, "ClientError")
    assert event["incident"] == world.record().incident["id"]


def test_record_failure_next_trip_takes_the_incident_over(world: World) -> None:
    first = world.open()
    record(world, first["execution"])
    world.stop_execution(first["execution"])
    assert world.run("open_circuit", world.document(world.start_execution("second"))) == first["claim"] | {
        "stands": "OPEN"
    }


def test_record_failure_closing_the_circuit_forgets_it(world: World) -> None:
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    record(world, document["execution"])
    document["closing"] = world.run("close_circuit", document)
    world.run("confirm_enabled", document)
    world.run("end_incident", document)
    assert not any("failure" in item for item in world.items())


@pytest.mark.parametrize("start", [START, {"circuit": "payments"}, {}, {"circuit": None}, "OPEN", None])
def test_record_failure_not_the_owner_announces_and_writes_nothing(world: World, start: Any) -> None:
    before = world.items()
    answer = record(world, world.start_execution(), start=start)
    assert answer["cause"].endswith("; the circuit was not changed")
    assert world.items() == before
    (event,) = world.events
    assert (event["change"], event["sequence"]) == ("BREAKER_FAILED", 0)


def test_record_failure_mapping_cannot_be_read_says_unknown(world: World) -> None:
    execution = world.open()["execution"]
    world.refuse(world.lambda_, "get_event_source_mapping", "ServiceException")
    assert record(world, execution)["cause"].endswith("; the mapping is unknown (MappingNotSettled)")
    world.refuse(world.lambda_, "get_event_source_mapping", "AccessDeniedException")
    assert record(world, execution)["cause"].endswith("; the mapping is unknown (ClientError)")


def test_record_failure_taken_over_meanwhile_is_only_logged(world: World) -> None:
    execution = world.open()["execution"]
    world.refuse(world.dynamodb, "update_item", "ConditionalCheckFailedException")
    assert record(world, execution)["error"] == "ClientError"
    assert world.events == []


def test_record_failure_twice_gives_the_same_answer(world: World) -> None:
    execution = world.open()["execution"]
    assert record(world, execution) == record(world, execution)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        ("The state machine was stopped", "The state machine was stopped"),
        ("[1, 2]", "[1, 2]"),
        ('{"no": "message"}', '{"no": "message"}'),
        (None, "None"),
        ("x" * 5000, "x" * 500),
        (json.dumps({"errorMessage": "y" * 5000}), "y" * 500),
    ],
)
def test_record_failure_any_cause_is_one_short_line(world: World, cause: Any, said: str) -> None:
    answer = record(world, world.start_execution(), {"Error": "States.Timeout", "Cause": cause})
    assert answer == {"error": "States.Timeout", "cause": f"States.Timeout: {said}; the circuit was not changed"}


def test_record_failure_error_without_a_name_is_unknown(world: World) -> None:
    assert record(world, world.start_execution(), {})["error"] == "Unknown"


@pytest.mark.parametrize("change", [{"error": None}, {"error": "boom"}, {"execution": None}])
def test_record_failure_bad_input_is_refused(world: World, change: dict[str, Any]) -> None:
    with pytest.raises(BadStateDocument, match=r"error: .* must be the error that a Catch writes"):
        world.run("record_failure", {"execution": "e", "input": START, "error": ERROR, **change})
