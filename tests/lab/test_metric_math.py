import pytest

from lab.metric_math import UnsupportedExpression, parse

ERROR_RATE = "IF(invocations >= 5, 100 * errors / invocations, 0)"


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        (ERROR_RATE, {"invocations": 10.0, "errors": 9.0}, 90.0),
        (ERROR_RATE, {"invocations": 4.0, "errors": 4.0}, 0.0),
        ("1 + 2 * 3 - 4 / 2", {}, 5.0),
        ("-(a - b)", {"a": 1.0, "b": 3.0}, 2.0),
        ("a > b", {"a": 1.0, "b": 3.0}, 0.0),
        ("a != b", {"a": 1.0, "b": 3.0}, 1.0),
        ("FILL(errors, 0) + 1", {"errors": None}, 1.0),
        ("FILL(errors, 0) + 1", {"errors": 2.0}, 3.0),
        ("IF(FILL(a, 0) == 0,\n   7,\n   8)", {"a": None}, 7.0),
    ],
)
def test_evaluate_supported_expression_gives_cloudwatchs_value(text, values, expected):
    assert parse(text).evaluate(values) == expected


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (ERROR_RATE, {"invocations": None, "errors": None}),
        ("errors / invocations", {"invocations": 0.0, "errors": 1.0}),
        ("errors + 1", {"errors": None}),
        ("-errors", {"errors": None}),
    ],
)
def test_evaluate_missing_operand_or_division_by_zero_gives_no_datapoint(text, values):
    assert parse(text).evaluate(values) is None


def test_evaluate_untaken_branch_may_be_missing():
    assert parse(ERROR_RATE).evaluate({"invocations": 1.0, "errors": None}) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "SUM(METRICS())",
        "RATE(errors)",
        "errors ** 2",
        "errors % 2",
        "1 < errors < 3",
        "errors > 1 && errors < 3",
        "errors and invocations",
        "IF(errors, 1)",
        "FILL(errors, REPEAT)",
        "FILL(errors + 1, 0)",
        "SEARCH('{AWS/Lambda}', 'Sum', 60)",
        "__import__('os').system('true')",
        "errors.real",
        "Errors + 1",
        "True",
        "'80'",
        "IF(errors,",
        "",
    ],
)
def test_parse_anything_else_is_refused_naming_the_expression(text):
    with pytest.raises(UnsupportedExpression) as refusal:
        parse(text)
    assert repr(text) in str(refusal.value)


def test_parse_collects_ids():
    assert parse(ERROR_RATE).ids == {"invocations", "errors"}
