"""How a document travels through the state machine: by the paths in the machine's own file.

Knows what that file uses, `$.a.b` and `$$.A.B`, Parameters, ResultPath, Choice and Wait, and fails on anything else.
"""

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DEFINITION_FILE = Path(__file__).resolve().parents[2] / "statemachine" / "circuit_breaker.asl.json"
STATES: dict[str, dict[str, Any]] = json.loads(DEFINITION_FILE.read_text())["States"]
_CHANGES_A_DOCUMENT = {"InputPath", "OutputPath", "ResultSelector", "Assign", "Output", "QueryLanguage"}


def module_of(state: str) -> str:
    """Return the module that runs a Task: `ProbeTarget` is `probe_target`."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in state).lstrip("_")


def tasks() -> list[str]:
    """Return the names of the Task states."""
    return [name for name, state in STATES.items() if state["Type"] == "Task"]


def look_up(path: str, document: Any, context: Mapping[str, Any] | None = None) -> Any:
    """Return what stands at a path. KeyError if nothing does, as the machine would fail there."""
    root, _, rest = path.partition(".")
    found = {"$": document, "$$": context}[root]
    for step in filter(None, rest.split(".")):
        found = found[step]
    return found


def input_of(state: str, document: Any, context: Mapping[str, Any]) -> Any:
    """Return what a Task's handler is given."""
    definition = STATES[state]
    assert not _CHANGES_A_DOCUMENT & set(definition), f"{state} uses what this module does not know"
    if "Parameters" not in definition:
        return copy.deepcopy(document)
    return {
        name.removesuffix(".$"): look_up(value, document, context) if name.endswith(".$") else value
        for name, value in definition["Parameters"].items()
    }


def place(path: str, document: Any, result: Any) -> Any:
    """Return the document with a result placed at a ResultPath."""
    if path == "$":
        return result
    root, _, field = path.partition(".")
    assert root == "$"
    assert "." not in field, f"{path} is deeper than this module knows"
    return {**document, field: result}


def after(state: str, document: Any, result: Any) -> tuple[str, Any]:
    """Return the next Task, or the last state, and the document with which it is entered, after a Task's result."""
    document = place(STATES[state].get("ResultPath", "$"), document, result)
    return follow(STATES[state]["Next"], document), document


def follow(state: str, document: Any) -> str:
    """Return the first state from `state` on that is no Choice or Wait."""
    definition = STATES[state]
    if definition["Type"] == "Wait":
        seconds = definition.get("Seconds") or look_up(definition["SecondsPath"], document)
        assert isinstance(seconds, int)
        assert seconds >= 0
        return follow(definition["Next"], document)
    if definition["Type"] == "Choice":
        chosen = [rule["Next"] for rule in definition["Choices"] if holds(rule, document)]
        return follow(chosen[0] if chosen else definition["Default"], document)
    return state


def holds(rule: Mapping[str, Any], document: Any) -> bool:
    """Tell whether a Choice's rule holds for a document."""
    if "And" in rule:
        return all(holds(part, document) for part in rule["And"])
    ((operator, expected),) = [(name, value) for name, value in rule.items() if name not in ("Variable", "Next")]
    if operator == "IsPresent":
        try:
            look_up(rule["Variable"], document)
        except KeyError:
            return expected is False
        return expected is True
    assert operator in ("StringEquals", "BooleanEquals"), f"{operator} is more than this module knows"
    value = look_up(rule["Variable"], document)
    assert isinstance(value, str if operator == "StringEquals" else bool), f"{rule['Variable']} is {value!r}"
    return bool(value == expected)
