"""Stages outages in the lab, to be held against what the simulator says of them.

Chance is the lab's own, but the moment at which the target breaks within a metric minute is measured: the alarm's
periods begin at whole minutes, so it decides how long the circuit takes to open.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.alarm_stand_in import CLOUDWATCH_DELAY_SECONDS
from lab.observation import Observer
from lab.outage import Milestones, Outage, OutagePlan, OutageResult
from lab.session import Lab

SCALE = 10
_MINUTE = 60.0
_WORKING_STEPS = ("LoadCircuit", "OpenCircuit", "SettleHeldMessages", "CloseCircuit")


class KeptOtherwise(ValueError):
    """Measurements of another version were kept."""


@dataclass(frozen=True)
class LabScenario:
    """An outage as ``python -m lab demo`` stages it: messages a second, seconds, and the way of recovery.

    ``alarm_delay`` is how long after its end the alarm can read a minute, ``max_concurrency`` the mapping's own, 0 for
    none.
    """

    name: str
    rate: float
    outage: float
    recovery: str
    alarm_delay: float = CLOUDWATCH_DELAY_SECONDS
    max_concurrency: int = 0


# Chosen before they were run or simulated, and never used to set any of the simulator's numbers.
SCENARIOS = (
    LabScenario("8 minutes at 3 a second, RAMP", 3.0, 480.0, "RAMP"),
    LabScenario("20 minutes at 1 a second, IMMEDIATE", 1.0, 1200.0, "IMMEDIATE"),
    LabScenario("6 minutes at 1.5 a second, IMMEDIATE", 1.5, 360.0, "IMMEDIATE"),
)


@dataclass(frozen=True)
class Measured:
    """What the lab showed of one scenario, in real-equivalent seconds.

    Attributes
    ----------
    healthy
        From the first message to the break.
    outage
        From the break to the fix.
    minute_phase
        How far into a metric minute the run began.
    target_start_seconds
        What the longest call took that failed: one that had to start a process, as several did at once, because the
        break had ended those that ran.
    step_starts
        What the first call of a step of the state machine took, which had to start a process alone, by its name. Steps
        that wait for something, or call the target, are left out.
    """

    scenario: LabScenario
    healthy: float
    outage: float
    minute_phase: float
    target_start_seconds: float
    step_starts: Mapping[str, float]
    sent: int
    failed_calls: int
    probes: int
    dead_lettered: int
    fix_to_flowing: float | None
    time_to_open: float | None


def measure(scenario: LabScenario) -> Measured:
    """Run one scenario in an emulated cloud of its own. Takes two to three minutes."""
    plan = OutagePlan(rate=scenario.rate, outage=scenario.outage, after=10.0)
    with Lab(scale=SCALE) as lab:
        lab.deploy({"Recovery": scenario.recovery})
        lab.start_alarm()
        lab.start_schedule()
        outage = Outage(lab, plan)
        return measured_of(scenario, outage, outage.run())


def measured_of(scenario: LabScenario, outage: Outage, result: OutageResult) -> Measured:
    """What an outage has shown. The lab must still run."""
    times, observer = result.milestones, outage.observer
    return Measured(
        scenario=scenario,
        healthy=times.broken,
        outage=times.fixed - times.broken,
        # The real-equivalent time at which the epoch began tells where the run's first minute lies.
        minute_phase=-observer.real_time_of(0.0) % _MINUTE,
        target_start_seconds=_longest_call_seconds(observer, times),
        step_starts=_step_starts(result),
        sent=result.account.sent,
        failed_calls=result.failed_calls,
        probes=result.probes,
        dead_lettered=len(result.account.dead_lettered),
        fix_to_flowing=times.fix_to_flowing,
        time_to_open=times.time_to_open,
    )


def _longest_call_seconds(observer: Observer, times: Milestones) -> float:
    """The longest duration of a call between the break and the pause, or the fix if that was sooner."""
    until = min(times.fixed, times.paused or times.fixed)
    values = observer.metric_by_second("Duration", statistic="Maximum")
    seen = [value for at, value in values.items() if times.broken <= observer.real_time_of(at) <= until]
    return observer.scale.real(max(seen, default=0.0) / 1000)


def _step_starts(result: OutageResult) -> dict[str, float]:
    """How long the steps took the first time, by the executions' histories."""
    visits = [report.first_visits for report in result.executions]
    # Those of a later execution find processes that run, and are shorter.
    seen = {step: [each[step] for each in visits if step in each] for step in _WORKING_STEPS}
    return {step: max(times) for step, times in seen.items() if times}


def save(measured: list[Measured], path: Path) -> None:
    """Keep measurements, so that a comparison can be made again without the lab."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in measured], indent=2) + "\n")


def load(path: Path) -> list[Measured]:
    """Read measurements that were kept.

    Raises
    ------
    KeptOtherwise
        They have other fields than those that are measured now.
    """
    kept = json.loads(path.read_text())
    try:
        return [Measured(**{**each, "scenario": LabScenario(**each["scenario"])}) for each in kept]
    except TypeError as error:
        raise KeptOtherwise(f"{path.name} was kept by another version ({error}): run it without --kept") from None
