"""Stages outages in the lab, to be held against what the simulator says of them.

Chance is the lab's own, but the moment at which the target breaks within a metric minute is measured: the alarm's
periods begin at whole minutes, so it decides how long the circuit takes to open.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from lab.outage import Milestones, Outage, OutagePlan
from lab.session import Lab

SCALE = 10
_MINUTE = 60.0


@dataclass(frozen=True)
class LabScenario:
    """An outage as ``python -m lab demo`` stages it: messages a second, seconds, and the way of recovery."""

    name: str
    rate: float
    outage: float
    recovery: str


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
    failed_call_seconds
        What one failed call of the mapping took. The emulator starts a process for each, so this tells how busy the
        machine was, and the simulator is told it.
    """

    scenario: LabScenario
    healthy: float
    outage: float
    minute_phase: float
    failed_call_seconds: float
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
        result = outage.run()
        # The real-equivalent time at which the epoch began tells where the run's first minute lies.
        phase = -outage.observer.real_time_of(0.0) % _MINUTE
        failed_call_seconds = _failed_call_seconds(outage, result.milestones)
    times = result.milestones
    return Measured(
        scenario=scenario,
        healthy=times.broken,
        outage=times.fixed - times.broken,
        minute_phase=phase,
        failed_call_seconds=failed_call_seconds,
        sent=result.account.sent,
        failed_calls=result.failed_calls,
        probes=result.probes,
        dead_lettered=len(result.account.dead_lettered),
        fix_to_flowing=times.fix_to_flowing,
        time_to_open=times.time_to_open,
    )


def _failed_call_seconds(outage: Outage, times: Milestones) -> float:
    """The mean duration of the calls between the break and the pause, by Lambda's own metric."""
    observer = outage.observer

    def total(metric: str) -> float:
        values = observer.metric_by_second(metric)
        until = times.fixed if times.paused is None else times.paused
        return sum(value for at, value in values.items() if times.broken <= observer.real_time_of(at) <= until)

    return total("Duration") / 1000 * SCALE / max(1.0, total("Invocations"))


def save(measured: list[Measured], path: Path) -> None:
    """Keep measurements, so that a comparison can be made again without the lab."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(each) for each in measured], indent=2) + "\n")


def load(path: Path) -> list[Measured]:
    """Read measurements that were kept."""
    kept = json.loads(path.read_text())
    return [Measured(**{**each, "scenario": LabScenario(**each["scenario"])}) for each in kept]
