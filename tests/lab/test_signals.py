"""What is measured of a signal, as it is printed."""

from pathlib import Path

import pytest

from lab.options import SignalsOptions, parse_options
from lab.signals import SIGNALS, Measured, row_of, table_of
from lab.template import load_template

TEMPLATE = load_template(Path(__file__).resolve().parents[2] / "template.yaml")


def test_row_is_in_real_equivalent_seconds_since_the_first_failure():
    each = Measured(SIGNALS[0], first_failure=100.0, disable_call=112.04, disabled=113.6, delivered=120, failed=119)
    assert row_of(each) == ("error rate", "120 s", "136 s", "120", "119")


def test_table_has_a_row_for_each_signal():
    measured = [Measured(signal, 100.0, 101.0, 102.0, 1, 1) for signal in SIGNALS]
    assert table_of(measured).row_count == 4


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_signal_is_one_that_the_template_can_show(signal):
    parameters = TEMPLATE["Parameters"]
    assert signal.trouble in parameters["ShouldError"]["AllowedValues"]
    assert set(signal.parameters) <= set(parameters)


def test_signals_takes_no_options():
    assert parse_options(["signals"]) == SignalsOptions()
    with pytest.raises(SystemExit):
        parse_options(["signals", "--scale", "1"])
