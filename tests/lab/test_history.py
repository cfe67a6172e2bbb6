"""What the lab reads from an execution's history."""

from datetime import UTC, datetime, timedelta
from typing import Any

from lab.history import Task, first_visits, retries_of, states_entered, tasks_of

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def event(kind: str, seconds: float, state: str = "") -> dict[str, Any]:
    details = "stateEnteredEventDetails" if kind.endswith("Entered") else "stateExitedEventDetails"
    return {
        "type": kind,
        "timestamp": START + timedelta(seconds=seconds),
        **({details: {"name": state}} if state else {}),
    }


HISTORY = [
    event("ExecutionStarted", 0),
    event("TaskStateEntered", 0, "OpenCircuit"),
    event("LambdaFunctionScheduled", 1),
    event("LambdaFunctionStarted", 1.2),
    event("LambdaFunctionSucceeded", 2),
    event("TaskStateExited", 2, "OpenCircuit"),
    event("TaskStateEntered", 2, "ConfirmPaused"),
    event("TaskScheduled", 2),
    event("TaskFailed", 2.5),
    event("TaskScheduled", 5),
    event("TaskSucceeded", 5.25),
    event("TaskStateExited", 6, "ConfirmPaused"),
    event("WaitStateEntered", 6, "WaitBeforeProbe"),
    event("WaitStateExited", 36, "WaitBeforeProbe"),
    event("TaskStateEntered", 36, "ConfirmPaused"),
]


def test_states_are_counted_as_often_as_they_were_entered() -> None:
    assert states_entered(HISTORY) == ["OpenCircuit", "ConfirmPaused", "WaitBeforeProbe", "ConfirmPaused"]


def test_tasks_are_calls_with_their_time_and_retries() -> None:
    assert tasks_of(HISTORY) == [Task("OpenCircuit", 1.0), Task("ConfirmPaused", 0.5), Task("ConfirmPaused", 0.25)]


def test_retries_are_tries_beyond_the_first_of_each_visit() -> None:
    assert retries_of(HISTORY[:-1]) == 1
    assert retries_of(HISTORY[:7]) == 0


def test_first_visits_are_how_long_it_was_in_each_state_the_first_time() -> None:
    again = [*HISTORY, event("TaskStateExited", 37, "ConfirmPaused"), event("TaskStateEntered", 37, "CloseCircuit")]
    assert first_visits(again) == {"OpenCircuit": 2.0, "ConfirmPaused": 4.0, "WaitBeforeProbe": 30.0}
