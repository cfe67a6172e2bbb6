import dataclasses
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calibration, cost, limits, results, scenarios
from benchmarks.aims import incident_of, lab_aims, ratio_aim, simulated_aims
from benchmarks.cost import Incident, breaker_states, reference_states
from benchmarks.figures import Measurement, counts_by_minute, dead_lettered, peak_rate, thinned
from benchmarks.options import RunOptions, parse_options
from benchmarks.staging import _NOT_ON_AWS
from benchmarks.sweep import CASES, LONGEST, SHORTEST, Case, drawn_outages, run_case
from benchmarks.tables import (
    BEGIN,
    END,
    PAGE,
    README,
    PageNotWritten,
    aims_table,
    calibration_table,
    lab_tables,
    limits_table,
    put,
    readme_table,
    simulated_tables,
)
from simulator.pipeline import Pipeline

REPOSITORY = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATES: dict[str, Any] = json.loads((REPOSITORY / "statemachine" / "circuit_breaker.asl.json").read_text())["States"]


def measurement(**changed: Any) -> Measurement:
    values: dict[str, Any] = {
        field.name: None if "None" in str(field.type) else 0 for field in dataclasses.fields(Measurement)
    }
    values |= {
        "scenario": "ten-minutes", "policy": "ramp", "scale": 10, "measured_at": "", "stuck": False,
        "failed_by_minute": [], "series": [[0.0, 0, 0, 1]],
    }  # fmt: skip
    return Measurement(**{**values, **changed})


def event(kind: str, seconds: float, state: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "timestamp": START + timedelta(seconds=seconds),
        **({"stateEnteredEventDetails": {"name": state}} if state else {}),
    }


def test_peak_rate_is_over_ten_seconds_and_after_the_moment() -> None:
    samples = [(0.0, 0), (5.0, 500), (10.0, 500), (15.0, 520), (20.0, 560), (40.0, 570)]
    assert peak_rate(samples, 10.0) == 6.0
    assert peak_rate(samples, 50.0) == 0.0
    # A burst between two close samples is no rate of a second.
    assert peak_rate([(0.0, 0), (0.5, 10)], 0.0) == 1.0


def test_counts_by_minute_go_to_the_end() -> None:
    assert counts_by_minute([(0, 1), (59.9, 2), (61, 3), (500, 9)], 125) == [3, 3, 0]


def test_thinned_keeps_the_last_point() -> None:
    series = [[float(n)] for n in range(1001)]
    few = thinned(series, 100)
    assert len(few) <= 101
    assert few[-1] == [1000.0]
    assert thinned([], 5) == []


@pytest.mark.parametrize(
    ("depths", "outputs", "came"),
    [
        ([0, 3, 8, 8], [], 8),
        ([0, 8, 8, 2], ['{"redriven": 6}', None, '{"recovery": {}}'], 8),
        # Two were moved back and came again.
        ([0, 6, 2, 2], ['{"redriven": 6}'], 8),
        # Ended in the middle of a redrive.
        ([0, 6, 2], [None], 6),
        ([0, 0], ['"text"'], 0),
    ],
)
def test_dead_lettered_counts_what_was_moved_back_too(depths: list[int], outputs: list[str | None], came: int) -> None:
    assert dead_lettered(depths, outputs) == came


# Cost ---------------------------------------------------------------------------------------------------------------


def test_incident_costs_what_its_parts_do() -> None:
    incident = Incident(transitions=1000, steps=400, failed_calls=10, failed_call_seconds=1.0, copied=1_000_000)
    parts = incident.parts
    assert parts["transitions"] == pytest.approx(0.025)
    assert parts["failed calls"] == pytest.approx(10 * (0.2e-6 + 0.25 * 0.0000166667))
    assert parts["re-jitter"] > 1_000_000 * 0.4e-6
    assert incident.dollars == pytest.approx(sum(parts.values()))


def test_reference_pays_for_no_function_of_its_own() -> None:
    run = {"states_entered": 40, "retries": 3, "function_calls": 12}
    assert incident_of(measurement(policy="reference", **run)).steps == 0
    assert incident_of(measurement(policy="ramp", **run)).steps == 12
    assert incident_of(measurement(policy="ramp", **run)).transitions == 43


def walk(*path: str) -> tuple[int, int]:
    """States and functions of a path, each step of which the machine can take."""
    for state, following in pairwise(path):
        ways = [STATES[state].get("Next"), STATES[state].get("Default")]
        ways += [choice["Next"] for choice in STATES[state].get("Choices", [])]
        assert following in ways, f"{state} does not lead to {following}"
    return len(path), sum(STATES[state]["Type"] == "Task" for state in path)


