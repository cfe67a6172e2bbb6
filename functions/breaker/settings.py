"""A circuit's settings: read from the strings CloudFormation sends, checked against the one JSON Schema."""

import re
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.validation import SchemaValidationError, validate

from breaker.errors import InvalidSetting
from breaker.ramp import read_steps
from breaker.settings_schema import SCHEMA

_PROPERTIES: dict[str, dict[str, Any]] = SCHEMA["properties"]
# Python's own int() and float() also read "nan", "inf", "1_0", " 30" and digits of other scripts.
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def read_settings(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Check `properties` and return them typed, with the defaults of the schema filled in.

    CloudFormation hands every number and boolean of a custom resource over as a string, so strings are read as the
    type the schema asks for.

    Raises
    ------
    InvalidSetting
        A setting is missing, unknown, mistyped or out of range. The message names field, value and rule.
    """
    unknown = sorted(set(properties) - set(_PROPERTIES))
    if unknown:
        field = unknown[0]
        raise InvalidSetting(f"{field}: {properties[field]!r} is not a setting; known are {', '.join(_PROPERTIES)}")
    for field in SCHEMA["required"]:
        if field not in properties:
            raise InvalidSetting(f"{field}: missing; {_PROPERTIES[field]['description']}")
    typed = {field: _typed(field, value) for field, value in properties.items()}
    try:
        checked = validate(event=typed, schema=SCHEMA)
    except SchemaValidationError as error:
        # The name of an item of a list ends in its place, which stays in what is said of it.
        place = str(error.name or "").rpartition(".")[2]
        field = place.partition("[")[0]
        rule = str(error.validation_message or "").replace(f"{error.name} ", "", 1)
        raise InvalidSetting(f"{place}: {error.value!r} {rule}. {_PROPERTIES[field]['description']}") from None
    assert isinstance(checked, dict)
    try:
        read_steps(checked["RampConcurrency"])
    except ValueError as error:
        description = _PROPERTIES["RampConcurrency"]["description"]
        raise InvalidSetting(f"RampConcurrency: {checked['RampConcurrency']!r} {error}. {description}") from None
    return checked


def _typed(field: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    kind = _PROPERTIES[field]["type"]
    try:
        if kind == "integer":
            return int(_number(value))
        if kind == "number":
            return float(_number(value))
        if kind == "boolean":
            return {"true": True, "false": False}[value.lower()]
    except (ValueError, KeyError):
        rule = "true or false" if kind == "boolean" else f"of type {kind}"
        raise InvalidSetting(f"{field}: {value!r} must be {rule}. {_PROPERTIES[field]['description']}") from None
    return value


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(text)
    return text
