"""A circuit's settings: every one of them missing, unknown, mistyped and out of range."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samtranslator.yaml_helper import yaml_parse

from breaker.errors import InvalidSetting
from breaker.settings import SCHEMA, read_settings

TEMPLATE = Path(__file__).resolve().parents[2] / "template.yaml"
PROPERTIES: dict[str, dict[str, Any]] = SCHEMA["properties"]
REQUIRED = {
    "CircuitName": "orders",
    "TargetFunction": "orders-target",
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:orders",
    "AlarmNames": ["orders-error-rate"],
}
# What says which pipeline it is. The template finds these by the names in its parameters.
PIPELINE = {"TargetFunction", "QueueArn", "MappingId", "Revision"}
NUMBERS = sorted(name for name, rule in PROPERTIES.items() if rule["type"] in ("integer", "number"))
BOOLEANS = sorted(name for name, rule in PROPERTIES.items() if rule["type"] == "boolean")
ENUMS = sorted(name for name, rule in PROPERTIES.items() if "enum" in rule)
TEXTS = sorted(name for name, rule in PROPERTIES.items() if rule["type"] == "string")


def refusal(**settings: Any) -> str:
    """Return the message with which the settings are refused."""
    with pytest.raises(InvalidSetting) as refused:
        read_settings({name: value for name, value in {**REQUIRED, **settings}.items() if value is not ...})
    return str(refused.value)


# Accepted


def test_read_settings_required_only_fills_in_every_default() -> None:
    settings = read_settings(REQUIRED)
    defaults = {name: rule["default"] for name, rule in PROPERTIES.items() if "default" in rule}
    assert settings == {**defaults, **REQUIRED}
    assert set(settings) == set(PROPERTIES)


def test_read_settings_does_not_change_what_it_was_given() -> None:
    given_settings = dict(REQUIRED)
    read_settings(given_settings)
    assert given_settings == REQUIRED


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("edge", ["minimum", "maximum"])
def test_read_settings_edge_of_the_range_is_accepted_as_text_and_as_number(field: str, edge: str) -> None:
    value = PROPERTIES[field][edge]
    assert read_settings({**REQUIRED, field: value})[field] == value
    assert read_settings({**REQUIRED, field: str(value)})[field] == value


@pytest.mark.parametrize("field", BOOLEANS)
@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("false", False), ("True", True), ("FALSE", False), (True, True)]
)
def test_read_settings_boolean_as_cloudformation_sends_it_is_read(field: str, text: Any, expected: bool) -> None:
    assert read_settings({**REQUIRED, field: text})[field] is expected


@pytest.mark.parametrize("field", ENUMS)
def test_read_settings_every_allowed_value_is_accepted(field: str) -> None:
    for value in PROPERTIES[field]["enum"]:
        assert read_settings({**REQUIRED, field: value})[field] == value


def test_read_settings_number_as_text_keeps_its_fraction() -> None:
    assert read_settings({**REQUIRED, "ProbeBackoffRate": "1.5"})["ProbeBackoffRate"] == 1.5


@given(st.integers(1, 86_400))
def test_read_settings_whole_number_as_text_is_read_exactly(seconds: int) -> None:
    assert read_settings({**REQUIRED, "FirstProbeSeconds": str(seconds)})["FirstProbeSeconds"] == seconds


# Refused, with field, value and rule


@pytest.mark.parametrize("field", sorted(REQUIRED))
def test_read_settings_missing_names_the_field_and_what_it_is(field: str) -> None:
    assert refusal(**{field: ...}) == f"{field}: missing; {PROPERTIES[field]['description']}"


def test_read_settings_unknown_names_field_value_and_what_is_known() -> None:
    message = refusal(FirstProbeSecond="30")
    assert message.startswith("FirstProbeSecond: '30' is not a setting; known are CircuitName, ")
    assert all(name in message for name in PROPERTIES)


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize(("edge", "step"), [("minimum", -1), ("maximum", 1)])
@pytest.mark.parametrize("as_text", [True, False])
def test_read_settings_out_of_range_names_field_value_and_bound(
    field: str, edge: str, step: int, as_text: bool
) -> None:
    bound = PROPERTIES[field][edge]
    message = refusal(**{field: str(bound + step) if as_text else bound + step})
    assert re.match(rf"{field}: {bound + step}(\.0)? must be ", message)
    assert f" {bound}" in message
    assert message.endswith(PROPERTIES[field]["description"])


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("text", ["", "many", "1,5", "3 0", " 30", "1_0", "0x10", "nan", "NaN", "inf", "-inf", "٣"])
def test_read_settings_text_that_is_no_number_names_field_value_and_type(field: str, text: str) -> None:
    message = refusal(**{field: text})
    assert message == (
        f"{field}: {text!r} must be of type {PROPERTIES[field]['type']}. {PROPERTIES[field]['description']}"
    )


@pytest.mark.parametrize("field", [name for name in NUMBERS if PROPERTIES[name]["type"] == "integer"])
@pytest.mark.parametrize("value", ["1.5", 1.5, True, None, [1], {"seconds": 1}])
def test_read_settings_no_whole_number_names_field_value_and_type(field: str, value: Any) -> None:
    message = refusal(**{field: value})
    assert message.startswith(f"{field}: {value!r} must be ")
    assert "integer" in message


@pytest.mark.parametrize("field", BOOLEANS)
@pytest.mark.parametrize("text", ["yes", "1", "", "on"])
def test_read_settings_text_that_is_no_boolean_names_the_two(field: str, text: str) -> None:
    assert refusal(**{field: text}).startswith(f"{field}: {text!r} must be true or false. ")


@pytest.mark.parametrize("field", BOOLEANS)
@pytest.mark.parametrize("value", [1, None, []])
def test_read_settings_no_boolean_names_field_value_and_type(field: str, value: Any) -> None:
    assert refusal(**{field: value}).startswith(f"{field}: {value!r} must be boolean. ")


@pytest.mark.parametrize("field", ENUMS)
@pytest.mark.parametrize("value", ["", "active", "SOMETHING"])
def test_read_settings_value_that_is_not_allowed_names_those_that_are(field: str, value: str) -> None:
    message = refusal(**{field: value})
    assert message.startswith(f"{field}: {value!r} must be one of ")
    assert all(allowed in message for allowed in PROPERTIES[field]["enum"])


@pytest.mark.parametrize("field", TEXTS)
@pytest.mark.parametrize("value", [7, None, ["a"], {"Ref": "Name"}])
def test_read_settings_no_text_names_the_field_and_value(field: str, value: Any) -> None:
    assert refusal(**{field: value}).startswith(f"{field}: {value!r} must be ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("CircuitName", ""),
        ("CircuitName", "1orders"),
        ("CircuitName", "orders!"),
        ("CircuitName", "a" * 41),
        ("TargetFunction", ""),
        ("TargetFunction", "orders target"),
        ("TargetFunction", "a" * 257),
        ("QueueArn", "orders"),
        ("QueueArn", "https://sqs.us-east-1.amazonaws.com/123456789012/orders"),
        ("QueueArn", "arn:aws:sns:us-east-1:123456789012:orders"),
        ("QueueArn", "arn:aws:sqs:us-east-1:123456789012:orders.fifo.fifo"),
        ("MappingId", "orders-mapping"),
    ],
)
def test_read_settings_text_against_its_pattern_names_field_and_value(field: str, value: str) -> None:
    message = refusal(**{field: value})
    assert message.startswith(f"{field}: {value!r} must ")
    assert message.endswith(PROPERTIES[field]["description"])


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([], "AlarmNames: [] must "),
        ("errors", "AlarmNames: 'errors' must "),
        ([""], "AlarmNames[0]: '' must "),
        (["errors", "a" * 256], "AlarmNames[1]: 'aaa"),
        (["errors", "errors"], "AlarmNames: ['errors', 'errors'] must "),
        ([f"alarm-{n}" for n in range(6)], "AlarmNames: ['alarm-0', "),
    ],
)
def test_read_settings_alarm_names_are_one_to_five_different_ones(names: Any, said: str) -> None:
    message = refusal(AlarmNames=names)
    assert message.startswith(said)
    assert message.endswith(PROPERTIES["AlarmNames"]["description"])
    five = [f"alarm-{n}" for n in range(5)]
    assert read_settings({**REQUIRED, "AlarmNames": five})["AlarmNames"] == five


@pytest.mark.parametrize("name", ["orders\n", "orders\n\n"])
def test_read_settings_line_break_after_a_name_is_refused(name: str) -> None:
    assert refusal(CircuitName=name).startswith("CircuitName: ")


# The template


def _parameters() -> dict[str, dict[str, Any]]:
    parameters: dict[str, dict[str, Any]] = yaml_parse(TEMPLATE.read_text())["Parameters"]
    return parameters


def _template_settings() -> list[str]:
    return sorted(set(_parameters()) & set(PROPERTIES) - PIPELINE)


def test_template_offers_every_setting_as_a_parameter_or_names_its_own_part() -> None:
    circuit = yaml_parse(TEMPLATE.read_text())["Resources"]["Circuit"]["Properties"]
    assert set(circuit) - {"ServiceToken"} == set(PROPERTIES)
    assert set(PROPERTIES) - set(_template_settings()) == PIPELINE | {"AlarmNames"}


@pytest.mark.parametrize("name", sorted(set(_template_settings()) - {"CircuitName", *PIPELINE}))
def test_template_parameter_has_the_settings_default_and_bounds(name: str) -> None:
    parameter, rule = _parameters()[name], PROPERTIES[name]
    assert read_settings({**REQUIRED, name: str(parameter["Default"])})[name] == rule["default"]
    assert parameter.get("MinValue") == rule.get("minimum")
    assert parameter.get("MaxValue") == rule.get("maximum")
    if "enum" in rule:
        assert parameter["AllowedValues"] == rule["enum"]
    if rule["type"] == "boolean":
        assert parameter["AllowedValues"] == ["true", "false"]


def test_template_circuit_name_has_the_settings_pattern() -> None:
    assert _parameters()["CircuitName"]["AllowedPattern"] == PROPERTIES["CircuitName"]["pattern"]
