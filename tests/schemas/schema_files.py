"""The JSON Schemas in docs/schemas/, and what holds announcements to them.

What is published there lets fields be added; nothing else may be there than what it describes. So the tests read it
strictly: a field that is announced and not described is an error.
"""

import copy
import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

REPOSITORY = Path(__file__).resolve().parent.parent.parent
FOLDER = REPOSITORY / "docs" / "schemas"
STATE_CHANGE = "circuit-state-change"
TRIP_REQUESTED = "circuit-trip-requested"
EXECUTION_INPUT = "execution-input"
Validator = Callable[[Any], Any]


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.schema.json").read_text()


def schema(name: str) -> dict[str, Any]:
    """Return a schema; a copy that may be changed."""
    read: dict[str, Any] = json.loads(_text(name))
    return read


@cache
def validator(name: str) -> Validator:
    """Return what raises for a document that a schema, as published, refuses."""
    compiled: Validator = fastjsonschema.compile(schema(name))
    return compiled


def changes() -> list[str]:
    """Return every change that is described, in the order of the schema."""
    listed: list[str] = schema(STATE_CHANGE)["properties"]["change"]["enum"]
    return listed


def examples(change: str) -> list[dict[str, Any]]:
    """Return the described examples of a change."""
    given: list[dict[str, Any]] = schema(STATE_CHANGE)["definitions"][change]["examples"]
    return given


def check_announcement(detail: Mapping[str, Any]) -> None:
    """Raise for an announcement that the schema does not describe to the last field."""
    change = detail.get("change")
    try:
        validator(STATE_CHANGE)(detail)
        _strict(str(change))(detail)
    except fastjsonschema.JsonSchemaException as refusal:
        raise AssertionError(f"{change} is not as docs/schemas/ has it: {refusal.message}\n{detail}") from refusal


def check_report(report: Mapping[str, Any]) -> None:
    """Raise for a report that the schema does not describe to the last field."""
    check_announcement(examples("CLOSED")[0] | {"report": report})


@cache
def _strict(change: str) -> Validator:
    """Return what also refuses fields that are not described."""
    whole = schema(STATE_CHANGE)
    definitions = whole["definitions"]
    own = definitions[change]
    rest = {name: part for name, part in definitions.items() if "type" in part}
    strict = {
        "type": "object",
        "properties": whole["properties"] | own["properties"],
        "required": [*whole["required"], *own.get("required", [])],
        "additionalProperties": False,
        "definitions": {name: {**copy.deepcopy(part), "additionalProperties": False} for name, part in rest.items()},
    }
    compiled: Validator = fastjsonschema.compile(strict)
    return compiled