def test_simulated_incident_has_the_states_of_the_machine() -> None:
    opening = walk(
        "LoadCircuit", "WhatIsAsked?", "OpenCircuit", "WhereDoesItStand?", "ConfirmPaused", "IsItPausedAgain?"
    )
    probing = walk("WaitBeforeProbe", "ProbeTarget", "WhatDidTheProbeShow?")
    closing = walk("WaitBeforeFirstProbe", "ProbeTarget", "WhatDidTheProbeShow?", "SettleHeldMessages",
                   "AreAllSettled?", "CloseCircuit")  # fmt: skip
    confirming = walk("ConfirmEnabled", "IsRecoveryJudged?")
    looking = walk("WaitForMetrics", "JudgeRecovery", "HowDoesItGoOn?")
    ending = walk("EndIncident", "CircuitClosed")
    reopening = walk("ReopenCircuit", "ConfirmPaused", "IsItPausedAgain?")
    assert opening == (cost.OPENING_STATES, cost.OPENING_STEPS)
    assert probing == (cost.FAILED_PROBE_STATES, cost.FAILED_PROBE_STEPS)
    assert closing == (cost.CLOSING_STATES, cost.CLOSING_STEPS)
    assert confirming == (cost.CONFIRMING_STATES, cost.CONFIRMING_STEPS)
    looking_again = walk("WaitForMoreMetrics", "JudgeRecovery", "HowDoesItGoOn?", "WaitForMoreMetrics")
    assert looking == (cost.LOOK_STATES, cost.LOOK_STEPS)
    assert looking_again == (cost.LOOK_STATES + 1, cost.LOOK_STEPS), "the last state is the next look's first"
    assert ending == (cost.ENDING_STATES, cost.ENDING_STEPS)
    assert reopening == (cost.REOPENING_STATES, cost.REOPENING_STEPS)
    assert walk("HowDoesItGoOn?", "RaiseConcurrency", "ConfirmEnabled")[0] == 3


def test_breaker_states_grow_with_what_happens() -> None:
    usual = {"failed_probes": 5, "ramp_steps": 3, "looks": 12, "reopened": 0, "openings": 1}
    states, steps = breaker_states(**usual)
    # 6 to open, 15 to probe, 6 to close, 2 raises, 6 to confirm, 36 looks, 2 to end, 12 retries.
    assert (states, steps) == (85, 3 + 5 + 3 + 2 + 3 + 12 + 1 + 12)
    assert breaker_states(**{**usual, "failed_probes": 6}) == (states + 3, steps + 1)
    assert breaker_states(**{**usual, "reopened": 1, "ramp_steps": 4})[0] > states + 13


def test_reference_states_are_those_of_its_machine() -> None:
    file = REPOSITORY / "benchmarks" / "reference" / "statemachine.asl.json"
    machine = json.loads(file.read_text())["States"]
    again = {"CountFailure", "IsATryLeft?", "WaitBeforeNextProbe", "NoTryLeft"}
    assert reference_states(executions=1, failed_probes=0) == len(machine.keys() - again - set(_NOT_ON_AWS))
    assert reference_states(executions=2, failed_probes=3) == 2 * 9 + 3 * 4


# Results ------------------------------------------------------------------------------------------------------------


def test_run_that_was_interrupted_goes_on_with_what_is_missing(tmp_path: Path) -> None:
    wanted = [("ten-minutes", "none"), ("ten-minutes", "ramp")]
    assert results.missing(wanted, tmp_path / "now") == wanted
    results.keep(measurement(policy="none"), tmp_path / "now")
    assert results.missing(wanted, tmp_path / "now") == [("ten-minutes", "ramp")]
    results.keep(measurement(policy="ramp", sent=3), tmp_path / "now")
    results.finish(wanted, tmp_path / "now", tmp_path / "kept")
    assert results.missing(wanted, tmp_path / "now") == wanted
    assert {(each.policy, each.sent) for each in results.load(tmp_path / "kept")} == {("none", 0), ("ramp", 3)}


def test_kept_results_are_of_scenarios_and_policies_that_are_there() -> None:
    for each in results.load():
        assert each.policy in scenarios.BY_NAME[each.scenario].policies


# Options ------------------------------------------------------------------------------------------------------------


def test_options_default_to_the_core_set_and_both_parts() -> None:
    options = parse_options(["run"])
    assert isinstance(options, RunOptions)
    assert options.simulated
    assert ("ten-minutes", "reference") in options.pairs
    assert ("calibration", "reference") in options.pairs
    assert not any(scenario == "long" for scenario, _ in options.pairs)


