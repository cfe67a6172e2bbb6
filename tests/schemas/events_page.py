"""Writes docs/events.md from the schemas, so that there is one place for what the breaker publishes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tests.schemas.schema_files import EXECUTION_INPUT, REPOSITORY, STATE_CHANGE, TRIP_REQUESTED, changes, schema

PAGE = REPOSITORY / "docs" / "events.md"
WRITE_IT = "python -m tests.schemas"
SOURCE = "sqs-circuit-breaker"
DETAIL_TYPE = "Circuit State Change"

_INTRODUCTION = """\
# Events

Every change of a circuit is an event on the account's default bus: source `sqs-circuit-breaker`, detail-type
`Circuit State Change`. The same document is a log line, and the end of each notification. It never holds content of a
message, nor the target's error text.

[schemas/circuit-state-change.schema.json](schemas/circuit-state-change.schema.json) describes it as JSON Schema, and is
the one place where its version and its fields stand. This page is written from it. Every event that the tests see is
held to it.

EventBridge delivers at least once, and in any order: `circuit` and `sequence` put events in order. A failure to send an
event never stops the breaker; it is an error in the log and the metric `AnnouncementFailed`.

## Versions

`version` is a number in a string. It stays the same while what you read goes on to be right:

| without a new version | only with a new version |
| --- | --- |
| a new change, field, outcome, kind of cause or command | a field is renamed, moved or removed |
| a field that is there more often than before | a field that was always there is not any more |
| other words in `reason` and `answer` | another type, unit or meaning of a field |

So leave out of account what you do not know, match on `change` and not on words, and expect `null` where the tables say
so. The report has a `version` of its own, by the same rules.

## A rule to copy

Targets of a rule get the whole event; `detail` is what this page describes. This pattern matches the ends of all
incidents of one circuit:

"""


def page() -> str:
    """Return the page."""
    whole = schema(STATE_CHANGE)
    lines = [_INTRODUCTION + _line(_pattern("CLOSED", circuit="orders")), "", "## Every event", ""]
    lines += [*_table(whole), "", "## Changes", "", "| change | when |", "| --- | --- |"]
    lines += [f"| [{change}](#{change.lower()}) | {_definition(change)['description']} |" for change in changes()]
    for change in changes():
        lines += ["", *_section(change)]
    lines += ["", "## The incident report", "", *_REPORT, "", *_table(whole["definitions"]["report"])]
    lines += ["", "## A trip", "", "What opened the circuit.", "", *_table(whole["definitions"]["trip"])]
    lines += ["", "## A probe", "", *_table(whole["definitions"]["probe"])]
    lines += ["", *_inputs()]
    return "\n".join(lines) + "\n"


_REPORT = (
    "The field `report` of CLOSED, and of GAVE_UP with STAY_OPEN. It is also the output of the execution that ends",
    "the incident.",
    "",
    "- What is *counted* stands in the circuit's record. It is exact, but for a step that was killed between its work",
    "  and its note.",
    "- What is *as CloudWatch saw it* was asked for once, as the report was written: whole metric minutes that",
    "  CloudWatch showed by then. The last minute or two may be missing.",
    "- `null` is not 0: nobody knows. After a removal, and for an incident longer than 14 days less 3 hours, all of",
    "  CloudWatch's figures are `null`.",
)


def _section(change: str) -> Iterator[str]:
    definition = _definition(change)
    yield from (f"### {change}", "", definition["description"])
    if definition["properties"]:
        yield from ("", *_table(definition))
    yield from ("", _line(_pattern(change)))
    for example in definition["examples"]:
        yield from ("", _block(example))


def _inputs() -> Iterator[str]:
    requested, start = schema(TRIP_REQUESTED), schema(EXECUTION_INPUT)
    yield from ("## What opens a circuit, and commands", "")
    yield from (
        f"[schemas/{TRIP_REQUESTED}.schema.json](schemas/{TRIP_REQUESTED}.schema.json): {requested['description']}",
        "",
        _block({"Source": "shop.payments", "DetailType": "Circuit Trip Requested", "Detail": requested["examples"][0]}),
        "",
        f"[schemas/{EXECUTION_INPUT}.schema.json](schemas/{EXECUTION_INPUT}.schema.json): {start['description']}",
        "[operations.md](operations.md) has what each command does. A document that is refused fails its execution",
        "with `InvalidTrip`, which names field, value and rule. A field that the schema does not name is refused, too.",
    )
    for definition in start["definitions"].values():
        yield from ("", definition["description"])
        for example in definition["examples"]:
            yield from ("", _block(example))


def _definition(change: str) -> dict[str, Any]:
    found: dict[str, Any] = schema(STATE_CHANGE)["definitions"][change]
    return found


def _table(part: Mapping[str, Any]) -> Iterator[str]:
    definitions = schema(STATE_CHANGE)["definitions"]
    yield from ("| field | is | meaning |", "| --- | --- | --- |")
    for name, field in part["properties"].items():
        if "$ref" in field:
            target = field["$ref"].rpartition("/")[2]
            anchor = {"report": "the-incident-report", "trip": "a-trip", "probe": "a-probe"}[target]
            yield f"| `{name}` | object | {definitions[target]['description']} See [below](#{anchor}). |"
            continue
        optional = "" if name in part.get("required", []) else ", not always there"
        yield f"| `{name}` | {_type(field)}{optional} | {field['description']} |"


def _type(field: Mapping[str, Any]) -> str:
    if "const" in field:
        return _value(field["const"])
    if "enum" in field:
        return ", ".join(map(_value, field["enum"]))
    types = field["type"] if isinstance(field["type"], list) else [field["type"]]
    if field["type"] == "array":
        return f"array of {_type(field['items'])}"
    names = {"string": "time" if field.get("format") == "date-time" else "string", "integer": "whole number"}
    return " or ".join(names.get(kind, f"`{kind}`") for kind in types)


def _value(value: str | None) -> str:
    # A string without its quotes, as people write it, if there is anything left of it then.
    return f"`{value or json.dumps(value)}`"


def _pattern(change: str, **more: str) -> dict[str, Any]:
    detail = {"change": [change], **{name: [value] for name, value in more.items()}}
    return {"source": [SOURCE], "detail-type": [DETAIL_TYPE], "detail": detail}


def _block(document: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(document, indent=2)}\n```"


def _line(document: Mapping[str, Any]) -> str:
    return f"```json\n{json.dumps(document)}\n```"
