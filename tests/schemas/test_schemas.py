"""The published schemas: one with the code, strict enough to catch a change, and docs/events.md written from them."""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import fastjsonschema
import pytest
from moto.events.models import EventPattern

from breaker.announcements import ANNOUNCEMENT_VERSION, EVENT_DETAIL_TYPE, EVENT_SOURCE, Announcement, Change
from breaker.commands import MODES, Command
from breaker.errors import InvalidTrip
from breaker.incident_report import REPORT_VERSION
from breaker.settings import SCHEMA as SETTINGS
from breaker.trip import CUSTOM_DETAIL_TYPE, MAX_REASON_CHARACTERS, TripKind, read_trip
from tests.schemas import events_page
from tests.schemas.schema_files import (
    EXECUTION_INPUT,
    FOLDER,
    STATE_CHANGE,
    TRIP_REQUESTED,
    changes,
    check_announcement,
    examples,
    schema,
    validator,
)

ALL = (STATE_CHANGE, TRIP_REQUESTED, EXECUTION_INPUT)
NOW = datetime(2026, 3, 1, 12, 2, tzinfo=UTC)
EVERY_EXAMPLE = [(change, example) for change in changes() for example in examples(change)]


def inputs() -> list[dict[str, Any]]:
    """Return the described examples of what an execution is started with."""
    return [example for part in schema(EXECUTION_INPUT)["definitions"].values() for example in part["examples"]]


# One with the code --------------------------------------------------------------------------------------------------


def test_schemas_are_those_that_are_tested() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in ALL}


def test_schema_of_a_change_names_version_and_changes_of_the_code() -> None:
    whole = schema(STATE_CHANGE)
    assert whole["properties"]["version"]["const"] == ANNOUNCEMENT_VERSION
    assert whole["definitions"]["report"]["properties"]["version"]["const"] == REPORT_VERSION
    assert changes() == [*dict.fromkeys(changes())]
    assert set(changes()) == set(Change)
    assert {part["then"]["$ref"] for part in whole["allOf"]} == {f"#/definitions/{change}" for change in Change}


def test_schema_of_a_change_names_the_commands_and_kinds_of_the_code() -> None:
    definitions = schema(STATE_CHANGE)["definitions"]
    assert set(definitions["trip"]["properties"]["kind"]["enum"]) == set(TripKind)
    assert set(definitions["COMMANDED"]["properties"]["command"]["enum"]) == set(Command) - {"STATUS"}
    assert set(definitions["COMMANDED"]["properties"]["mode_before"]["enum"]) == MODES
    assert definitions["GAVE_UP"]["properties"]["then"]["enum"] == SETTINGS["properties"]["OnGiveUp"]["enum"]


def test_schema_of_inputs_names_the_commands_and_bounds_of_the_code() -> None:
    definitions = schema(EXECUTION_INPUT)["definitions"]
    named = {definitions[part]["properties"]["command"]["const"] for part in ("open", "status")}
    assert named | set(definitions["command"]["properties"]["command"]["enum"]) == set(Command)
    assert definitions["open"]["properties"]["reason"]["maxLength"] == MAX_REASON_CHARACTERS
    assert definitions["requested"]["properties"]["cause"]["properties"]["detail-type"]["const"] == CUSTOM_DETAIL_TYPE


def test_schema_example_is_what_the_code_would_announce() -> None:
    for change, example in EVERY_EXAMPLE:
        announcement = Announcement(
            example["circuit"],
            example["incident"],
            example["sequence"],
            Change(change),
            example["from"],
            example["to"],
            example["reason"],
        )
        common = set(announcement.detail())
        assert common == set(schema(STATE_CHANGE)["required"]) == set(schema(STATE_CHANGE)["properties"])
        check_announcement(announcement.detail() | {k: v for k, v in example.items() if k not in common})


# Strict enough ------------------------------------------------------------------------------------------------------


def test_schema_every_field_has_a_description() -> None:
    definitions = schema(STATE_CHANGE)["definitions"]
    for part in (schema(STATE_CHANGE), *definitions.values()):
        for name, field in part["properties"].items():
            assert "$ref" in field or len(field["description"]) >= 4, name


@pytest.mark.parametrize(("change", "example"), EVERY_EXAMPLE)
def test_schema_refuses_an_example_without_any_one_of_its_fields(change: str, example: dict[str, Any]) -> None:
    check_announcement(example)
    for field in example:
        if field in ("until", "mode_before"):
            continue
        with pytest.raises((AssertionError, KeyError)):
            check_announcement({name: value for name, value in example.items() if name != field})