def test_options_choose_scenarios_and_policies() -> None:
    options = parse_options(["run", "--parts", "lab", "--scenarios", "long,backlog", "--policies", "ramp"])
    assert isinstance(options, RunOptions)
    assert options.pairs == (("long", "ramp"), ("backlog", "ramp"))
    assert not options.simulated


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenarios", "lng"], "'lng' is refused: a scenario must be one of calibration"),
        (["--policies", "best"], "'best' is refused: a policy must be one of none"),
        (["--parts", ","], "',' is refused: a part must be one of lab, simulated"),
    ],
)
def test_options_refuse_by_name_value_and_rule(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parse_options(["run", *arguments])
    assert said in capsys.readouterr().err


def test_scenarios_keep_to_what_the_lab_can_hold() -> None:
    for scenario in scenarios.SCENARIOS:
        assert 60 % scenario.scale == 0
        # A function has at least 3 s on the clock, and its queue must hide messages for as long.
        assert scenario.visibility / scenario.scale >= 3
        assert scenario.timeout / scenario.scale <= scenario.visibility / scenario.scale


# Aims and tables ----------------------------------------------------------------------------------------------------


def test_ratio_aim_is_met_up_to_its_bound() -> None:
    assert ratio_aim("lab", "x", 3, 10, 0.3).verdict == "met"
    assert ratio_aim("lab", "x", 4, 10, 0.3).verdict == "not met"
    assert ratio_aim("lab", "x", None, 10, 0.3).verdict == "not measured"
    assert ratio_aim("lab", "x", 1, 0, 0.3).verdict == "not met"


def test_lab_aims_compare_with_the_reference_and_say_where_it_is_better() -> None:
    runs = [
        measurement(policy="reference", failed_calls=60, failed_after_fix=10, states_entered=25),
        measurement(policy="ramp", failed_calls=30, states_entered=110),
        measurement(policy="fast-trip", failed_calls=7),
        measurement(scenario="low-traffic", policy="reference", dead_lettered=5, left_dead_lettered=5),
        measurement(scenario="low-traffic", policy="ramp", dead_lettered=2, left_dead_lettered=2),
        measurement(scenario="low-traffic", policy="fast-trip", left_dead_lettered=0),
        measurement(scenario="low-traffic", policy="redrive", dead_lettered=2),
        measurement(scenario="low-traffic", policy="redrive-minimum-3", dead_lettered=1, left_dead_lettered=1),
    ]
    by_text = {aim.text: aim for aim in lab_aims(runs)}
    verdicts = [aim.verdict for aim in by_text.values()]
    assert verdicts == ["not met", "met", "not met", "not met", "met", "met", "not met"]
    assert "low-traffic: 2 dead-lettered, the reference 5" in aims_table(list(by_text.values()))
    assert all(aim.met is None for aim in lab_aims([]))


def test_aim_of_redrive_counts_what_is_left_and_what_is_stuck() -> None:
    theirs = measurement(scenario="low-traffic", policy="reference", dead_lettered=5, left_dead_lettered=5)
    ours = measurement(scenario="low-traffic", policy="redrive", dead_lettered=4, left_dead_lettered=3, stuck=True)
    aim = lab_aims([theirs, ours])[-2]
    assert (aim.met, aim.found) == (False, "low-traffic: 3 left in the dead-letter queue, the reference 5, stuck")
    # Where the reference has none, there is nothing to be compared.
    nothing = dataclasses.replace(theirs, dead_lettered=0, left_dead_lettered=0)
    assert lab_aims([nothing, ours])[-2].met is None


def test_calibration_names_what_is_off() -> None:
    good = measurement(policy="reference", failed_calls=72, opened_after=280.0, fix_to_flowing=390.0, sent=640)
    assert all(each.agrees for each in calibration.compare(good))
    bad = dataclasses.replace(good, fix_to_flowing=80.0)
    assert [each.name for each in calibration.compare(bad) if not each.agrees] == ["closed after the fix, s"]
    assert "**no**" in calibration_table(bad)
    none = measurement(policy="none", failed_calls=190, dead_lettered=43)
    assert [each.agrees for each in calibration.compare_without(none)] == [True, False]
    assert "| no breaker: dead-lettered | 31 | 43 | +39 % | **no** |" in calibration_table(good, none)
    assert not calibration.compare(dataclasses.replace(good, fix_to_flowing=None))[2].agrees


def test_lab_tables_have_a_column_for_each_run() -> None:
    table = lab_tables([measurement(policy="reference", stuck=True), measurement(policy="none", dead_lettered=31)])
    assert "| no breaker | reference policy |" in table
    assert "| dead-lettered | 31 | 0 |" in table
    assert "| mapping left disabled for good | no | **yes** |" in table
    assert lab_tables([]) == "Not measured yet."


def test_lab_table_says_how_transitions_were_counted_and_when_a_pause_came_without_a_failure() -> None:
    table = lab_tables([
        measurement(policy="none"),
        measurement(policy="reference", executions=1, states_entered=25, time_to_open=340.0),
        measurement(policy="ramp", executions=1, states_entered=43, retries=4, opened_after=210.0),
    ])  # fmt: skip
    assert "| state transitions, of these retries | 0 | 25, 0 | 47, 4 |" in table
    assert "| first failure to `Disabled` | - | 340 s | 210 s after the break |" in table


def test_readme_has_the_table_in_few_words() -> None:
    runs = [
        measurement(policy="none", failed_calls=180),
        measurement(policy="fast-trip", opened_after=9.0, failed_calls=3),
    ]
    table = readme_table(runs)
    assert "| 10 minutes of outage | no breaker | this breaker, fast trip |" in table
    assert "| failed calls of the function | 180 | 3 |" in table
    assert readme_table([]) == "Not measured yet."
    assert put(README.read_text(), "bench", "-")


def test_put_replaces_one_part_and_no_other() -> None:
    page = f"a\n{BEGIN.format('x')}\nold\n{END.format('x')}\nb"
    once = put(page, "x", "new")
    assert "old" not in once
    assert once.startswith("a\n")
    assert once.endswith("\nb")
    assert put(once, "x", "new") == once
    with pytest.raises(PageNotWritten, match="'y'"):
        put(page, "y", "new")


@pytest.mark.parametrize("part", ["calibration", "aims", "lab", "simulated", "limits"])
def test_page_has_a_place_for_each_part(part: str) -> None:
    assert part not in put(PAGE.read_text(), part, "-").split(BEGIN.format(part))[1].split(END.format(part))[0]


# Simulated ----------------------------------------------------------------------------------------------------------


def test_drawn_outages_are_the_same_each_time_and_within_bounds() -> None:
    drawn = drawn_outages()
    assert drawn == drawn_outages()
    assert drawn != drawn_outages(seed=1)
    assert all(SHORTEST <= seconds <= LONGEST for seconds in drawn)
    assert min(drawn) < 1200 < 7200 < max(drawn)


def test_case_gives_a_row_for_each_policy_and_its_figures_meet_the_aims_code() -> None:
    case = Case("drawn", "x", Pipeline(rate=2.0, capacity=20.0, max_concurrency=2, batch_size=3), outages=(900.0,))
    rows = run_case(case)
    assert [row["policy"] for row in rows] == ["none", "reference", "breaker", "fast-trip"]
    by_policy = {row["policy"]: row for row in rows}
    assert by_policy["fast-trip"]["to_open"] < by_policy["breaker"]["to_open"] < by_policy["reference"]["to_open"]
    assert by_policy["none"]["cost"] == 0 < by_policy["reference"]["cost"]
    assert json.loads(json.dumps(rows)) == rows
    aims = simulated_aims(rows)
    assert {aim.met for aim in aims} <= {True, False, None}
    assert len(aims) == 7
    assert "fix to flowing" in simulated_tables(rows)


def test_cases_have_names_of_their_own() -> None:
    assert len({case.name for case in CASES}) == len(CASES)


# Limits -------------------------------------------------------------------------------------------------------------


def test_week_of_outage_stays_within_the_history_of_its_executions() -> None:
    probes = limits.probes_in(7 * 86_400)
    # Waits of 96 to 120 s, and the steps.
    assert 7 * 86_400 / 122 <= probes <= 7 * 86_400 / 98
    assert limits.executions_for(probes) == pytest.approx(probes / 500, abs=1)
    assert limits.executions_for(500) == 1
    assert limits.executions_for(501) == 2
    assert limits.CYCLES_PER_EXECUTION * limits.EVENTS_OF_A_CYCLE < limits.HISTORY_EVENTS


def test_limits_name_their_sources() -> None:
    lines = limits.lines()
    assert all(line.source for line in lines)
    text = limits_table()
    assert "reached 12 s after the break" in text
    assert f"**{limits.CIRCUITS}**" in text
    stated = (REPOSITORY / "tests" / "template" / "test_attach.py").read_text()
    assert f"STATED_CIRCUITS = {limits.CIRCUITS}\n" in stated
