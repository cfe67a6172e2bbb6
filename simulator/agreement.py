"""How far the simulator is from the lab, on scenarios that none of its numbers was set by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from simulator.figures import Figures, figures_of
from simulator.lab_runs import Measured
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.poller import LAB

FAILED_CALLS_WITHIN = 0.15
# The breaker's waits are jittered, so the simulator's answer is the mean of several draws.
_SEEDS = range(1, 21)
# On a busy machine: how long a process takes to start, as shares of what was measured.
_STARTS = (2 / 3, 5 / 6, 1.0, 7 / 6, 4 / 3)
# A call of the example in the lab, 40 wall milliseconds, and far more capacity than the lab ever asks for.
_LATENCY, _CAPACITY = 0.4, 10_000.0


@dataclass(frozen=True)
class Comparison:
    """One scenario in the lab and in the simulator. Times are seconds."""

    name: str
    failed_lab: int
    failed_simulated: float
    flowing_lab: float | None
    flowing_simulated: float | None
    probe_interval: float

    @property
    def failed_off(self) -> float:
        """How far the simulated failed calls are off, as a share of the lab's."""
        return (self.failed_simulated - self.failed_lab) / self.failed_lab

    @property
    def flowing_off(self) -> float | None:
        """How far the simulated time to flowing is off."""
        if self.flowing_lab is None or self.flowing_simulated is None:
            return None
        return self.flowing_simulated - self.flowing_lab

    @property
    def agrees(self) -> bool:
        """Within 15 % of the failed calls and one probe interval of the time to flowing."""
        return not self.disagreements()

    def disagreements(self) -> list[str]:
        """What is further off than it may be, a sentence each."""
        found, off = [], self.flowing_off
        if abs(self.failed_off) > FAILED_CALLS_WITHIN:
            found.append(
                f"{self.failed_lab} calls failed in the lab, {self.failed_simulated:.1f} in the simulator: "
                f"{self.failed_off:+.0%}, more than {FAILED_CALLS_WITHIN:.0%}."
            )
        if off is None:
            found.append(f"Time to flowing: {self.flowing_lab} in the lab, {self.flowing_simulated} in the simulator.")
        elif abs(off) > self.probe_interval:
            found.append(
                f"Messages flowed {self.flowing_lab:.0f} s after the fix in the lab, {self.flowing_simulated:.0f} s in "
                f"the simulator: more than {self.probe_interval:.0f} s apart."
            )
        return found


def compare(measured: Sequence[Measured]) -> list[Comparison]:
    """Simulate what the lab has measured, from the same moment of a metric minute."""
    return [_comparison(each, _mean, _simulated(each)) for each in measured]


def compare_on_a_busy_machine(measured: Measured) -> Comparison:
    """Compare with the nearest of what the simulator says on a busy machine."""
    return nearest(measured, simulate_on_a_busy_machine(measured))


def simulate_on_a_busy_machine(measured: Measured) -> list[Figures]:
    """Return what the simulator says for processes that start up to a third faster or slower.

    On a busy machine they do, one from the other, and the alarm counts whole minutes: a call that ends a second later
    may open the circuit a minute later, with a quarter more failed calls. The bounds remain the same.
    """
    seen: list[Figures] = []
    for share in _STARTS:
        steps = {step: share * seconds for step, seconds in measured.step_starts.items()}
        target = share * measured.target_start_seconds
        seen += _simulated(replace(measured, target_start_seconds=target, step_starts=steps))
    return seen


def nearest(measured: Measured, seen: Sequence[Figures]) -> Comparison:
    """Compare with the nearest of many answers."""
    return _comparison(measured, _nearest, seen)


def _mean(_: float | None, simulated: Sequence[float]) -> float:
    return fmean(simulated)


def _nearest(lab: float | None, simulated: Sequence[float]) -> float:
    return fmean(simulated) if lab is None else min(max(lab, min(simulated)), max(simulated))


def _simulated(measured: Measured) -> list[Figures]:
    settings = BreakerSettings({"Recovery": measured.scenario.recovery})
    pipeline = Pipeline(
        rate=measured.scenario.rate,
        capacity=_CAPACITY,
        latency=_LATENCY,
        max_concurrency=measured.scenario.max_concurrency,
    )
    trouble = Trouble(outage=measured.outage, healthy=measured.healthy)
    profile = replace(
        LAB,
        target_start_seconds=measured.target_start_seconds,
        step_start_seconds=fmean(measured.step_starts.values()) if measured.step_starts else 0.0,
        step_starts=measured.step_starts,
        alarm_delay=measured.scenario.alarm_delay,
    )
    return [
        figures_of(
            simulate(
                Policy.BREAKER,
                pipeline,
                trouble,
                settings,
                seed=seed,
                profile=profile,
                minute_phase=measured.minute_phase,
            )
        )
        for seed in _SEEDS
    ]


def _comparison(
    measured: Measured, choose: Callable[[float | None, Sequence[float]], float], seen: Sequence[Figures]
) -> Comparison:
    flowing = [each.fix_to_flowing for each in seen if each.fix_to_flowing is not None]
    return Comparison(
        name=measured.scenario.name,
        failed_lab=measured.failed_calls,
        failed_simulated=choose(measured.failed_calls, [each.failed_calls for each in seen]),
        flowing_lab=measured.fix_to_flowing,
        flowing_simulated=choose(measured.fix_to_flowing, flowing) if flowing else None,
        probe_interval=float(BreakerSettings().circuit()["MaxProbeIntervalSeconds"]),
    )
