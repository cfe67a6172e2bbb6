from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import policies, scenarios
from benchmarks.staging import StagedOutage, _parameters, _plan
from lab.clock import Scale
from lab.observation import Sample


def parameters(scenario: str, policy: str) -> dict[str, str]:
    chosen = scenarios.BY_NAME[scenario]
    lab: Any = SimpleNamespace(scale=Scale(chosen.scale))
    return _parameters(chosen, policies.BY_NAME[policy], lab)


def test_parameters_are_the_scenarios_own_divided_by_the_scale() -> None:
    found = parameters("ten-minutes", "immediate")
    assert found["QueueVisibilityTimeoutSeconds"] == found["TargetTimeoutSeconds"] == "3"
    assert (found["MaxReceiveCount"], found["BatchSize"], found["Recovery"]) == ("15", "10", "IMMEDIATE")
    assert parameters("slow-target", "ramp")["SlowTargetSeconds"] == "0.5"


@pytest.mark.parametrize("policy", ["none", "reference"])
def test_parameters_of_the_breaker_are_not_for_the_others(policy: str) -> None:
    found = parameters("partial-60", policy)
    assert found["Mode"] == "OFF"
    assert "FailedMessagesPercent" not in found
    assert parameters("partial-60", "ramp")["FailedMessagesPercent"] == "40"


def test_plan_lasts_from_the_first_break_to_the_last_fix() -> None:
    assert _plan(scenarios.BY_NAME["repeated"]).outage == 17 * 60


def staged(samples: list[Sample]) -> StagedOutage:
    """An outage whose observer shows these samples, one a tick, and whose clock is that of the sample shown."""
    outage = object.__new__(StagedOutage)
    shown = iter(samples)
    outage.observer = SimpleNamespace(latest=samples[0], require_working=lambda: None)  # type: ignore[assignment]
    outage.observer.now = lambda: outage.observer.latest.at  # type: ignore[method-assign]
    outage.lab = SimpleNamespace(require_working=lambda: None)  # type: ignore[assignment]
    outage.stream = SimpleNamespace(require_working=lambda: None)  # type: ignore[assignment]
    outage.plan = _plan(scenarios.BY_NAME["ten-minutes"])
    outage.on_tick = None
    outage._policy, outage._asked, outage._disabled_since = policies.BY_NAME["reference"], False, None
    for sample in shown:
        outage.observer.latest = sample
        outage._tick()
    return outage


def disabled(at: float, running: int = 0) -> Sample:
    return Sample(at=at, mapping="Disabled", running_executions=running)


def test_outage_is_stuck_when_nobody_works_on_a_disabled_mapping() -> None:
    assert not staged([disabled(0), disabled(100)]).is_stuck
    outage = staged([disabled(0), disabled(100), disabled(121)])
    assert outage.is_stuck
    assert not outage._goes_on(100)


def test_outage_is_not_stuck_while_an_execution_runs_or_the_mapping_is_on() -> None:
    assert not staged([disabled(0), disabled(100, running=1), disabled(200)]).is_stuck
    assert not staged([disabled(0), Sample(at=100, mapping="Enabled"), disabled(200)]).is_stuck
