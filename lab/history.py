"""What an execution of a state machine did, by its history. Pure. Times are seconds of this machine's clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SCHEDULED = ("TaskScheduled", "LambdaFunctionScheduled")
_ENDINGS = ("Succeeded", "Failed", "TimedOut")


@dataclass(frozen=True)
class Task:
    """One call of a function by a state machine: which state, and how long it took."""

    state: str
    seconds: float


def states_entered(history: Iterable[Mapping[str, Any]]) -> list[str]:
    """The states, as often as they were entered."""
    return [event["stateEnteredEventDetails"]["name"] for event in history if event["type"].endswith("StateEntered")]


def retries_of(history: Iterable[Mapping[str, Any]]) -> int:
    """How often a Task that had failed was tried again. A Task is entered once, however often it is tried."""
    kinds = [event["type"] for event in history]
    # The Task that is being entered now may not have been tried yet.
    return max(0, sum(map(kinds.count, _SCHEDULED)) - kinds.count("TaskStateEntered"))


def tasks_of(history: Iterable[Mapping[str, Any]]) -> list[Task]:
    """The calls of functions that have ended, retries included."""
    state, began = "", None
    found: list[Task] = []
    for event in history:
        kind = event["type"]
        if kind.endswith("StateEntered"):
            state = event["stateEnteredEventDetails"]["name"]
        elif kind in _SCHEDULED:
            began = event["timestamp"]
        elif began is not None and kind.startswith(("Task", "LambdaFunction")) and kind.endswith(_ENDINGS):
            found.append(Task(state, (event["timestamp"] - began).total_seconds()))
            began = None
    return found


def first_visits(history: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How long the execution was in each state the first time."""
    entered: dict[str, float] = {}
    visits: dict[str, float] = {}
    for event in history:
        at = event["timestamp"].timestamp()
        if event["type"].endswith("StateEntered"):
            entered.setdefault(event["stateEnteredEventDetails"]["name"], at)
        elif event["type"].endswith("StateExited"):
            name = event["stateExitedEventDetails"]["name"]
            visits.setdefault(name, at - entered[name])
    return visits
