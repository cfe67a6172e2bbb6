"""Which messages the mapping would drop.

The rules and the examples: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html,
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html and https://github.com/aws/event-ruler.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.filtering import UnknownPattern, check_filters, is_dropped


def record(body: Any = "{}", **fields: Any) -> dict[str, Any]:
    """Return a Lambda record with this body: a text as it is, anything else as JSON."""
    return {
        "messageId": "059f36b4-87a3-44ab-83d2-661975830a7d",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "tenant-1"},
        "messageAttributes": {"kind": {"stringValue": "gift", "dataType": "String"}},
        "eventSource": "aws:sqs",
        **fields,
    }


def passes(pattern: Any, received: dict[str, Any]) -> bool:
    """Return whether one pattern, which must be understood, lets a record through."""
    text = pattern if isinstance(pattern, str) else json.dumps(pattern)
    check_filters([text])
    return not is_dropped(received, [text])


# Operators

DOCUMENTED = [
    # Lambda's table of operators: rule, a body that matches, one that does not.
    ("null", '{"UserID": [null]}', '{"UserID": null}', '{"UserID": "x"}'),
    ("null is not missing", '{"UserID": [null]}', '{"UserID": null}', "{}"),
    ("empty", '{"LastName": [""]}', '{"LastName": ""}', '{"LastName": "x"}'),
    ("equals", '{"Name": ["Alice"]}', '{"Name": "Alice"}', '{"Name": "alice"}'),
    ("ignore case", '{"Name": [{"equals-ignore-case": "alice"}]}', '{"Name": "ALICE"}', '{"Name": "Alic"}'),
    (
        "and",
        '{"Location": ["New York"], "Day": ["Monday"]}',
        '{"Location": "New York", "Day": "Monday"}',
        '{"Location": "New York"}',
    ),
    ("or", '{"PaymentType": ["Credit", "Debit"]}', '{"PaymentType": "Debit"}', '{"PaymentType": "Cash"}'),
    (
        "or of fields",
        '{"$or": [{"Location": ["New York"]}, {"Day": ["Monday"]}]}',
        '{"Day": "Monday"}',
        '{"Day": "Friday"}',
    ),
    ("not", '{"Weather": [{"anything-but": ["Raining"]}]}', '{"Weather": "Dry"}', '{"Weather": "Raining"}'),
    ("not needs a value", '{"Weather": [{"anything-but": ["Raining"]}]}', '{"Weather": null}', "{}"),
    ("numeric equals", '{"Price": [{"numeric": ["=", 100]}]}', '{"Price": 1.0e2}', '{"Price": 101}'),
    ("numeric range", '{"Price": [{"numeric": [">", 10, "<=", 20]}]}', '{"Price": 20}', '{"Price": 10}'),
    ("numeric is no text", '{"Price": [{"numeric": [">", 10]}]}', '{"Price": 11}', '{"Price": "11"}'),
    ("exists", '{"ProductName": [{"exists": true}]}', '{"ProductName": null}', "{}"),
    ("exists on leaves only", '{"p": [{"exists": true}]}', '{"p": 1}', '{"p": {"address": 1}}'),
    ("does not exist", '{"ProductName": [{"exists": false}]}', "{}", '{"ProductName": "x"}'),
    ("does not exist below nothing", '{"a": {"b": [{"exists": false}]}}', '{"c": 1}', '{"a": {"b": 1}}'),
    ("begins with", '{"Region": [{"prefix": "us-"}]}', '{"Region": "us-east-1"}', '{"Region": "eu-us-1"}'),
    ("ends with", '{"FileName": [{"suffix": ".png"}]}', '{"FileName": "a.png"}', '{"FileName": "a.png.txt"}'),
    # "300, 300.0, and 3.0e2 are not considered equal."
    ("numbers by their text", '{"n": [300]}', '{"n": 300}', '{"n": 300.0}'),
    ("numbers by their exponent", '{"n": [3.0e2]}', '{"n": 3.0e2}', '{"n": 300}'),
    ("number is no text", '{"n": [300]}', '{"n": 300}', '{"n": "300"}'),
    ("true is not one", '{"n": [true]}', '{"n": true}', '{"n": 1}'),
    # Lambda's examples for SQS.
    ("request code", '{"RequestCode": ["BBBB"]}', '{"RequestCode": "BBBB"}', '{"RequestCode": "AAAA"}'),
    (
        "record number",
        '{"RecordNumber": [{"numeric": [">", 9999]}]}',
        '{"RecordNumber": 10000}',
        '{"RecordNumber": 9999}',
    ),
    # Event Ruler: anything-but, arrays, $or.
    ("not a prefix", '{"s": [{"anything-but": {"prefix": "init"}}]}', '{"s": "done"}', '{"s": "initial"}'),
    ("not a suffix", '{"s": [{"anything-but": {"suffix": "ing"}}]}', '{"s": "done"}', '{"s": "running"}'),
    ("not a number", '{"n": [{"anything-but": 123}]}', '{"n": 124}', '{"n": 123}'),
    ("not these numbers", '{"n": [{"anything-but": [100, 200]}]}', '{"n": 300}', '{"n": 200.0}'),
    ("any element", '{"r": ["b"]}', '{"r": ["a", ["b"]]}', '{"r": ["a"]}'),
    ("no element", '{"r": [{"exists": true}]}', '{"r": ["a"]}', '{"r": []}'),
    (
        "one element has all",
        '{"r": {"a": [1], "b": [2]}}',
        '{"r": [{"a": 0}, {"a": 1, "b": 2}]}',
        '{"r": [{"a": 1}, {"b": 2}]}',
    ),
    ("no element has it", '{"r": {"a": [{"exists": false}]}}', '{"r": [{"b": 1}]}', '{"r": [{"b": 1}, {"a": 1}]}'),
    ("and with or", '{"s": ["x"], "$or": [{"a": [1]}, {"b": [2]}]}', '{"s": "x", "b": 2}', '{"b": 2}'),
    (
        "or in or",
        '{"$or": [{"s": ["x"]}, {"t": ["y"], "$or": [{"a": [1]}, {"b": [2]}]}]}',
        '{"t": "y", "a": 1}',
        '{"t": "y", "a": 2}',
    ),
    ("comparisons", '{"n": [{"numeric": ["<", 5]}, {"numeric": [">=", 7, "<", 9]}]}', '{"n": 7}', '{"n": 5}'),
    ("at most", '{"n": [{"numeric": ["<=", -5]}]}', '{"n": -5.0}', '{"n": -4.99}'),
    ("beyond what is compared", '{"n": [{"numeric": [">", 5]}]}', '{"n": 5000000000}', '{"n": 5000000001}'),
    ("beyond all numbers", '{"n": [{"numeric": [">", 5]}]}', '{"n": 6}', '{"n": 1e99999999999999999999}'),
]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"), [row[1:] for row in DOCUMENTED], ids=[row[0] for row in DOCUMENTED]
)
def test_is_dropped_documented_rule_lets_through_what_matches_only(pattern: str, good: str, bad: str) -> None:
    pattern = f'{{"body": {pattern}}}'
    assert passes(pattern, record(good))
    assert not passes(pattern, record(bad))


@pytest.mark.parametrize("operator", ["prefix", "suffix", "equals-ignore-case"])
@pytest.mark.parametrize("value", [1, True, None, {"x": "x"}, []])
def test_is_dropped_rule_for_texts_takes_nothing_else(operator: str, value: Any) -> None:
    assert not passes({"body": {"k": [{operator: "x"}]}}, record({"k": value}))


# The body's format, the table of "Properly filtering Amazon SQS messages"


@pytest.mark.parametrize(
    ("body", "pattern", "through"),
    [
        ("Result: 5", {"body": [{"prefix": "Result: "}]}, True),
        ("Answer: 5", {"body": [{"prefix": "Result: "}]}, False),
        ("Result: 5", {"eventSource": ["aws:sqs"]}, True),
        ("Result: 5", {"body": {"k": [{"exists": False}]}}, False),
        ('{"k": 1}', {"body": ['{"k": 1}']}, False),
        ('"text"', {"body": [{"suffix": '"'}]}, False),
        ("5", {"body": [{"exists": True}]}, False),
        ('{"k": 1}', {"eventSource": ["aws:sqs"]}, True),
        ('{"k": 1}', {"body": {"k": [1]}}, True),
        ('[{"k": 1}]', {"body": {"k": [1]}}, True),
        ('{"k": 1} and more', {"body": {"k": [1]}}, False),
        ('{"k": NaN}', {"body": {"k": [{"exists": True}]}}, False),
        ("", {"body": [""]}, True),
    ],
)
def test_is_dropped_body_must_have_the_format_of_its_pattern(body: str, pattern: Any, through: bool) -> None:
    assert passes(pattern, record(body)) is through


@pytest.mark.parametrize(
    "body", ['{"k": ' + "[" * 5000 + "]" * 5000 + "}", "[" * 200_000, '{"a":' * 900 + "1" + "}" * 900]
)
def test_is_dropped_body_nested_too_deep_is_not_sent_on_a_guess(body: str) -> None:
    assert not passes({"body": {"k": ["x"]}}, record(body))


# Other fields, and several patterns


@pytest.mark.parametrize(
    ("pattern", "through"),
    [
        ({"messageAttributes": {"kind": {"stringValue": ["gift"]}}}, True),
        ({"messageAttributes": {"kind": {"stringValue": ["sale"]}}}, False),
        ({"messageAttributes": {"kind": {"stringValue": ["gift"]}}, "body": {"k": [1]}}, False),
        ({"attributes": {"MessageGroupId": [{"prefix": "tenant-"}]}}, True),
        ({"messageId": [{"anything-but": "x"}]}, True),
        ({"$or": [{"messageId": ["x"]}, {"body": {"k": [2]}}]}, True),
        # The body has to be JSON for one alternative, so a text would be dropped whatever the other says.
        ({"$or": [{"eventSource": ["aws:sqs"]}, {"body": ["a text"]}]}, False),
    ],
)
def test_is_dropped_other_fields_are_compared_like_the_body(pattern: Any, through: bool) -> None:
    assert passes(pattern, record({"k": 2})) is through


def test_is_dropped_one_of_several_patterns_is_enough() -> None:
    filters = [json.dumps({"body": {"kind": [kind]}}) for kind in ("gift", "sale")]
    assert not is_dropped(record({"kind": "sale"}), filters)
    assert is_dropped(record({"kind": "loan"}), filters)
    # Each has its own format of the body.
    assert not is_dropped(record("a text"), [*filters, '{"body": ["a text"]}'])


def test_is_dropped_without_filters_nothing_is() -> None:
    assert not is_dropped(record("anything"), [])


# What is not understood is refused


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("{not json", "must be JSON"),
        ("[" * 100_000, "must not be nested that deep"),
        ('{"a":' * 1000 + "[1]" + "}" * 1000, "must not be nested that deep"),
        ('{"body": {"n": [NaN]}}', "must be JSON"),
        ("[]", "the pattern must be a JSON object"),
        ("{}", "the pattern must be a JSON object that is not empty"),
        ('{"body": {}}', "'body' must be a JSON object that is not empty"),
        ('{"body": []}', "'body' must be a list that is not empty"),
        ('{"body": "text"}', "'body' must be a list"),
        ('{"body": {"k": 1}}', "'k' must be a list"),
        ('{"body": {"k": [["x"]]}}', "'k' must not have a list in its list"),
        ('{"kind": ["gift"]}', "'kind' must be a field of an SQS record"),
        ('{"body": {"k": [{"wildcard": "a*"}]}}', "'k' must use one operator"),
        ('{"body": {"k": [{"cidr": "10.0.0.0/8"}]}}', "'k' must use one operator"),
        ('{"body": {"k": [{}]}}', "'k' must use one operator"),
        ('{"body": {"k": [{"prefix": "a", "suffix": "b"}]}}', "'k' must use one operator"),
        ('{"body": {"k": [{"prefix": 1}]}}', "operand of 'prefix'"),
        ('{"body": {"k": [{"prefix": {"equals-ignore-case": "a"}}]}}', "operand of 'prefix'"),
        ('{"body": {"k": [{"exists": "true"}]}}', "operand of 'exists'"),
        ('{"body": {"k": [{"anything-but": []}]}}', "operand of 'anything-but'"),
        ('{"body": {"k": [{"anything-but": ["a", 1]}]}}', "operand of 'anything-but'"),
        ('{"body": {"k": [{"anything-but": null}]}}', "operand of 'anything-but'"),
        ('{"body": {"k": [{"anything-but": {"wildcard": "a*"}}]}}', "operand of 'anything-but'"),
        ('{"body": {"k": [{"anything-but": {"prefix": ["a", "b"]}}]}}', "operand of 'anything-but'"),
        ('{"body": {"k": [{"numeric": 5}]}}', "operand of 'numeric'"),
        ('{"body": {"k": [{"numeric": ["=", "5"]}]}}', "operand of 'numeric'"),
        ('{"body": {"k": [{"numeric": ["!=", 5]}]}}', "operand of 'numeric'"),
        ('{"body": {"k": [{"numeric": [{}, 5]}]}}', "operand of 'numeric'"),
        ('{"body": {"k": [{"numeric": ["<", 5, ">", 1]}]}}', "operand of 'numeric'"),
        ('{"body": {"k": [{"numeric": [">", 6e9]}]}}', "operand of 'numeric'"),
        ('{"body": {"$or": [{"a": [1]}]}}', "'$or' must be a list of at least two objects"),
        ('{"body": {"$or": {"a": [1]}}}', "'$or' must be a list of at least two objects"),
        ('{"body": {"$or": [{"a": [1]}, {}]}}', "'$or' must be a JSON object that is not empty"),
        ('{"body": {"$or": [{"a": [1]}, {"prefix": ["x"]}]}}', "'$or' must name fields, not the operator 'prefix'"),
        ('{"$or": [{"body": ["a"]}, {"kind": ["x"]}]}', "'kind' must be a field of an SQS record"),
    ],
)
def test_check_filters_pattern_not_understood_is_refused_by_name(pattern: str, part: str) -> None:
    with pytest.raises(UnknownPattern) as refused:
        check_filters(['{"body": ["fine"]}', pattern])
    assert part in str(refused.value)


# Properties

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("abÄ", max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
RULES = (
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text("abÄ", max_size=3)
    | st.builds(
        lambda operator, operand: {operator: operand},
        st.sampled_from(["prefix", "suffix", "equals-ignore-case", "anything-but"]),
        st.text("abÄ", max_size=2),
    )
    | st.builds(lambda bound: {"numeric": ["<", bound]}, st.integers(-9, 9))
    | st.builds(lambda exists: {"exists": exists}, st.booleans())
)
PATTERNS = st.recursive(
    st.dictionaries(st.sampled_from("abc"), st.lists(RULES, min_size=1, max_size=2), min_size=1, max_size=2),
    lambda inner: (
        st.dictionaries(st.sampled_from("abc"), inner, min_size=1, max_size=2)
        | st.builds(lambda one, other: {"$or": [one, other]}, inner, inner)
    ),
    max_leaves=4,
).map(lambda pattern: {"body": pattern})


@given(pattern=PATTERNS, body=VALUES)
def test_is_dropped_any_pattern_understood_decides_any_body(pattern: Any, body: Any) -> None:
    assert passes(pattern, record(body)) in (True, False)


@given(pattern=PATTERNS, text=st.text(max_size=5))
def test_is_dropped_any_text_is_dropped_by_a_pattern_for_json(pattern: Any, text: str) -> None:
    assert not passes(pattern, record("{" + text))


@given(patterns=st.lists(PATTERNS, min_size=1, max_size=3), body=VALUES)
def test_is_dropped_several_patterns_are_an_or(patterns: list[Any], body: Any) -> None:
    texts = [json.dumps(pattern) for pattern in patterns]
    each = [is_dropped(record(body), [text]) for text in texts]
    assert is_dropped(record(body), texts) is all(each)


@given(one=PATTERNS, other=PATTERNS, body=VALUES)
def test_is_dropped_or_inside_a_pattern_is_the_or_of_two(one: Any, other: Any, body: Any) -> None:
    joined = {"body": {"$or": [one["body"], other["body"]]}}
    apart = passes(one, record(body)) or passes(other, record(body))
    assert not isinstance(body, dict) or passes(joined, record(body)) is apart


@given(one=PATTERNS, other=PATTERNS, body=VALUES)
def test_is_dropped_more_conditions_never_let_more_through(one: Any, other: Any, body: Any) -> None:
    both = {"body": {**one["body"], **other["body"]}}
    if not set(one["body"]) & set(other["body"]) and passes(both, record(body)) and isinstance(body, dict):
        assert passes(one, record(body))
        assert passes(other, record(body))


@given(body=st.dictionaries(st.sampled_from("abc"), st.text("xyz"), min_size=1), data=st.data())
def test_is_dropped_exact_pattern_of_a_message_lets_it_through_until_a_value_changes(
    body: Any, data: st.DataObject
) -> None:
    pattern = {"body": {name: [value] for name, value in body.items()}}
    assert passes(pattern, record({**body, "another": 1}))
    changed = data.draw(st.sampled_from(sorted(body)))
    assert not passes(pattern, record({**body, changed: body[changed] + "!"}))
