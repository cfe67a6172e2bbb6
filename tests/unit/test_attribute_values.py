"""DynamoDB's values: written as boto3 writes them, and read back as they were."""

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from hypothesis import given
from hypothesis import strategies as st

from breaker.attribute_values import plain, typed

NUMBERS = st.integers(-(10**37), 10**37) | st.floats(-1e15, 1e15, allow_nan=False).filter(lambda x: abs(x) > 1e-100)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(min_size=1), inner),
    max_leaves=10,
)


@given(VALUES)
def test_typed_value_comes_back_as_it_was(value: Any) -> None:
    assert plain(typed(value)) == value


@given(VALUES)
def test_typed_value_is_read_by_boto3_as_what_it_was(value: Any) -> None:
    assert _without_decimals(TypeDeserializer().deserialize(typed(value))) == value


@given(VALUES)
def test_plain_reads_what_boto3_writes(value: Any) -> None:
    exact = value if isinstance(value, bytes) else _with_decimals(value)
    assert plain(TypeSerializer().serialize(exact)) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("-7.0", -7), ("1E+2", 100), ("0.5", 0.5), (f"1{10**20}", int(f"1{10**20}"))],
)
def test_plain_number_is_whole_or_a_float(text: str, number: float) -> None:
    read = plain({"N": text})
    assert read == number
    assert type(read) is type(number)


def test_typed_number_is_text_as_dynamodb_wants_it() -> None:
    assert typed({"whole": 3, "part": 0.25, "yes": True}) == {
        "M": {"whole": {"N": "3"}, "part": {"N": "0.25"}, "yes": {"BOOL": True}}
    }


@pytest.mark.parametrize("value", [{1, 2}, object(), Decimal(1)])
def test_typed_value_that_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__}: a value must be"):
        typed([value])


def _with_decimals(value: Any) -> Any:
    if isinstance(value, float):
        return json.loads(json.dumps(value), parse_float=Decimal)
    if isinstance(value, list):
        return [_with_decimals(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _with_decimals(inner) for name, inner in value.items()}
    return value


def _without_decimals(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [_without_decimals(inner) for inner in value]
    if isinstance(value, dict):
        return {name: _without_decimals(inner) for name, inner in value.items()}
    return bytes(value) if type(value).__name__ == "Binary" else value
