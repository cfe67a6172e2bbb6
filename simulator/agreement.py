"""How far the simulator is from the lab, on scenarios that none of its numbers was set by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from simulator.figures import figures_of
from simulator.lab_runs import Measured
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.poller import LAB

FAILED_CALLS_WITHIN = 0.15
# The breaker's waits are jittered, so the simulator's answer is the mean of several draws.
_SEEDS = range(1, 21)
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
        off = self.flowing_off
        return abs(self.failed_off) <= FAILED_CALLS_WITHIN and off is not None and abs(off) <= self.probe_interval


def compare(measured: Sequence[Measured]) -> list[Comparison]:
    """Simulate what the lab has measured, from the same moment of a metric minute."""
    return [_compare(each) for each in measured]


def _compare(measured: Measured) -> Comparison:
    settings = BreakerSettings({"Recovery": measured.scenario.recovery})
    pipeline = Pipeline(rate=measured.scenario.rate, capacity=_CAPACITY, latency=_LATENCY)
    trouble = Trouble(outage=measured.outage, healthy=measured.healthy)
    profile = replace(LAB, failed_call_seconds=measured.failed_call_seconds)
    seen = [
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
    flowing = [each.fix_to_flowing for each in seen if each.fix_to_flowing is not None]
    return Comparison(
        name=measured.scenario.name,
        failed_lab=measured.failed_calls,
        failed_simulated=fmean(each.failed_calls for each in seen),
        flowing_lab=measured.fix_to_flowing,
        flowing_simulated=fmean(flowing) if flowing else None,
        probe_interval=float(settings.circuit()["MaxProbeIntervalSeconds"]),
    )
