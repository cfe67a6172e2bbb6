from dataclasses import replace
from pathlib import Path

import pytest

from simulator.agreement import Comparison, compare, nearest, simulate_on_a_busy_machine
from simulator.figures import Figures
from simulator.lab_runs import SCENARIOS, KeptOtherwise, LabScenario, Measured, load, save


def make_measured(**changed: object) -> Measured:
    fields = {
        "scenario": SCENARIOS[0],
        "healthy": 60.0,
        "outage": 480.0,
        "minute_phase": 10.0,
        "target_start_seconds": 40.0,
        "step_starts": {"LoadCircuit": 15.0, "CloseCircuit": 15.0},
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
    assert (make_comparison(**changed).disagreements() == []) is agrees


# An outage of the lab on two cores with a load of 4 to 7.
BUSY = make_measured(
    scenario=LabScenario("5 minutes at 1 a second, IMMEDIATE", 1.0, 300.0, "IMMEDIATE"),
    healthy=61.0,
    outage=300.8,
    minute_phase=40.8,
    target_start_seconds=102.6,
    step_starts={"LoadCircuit": 38.0, "OpenCircuit": 51.7, "CloseCircuit": 26.6},
    failed_calls=50,
    fix_to_flowing=321.5,
)


@pytest.fixture(scope="module")
def answers() -> list[Figures]:
    return simulate_on_a_busy_machine(BUSY)


def test_comparison_on_a_busy_machine_agrees_with_an_outage_of_the_lab(answers: list[Figures]) -> None:
    assert nearest(BUSY, answers).disagreements() == []


@pytest.mark.parametrize(
    ("doctored", "said"),
    [
        ({"failed_calls": 25}, "25 calls failed in the lab"),
        ({"failed_calls": 100}, "100 calls failed in the lab"),
        ({"fix_to_flowing": 700.0}, "Messages flowed 700 s after the fix in the lab"),
        ({"fix_to_flowing": 20.0}, "Messages flowed 20 s after the fix in the lab"),
        ({"fix_to_flowing": None}, "Time to flowing: None in the lab"),
    ],
)
def test_comparison_on_a_busy_machine_refuses_a_doctored_figure(
    answers: list[Figures], doctored: dict[str, float | None], said: str
) -> None:
    (disagreement,) = nearest(replace(BUSY, **doctored), answers).disagreements()  # type: ignore[arg-type]
    assert disagreement.startswith(said)


def test_load_of_what_another_version_kept_says_so(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    save([make_measured()], path)
    path.write_text(path.read_text().replace("step_starts", "failed_call_seconds"))
    with pytest.raises(KeptOtherwise, match=r"kept\.json was kept by another version .*failed_call_seconds"):
        load(path)
