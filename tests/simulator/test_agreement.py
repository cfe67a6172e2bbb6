from pathlib import Path

import pytest

from simulator.agreement import Comparison, compare
from simulator.lab_runs import SCENARIOS, Measured, load, save


def make_measured(**changed: object) -> Measured:
    fields = {
        "scenario": SCENARIOS[0],
        "healthy": 60.0,
        "outage": 480.0,
        "minute_phase": 10.0,
        "failed_call_seconds": 40.0,
        "sent": 2000,
        "failed_calls": 25,
        "probes": 5,
        "dead_lettered": 0,
        "fix_to_flowing": 60.0,
        "time_to_open": 220.0,
    }
    return Measured(**{**fields, **changed})  # type: ignore[arg-type]


def make_comparison(**changed: float | None) -> Comparison:
    fields = {"failed_lab": 100, "failed_simulated": 110.0, "flowing_lab": 60.0, "flowing_simulated": 100.0}
    return Comparison(name="a", probe_interval=120.0, **{**fields, **changed})  # type: ignore[arg-type]


def test_load_gives_back_what_was_saved(tmp_path: Path) -> None:
    measured = [make_measured(), make_measured(fix_to_flowing=None)]
    save(measured, tmp_path / "kept.json")
    assert load(tmp_path / "kept.json") == measured


def test_compare_starts_at_the_labs_own_moment_of_a_minute() -> None:
    # A break late in a minute is seen a minute later than one at its begin.
    seen = [compare([make_measured(minute_phase=phase)])[0].failed_simulated for phase in (0.0, 45.0)]
    assert seen[0] != seen[1]


@pytest.mark.parametrize(
    ("changed", "agrees"),
    [
        ({}, True),
        ({"failed_simulated": 116.0}, False),
        ({"failed_simulated": 84.0}, False),
        ({"flowing_simulated": 181.0}, False),
        ({"flowing_simulated": None}, False),
        ({"flowing_lab": None}, False),
    ],
)
def test_comparison_agrees_within_15_percent_and_one_probe_interval(
    changed: dict[str, float | None], agrees: bool
) -> None:
    assert make_comparison(**changed).agrees is agrees
