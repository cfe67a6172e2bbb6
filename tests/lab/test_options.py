import pytest

from lab.options import ChaosOptions, CompareOptions, DemoOptions, parse_options


def test_parse_options_without_any_gives_the_defaults():
    assert parse_options(["demo"]) == DemoOptions(rate=1.0, outage=300.0, scale=12, recovery="RAMP", keep=False)


def test_parse_options_reads_all_of_them():
    given = ["demo", "--rate", "2.5", "--outage", "600", "--scale", "15", "--recovery", "rejitter", "--keep"]
    assert parse_options(given) == DemoOptions(2.5, 600.0, 15, "REJITTER", keep=True)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--rate", "0", "between 0.2 and 50"),
        ("--rate", "nan", "between 0.2 and 50"),
        ("--rate", "many", "between 0.2 and 50"),
        ("--rate", "20", "rate times scale must be at most 50"),
        ("--outage", "60", "between 240 and 7200"),
        ("--outage", "inf", "between 240 and 7200"),
        ("--scale", "7", "one of 1, 2, 3, 4, 5, 6, 10, 12, 15"),
        ("--scale", "1.5", "one of 1, 2, 3"),
        ("--recovery", "SLOWLY", "one of RAMP, IMMEDIATE, REJITTER"),
    ],
)
def test_parse_options_bad_value_is_refused_naming_option_value_and_rule(option, value, rule, capsys):
    with pytest.raises(SystemExit) as end:
        parse_options(["demo", option, value])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert option in said
    assert value in said
    assert rule in said


def test_parse_options_compare_takes_none():
    assert parse_options(["compare"]) == CompareOptions()
    with pytest.raises(SystemExit):
        parse_options(["compare", "--rate", "2"])


def test_parse_options_of_chaos():
    assert parse_options(["chaos"]) == ChaosOptions(seed=1, minutes=1.0)
    assert parse_options(["chaos", "--seed", "42", "--minutes", "0.5"]) == ChaosOptions(42, 0.5)


@pytest.mark.parametrize(
    ("option", "value", "rule"),
    [
        ("--seed", "-1", "whole number from 0 to 4294967295"),
        ("--seed", "4294967296", "whole number from 0 to 4294967295"),
        ("--seed", "1.5", "whole number from 0 to 4294967295"),
        ("--seed", "", "whole number from 0 to 4294967295"),
        ("--minutes", "0.1", "between 0.25 and 120"),
        ("--minutes", "121", "between 0.25 and 120"),
        ("--minutes", "nan", "between 0.25 and 120"),
        ("--minutes", "long", "between 0.25 and 120"),
    ],
)
def test_parse_options_bad_chaos_is_refused_naming_option_value_and_rule(option, value, rule, capsys):
    with pytest.raises(SystemExit) as end:
        parse_options(["chaos", f"{option}={value}"])
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert f"argument {option}: " in said
    assert value in said
    assert rule in said
