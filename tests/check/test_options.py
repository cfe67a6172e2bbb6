import pytest

from check.options import Options, parse_options

BOTH = ["--function", "orders-target", "--queue", "orders"]
UUID = "11111111-2222-3333-4444-555555555555"


def test_parse_options_without_more_gives_the_defaults():
    assert parse_options(BOTH) == Options("orders-target", "orders", mapping="", alarm="", rate=1.0, as_json=False)


def test_parse_options_reads_all_of_them():
    more = ["--mapping", UUID, "--alarm", "orders-slow", "--rate", "2.5", "--json"]
    assert parse_options([*BOTH, *more]) == Options("orders-target", "orders", UUID, "orders-slow", 2.5, as_json=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "FUNCTION: missing; it must be the name, name:alias or ARN of the function"),
        (BOTH[:2], "QUEUE: missing; it must be the name or ARN of its queue"),
        (["--function", "", "--queue", "orders"], "FUNCTION: missing"),
        ([*BOTH, "--mapping", "first"], "MAPPING: 'first' must be the UUID of an event source mapping"),
        ([*BOTH, "--rate", "many"], "RATE: 'many' must be a number of messages a second above 0"),
        ([*BOTH, "--rate", "0"], "RATE: '0' must be a number of messages a second above 0"),
        ([*BOTH, "--rate", "nan"], "RATE: 'nan' must be a number of messages a second above 0"),
        ([*BOTH, "--rate", "inf"], "RATE: 'inf' must be a number of messages a second above 0"),
        ([*BOTH, "--colour", "red"], "unrecognized arguments: --colour red"),
    ],
)
def test_parse_options_bad_argument_is_refused_naming_argument_value_and_rule(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        parse_options(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
