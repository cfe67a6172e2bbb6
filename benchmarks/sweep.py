"""Many outages in the simulator: lengths drawn from a seed, and pipelines that the lab cannot hold."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from benchmarks.cost import Incident, breaker_states, reference_states
from simulator.figures import Figures, figures_of
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.rules import read_steps, recovery_steps
from simulator.world import Run

SEED = 20261125
SHORTEST, LONGEST = 600.0, 4 * 3600.0
OUTAGES = 30
# Time after the fix that is simulated. The reference policy's last waits are of 43 and 85 minutes.
HORIZON = 2 * 3600.0


# Name, policy, and how soon after a failed call the target's own code has asked for the circuit to be opened.
VARIANTS: tuple[tuple[str, Policy, float | None], ...] = (
    ("none", Policy.NONE, None),
    ("reference", Policy.REFERENCE, None),
    ("breaker", Policy.BREAKER, None),
    ("fast-trip", Policy.BREAKER, 2.0),
)


@dataclass(frozen=True)
class Case:
    """A pipeline, and the outages it meets.

    Attributes
    ----------
    outages
        Lengths in seconds; none for those drawn from the seed.
    seeds
        How often each is run, each time with another moment of the minute and other chances.
    """

    name: str
    title: str
    pipeline: Pipeline
    trouble: Trouble = field(default_factory=Trouble)
    outages: tuple[float, ...] = ()
    settings: BreakerSettings = field(default_factory=BreakerSettings)
    seeds: int = 1


_USUAL = Pipeline(rate=10.0, capacity=30.0, latency=0.2, max_concurrency=2, batch_size=3)

CASES = (
    Case(
        "drawn",
        f"{OUTAGES} outages of 10 minutes to 4 hours, 10 messages a second, capacity 30",
        _USUAL,
    ),
    Case(
        "drawn-unlimited",
        "the same, a mapping without MaximumConcurrency before a target with capacity for 100",
        replace(_USUAL, capacity=100.0, max_concurrency=0, batch_size=10),
    ),
    Case(
        "low-traffic",
        "30 minutes, a message every 20 s, dead-lettered after 3 receives",
        Pipeline(rate=0.05, capacity=100.0, max_receives=3, visibility=60),
        outages=(1800.0,),
        seeds=8,
    ),
    Case(
        "thousands",
        "30 minutes, 5,000 messages a second, capacity 10,000",
        Pipeline(rate=5000.0, capacity=10_000.0, latency=0.2, max_concurrency=200),
        outages=(1800.0,),
        seeds=5,
    ),
    Case(
        "large-backlog",
        "4 hours, 1,000 messages a second, capacity 2,000",
        Pipeline(rate=1000.0, capacity=2000.0, latency=0.2, max_concurrency=40),
        outages=(4 * 3600.0,),
        seeds=3,
    ),
    Case(
        "collapse",
        "30 minutes, 20 messages a second; above 60 a second for 10 s the target collapses for 2 minutes",
        Pipeline(rate=20.0, capacity=60.0, latency=0.2),
        trouble=Trouble(collapse_after=10.0),
        outages=(1800.0,),
        seeds=5,
    ),
    Case(
        "partial-60",
        "30 minutes in which 60 % of the calls fail, seen by nobody's error rate of 80 %",
        _USUAL,
        trouble=Trouble(failing_percent=60.0),
        outages=(1800.0,),
        seeds=5,
    ),
)


def drawn_outages(seed: int = SEED, count: int = OUTAGES) -> tuple[float, ...]:
    """Lengths in whole seconds, evenly spread over their logarithm: short outages are more frequent."""
    dice = random.Random(seed)  # noqa: S311 - no secret
    low, high = math.log(SHORTEST), math.log(LONGEST)
    return tuple(float(round(math.exp(dice.uniform(low, high)))) for _ in range(count))


def run_case(case: Case) -> list[dict[str, Any]]:
    """Every policy over every outage of the case. Returns a row for each run."""
    rows = []
    outages = case.outages or drawn_outages()
    for name, policy, asks_after in VARIANTS:
        for place, seconds in enumerate(outages):
            for seed in range(1, case.seeds + 1):
                trouble = replace(case.trouble, outage=seconds)
                run = simulate(
                    policy,
                    case.pipeline,
                    trouble,
                    case.settings,
                    seed=seed if case.outages else place + 1,
                    horizon=HORIZON,
                    asks_after=asks_after,
                )
                rows.append({"case": case.name, "policy": name, "outage": seconds, **row_of(run, case)})
    return rows


def row_of(run: Run, case: Case) -> dict[str, Any]:
    """One run's figures, as they are kept."""
    figures = figures_of(run)
    incident = incident_of(run, figures, case)
    never = figures.fix_to_flowing is None
    return {
        "sent": figures.sent,
        "failed_calls": figures.failed_calls,
        "dead_lettered": figures.dead_lettered,
        "burnt": figures.receives_burnt,
        "most_receives": figures.most_receives,
        "to_open": figures.time_to_open,
        "to_flowing": figures.fix_to_flowing,
        "to_drained": figures.fix_to_drained,
        "stuck": bool(figures.stuck) and never,
        "peak": round(figures.peak_share, 3),
        "reopened": figures.reopened,
        "duplicated": run.events.duplicated,
        "cost": 0.0 if run.policy == Policy.NONE else round(incident.dollars, 8),
        "cost_of_work": round(incident.parts["transitions"] + incident.parts["steps"], 8),
    }


def incident_of(run: Run, figures: Figures, case: Case) -> Incident:
    """What the run used."""
    failed_probes = sum(not processed for _, processed in run.events.probes)
    latency = case.pipeline.latency
    if run.policy == Policy.REFERENCE:
        states = reference_states(executions=run.events.executions, failed_probes=failed_probes)
        return Incident(states, 0, figures.failed_calls, latency, run.events.copied)
    if run.policy == Policy.NONE:
        return Incident(0, 0, figures.failed_calls, latency)
    openings = len(run.events.closed) or bool(run.events.paused)
    reopened = len(run.events.reopened)
    steps_of_ramp = len(recovery_steps(_ramp(case), own=case.pipeline.max_concurrency, provisioned=False))
    states, steps = breaker_states(
        failed_probes=failed_probes,
        ramp_steps=openings * steps_of_ramp + reopened,
        looks=run.events.looks,
        reopened=reopened,
        openings=openings,
    )
    return Incident(states, steps, figures.failed_calls, latency)


def _ramp(case: Case) -> list[int]:
    settings = case.settings.circuit()
    return read_steps(settings["RampConcurrency"]) if settings["Recovery"] == "RAMP" else []


def mean_of(rows: Sequence[dict[str, Any]], name: str) -> float | None:
    """The mean of what happened; None where it never did."""
    values = [row[name] for row in rows if row[name] is not None]
    return fmean(values) if values else None


def rows_of(rows: Sequence[dict[str, Any]], case: str, policy: str) -> list[dict[str, Any]]:
    """The rows of one case and policy."""
    return [row for row in rows if row["case"] == case and row["policy"] == policy]