@pytest.mark.parametrize(("change", "example"), EVERY_EXAMPLE)
def test_schema_refuses_another_type_of_any_field(change: str, example: dict[str, Any]) -> None:
    for field in example:
        with pytest.raises((AssertionError, KeyError)):
            check_announcement(example | {field: {"surely": "not"}})


def test_schema_lets_a_field_be_added_where_it_is_published_and_not_in_the_tests() -> None:
    for place in ((), ("report",), ("report", "cause")):
        longer = copy.deepcopy(examples("CLOSED")[0])
        part: dict[str, Any] = longer
        for name in place:
            part = part[name]
        part["new"] = 1
        validator(STATE_CHANGE)(longer)
        with pytest.raises(AssertionError, match="CLOSED is not as"):
            check_announcement(longer)


def test_schema_gave_up_needs_a_report_only_where_the_circuit_stays_open() -> None:
    example = examples("GAVE_UP")[0]
    without = {name: value for name, value in example.items() if name != "report"}
    validator(STATE_CHANGE)(without | {"then": "CLOSE"})
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator(STATE_CHANGE)(without)


# What starts an execution -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", inputs())
def test_input_example_is_accepted_by_the_breaker(document: dict[str, Any]) -> None:
    validator(EXECUTION_INPUT)(document)
    assert read_trip(document, now=NOW).circuit == "orders"


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"circuit": "", "command": "STATUS"},
        {"circuit": "orders"},
        {"circuit": "orders", "command": "EXPLODE", "reason": "x"},
        {"circuit": "orders", "command": "CLOSE"},
        {"circuit": "orders", "command": "CLOSE", "reason": "  "},
        {"circuit": "orders", "command": "CLOSE", "reason": "x" * 501},
        {"circuit": "orders", "command": "CLOSE", "reason": "x", "for_minutes": 5},
        {"circuit": "orders", "command": "CLOSE", "reason": "x", "force": True},
        {"circuit": "orders", "command": "OPEN", "reason": "x", "for_minutes": 0},
        {"circuit": "orders", "command": "OPEN", "reason": "x", "for_minutes": 20_161},
        {"circuit": "orders", "command": "OPEN", "reason": "x", "for_minutes": 1, "until": "2026-03-01T13:00:00Z"},
        {"circuit": "orders", "command": "OPEN", "reason": "x", "until": "tomorrow"},
        {"circuit": "orders", "resume": ""},
        {"circuit": "orders", "resume": "orders-1", "errors_go_on": "x"},
        {"circuit": "orders", "cause": {"detail-type": "Circuit Trip Requested"}},
        {"circuit": "orders", "cause": {"source": "aws.ec2", "detail-type": "Spot", "time": "x", "detail": {}}},
    ],
)
def test_input_that_the_breaker_refuses_is_refused_by_the_schema(document: Any) -> None:
    with pytest.raises(InvalidTrip):
        read_trip(document, now=NOW)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator(EXECUTION_INPUT)(document)


def test_trip_request_example_is_what_the_rule_asks_for() -> None:
    (example,) = schema(TRIP_REQUESTED)["examples"]
    validator(TRIP_REQUESTED)(example)
    for wrong in ({}, {"circuit": ""}, {"circuit": 1}):
        with pytest.raises(fastjsonschema.JsonSchemaException):
            validator(TRIP_REQUESTED)(wrong)


# The page -----------------------------------------------------------------------------------------------------------


def test_page_is_written_from_the_schemas() -> None:
    assert events_page.PAGE.read_text() == events_page.page(), f"write it anew: {events_page.WRITE_IT}"


def test_page_has_every_change_and_field() -> None:
    text = events_page.PAGE.read_text()
    for change in Change:
        assert f"\n### {change}\n" in text
    for part in (schema(STATE_CHANGE), *schema(STATE_CHANGE)["definitions"].values()):
        for field in part["properties"]:
            assert f"| `{field}` |" in text


def test_page_patterns_match_their_change_and_no_other() -> None:
    assert (events_page.SOURCE, events_page.DETAIL_TYPE) == (EVENT_SOURCE, EVENT_DETAIL_TYPE)
    blocks = [block.partition("\n```")[0] for block in events_page.PAGE.read_text().split("```json\n")[1:]]
    patterns = [pattern for pattern in map(json.loads, blocks) if "source" in pattern]
    assert len(patterns) == len(Change) + 1
    for pattern in patterns:
        matched = {
            example["change"]
            for _, example in EVERY_EXAMPLE
            if EventPattern.load(json.dumps(pattern)).matches_event(
                {"source": EVENT_SOURCE, "detail-type": EVENT_DETAIL_TYPE, "detail": example}
            )
        }
        assert matched == set(pattern["detail"]["change"])
