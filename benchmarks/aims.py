"""What was to be reached, as ratios to the reference policy, and whether it was. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import policies
from benchmarks.cost import Incident
from benchmarks.figures import Measurement
from benchmarks.sweep import mean_of, rows_of

FAILED_CALLS_AT_MOST = 0.3
FLOWING_AT_MOST = 0.25
PEAK_AT_MOST = 1.2
COST_AT_MOST = 1.5


@dataclass(frozen=True)
class Aim:
    """One aim, what was found, and whether that meets it; None where it was not measured."""

    where: str
    text: str
    found: str
    met: bool | None

    @property
    def verdict(self) -> str:
        """In two words."""
        return {True: "met", False: "not met", None: "not measured"}[self.met]


def ratio_aim(where: str, text: str, ours: float | None, theirs: float | None, most: float) -> Aim:
    """An aim on our figure as a share of the reference's."""
    if ours is None or theirs is None:
        return Aim(where, text, "-", None)
    if theirs == 0:
        return Aim(where, text, f"{ours:g} against 0", ours == 0)
    return Aim(where, text, f"{ours / theirs:.2f} ({ours:,.4g} against {theirs:,.4g})", ours / theirs <= most)


def lab_aims(measured: Sequence[Measurement]) -> list[Aim]:
    """The aims that the lab can show."""
    by_run = {(each.scenario, each.policy): each for each in measured}
    reference = by_run.get(("ten-minutes", "reference"))
    aims = []
    for policy, name in (("ramp", "error rate"), ("fast-trip", "fast trip")):
        ours = by_run.get(("ten-minutes", policy))
        aims.append(
            ratio_aim(
                "lab",
                f"failed calls at most {FAILED_CALLS_AT_MOST} of the reference's, tripped by the {name}",
                None if ours is None else _all_failed(ours),
                None if reference is None else _all_failed(reference),
                FAILED_CALLS_AT_MOST,
            )
        )
    ramp = by_run.get(("ten-minutes", "ramp"))
    aims.append(
        ratio_aim(
            "lab",
            f"cost of an incident at most {COST_AT_MOST} of the reference's, failed calls and re-jitter included",
            None if ramp is None else incident_of(ramp).dollars,
            None if reference is None else incident_of(reference).dollars,
            COST_AT_MOST,
        )
    )
    aims.append(_nothing_lost(by_run, "ramp", "the template's defaults"))
    aims.append(_nothing_lost(by_run, "fast-trip", "the fast trip"))
    aims.append(_nothing_left(by_run, "redrive", "`Redrive`"))
    aims.append(_nothing_left(by_run, "redrive-minimum-3", "`Redrive` and `MinimumInvocations` 3"))
    return aims


def incident_of(measured: Measurement) -> Incident:
    """What a run in the lab used. The reference policy's AWS calls are Step Functions' own on AWS: no function runs."""
    ours = policies.BY_NAME[measured.policy].kind == "breaker"
    return Incident(
        transitions=measured.transitions,
        steps=measured.function_calls if ours else 0,
        failed_calls=measured.failed_calls + measured.failed_after_fix,
        failed_call_seconds=0.1,
        copied=measured.copied,
        copied_by_breaker=ours,
    )


def _all_failed(measurement: Measurement) -> int:
    return measurement.failed_calls + measurement.failed_after_fix


def _nothing_lost(by_run: dict[tuple[str, str], Measurement], policy: str, settings: str) -> Aim:
    return _none_of(
        by_run,
        f"nothing dead-lettered, lost or stuck where the reference has any, with {settings}",
        policy,
        lambda measured: measured.dead_lettered,
        "dead-lettered",
    )


def _nothing_left(by_run: dict[tuple[str, str], Measurement], policy: str, settings: str) -> Aim:
    return _none_of(
        by_run,
        f"nothing left in the dead-letter queue, lost or stuck where the reference has any, with {settings}",
        policy,
        lambda measured: measured.left_dead_lettered,
        "left in the dead-letter queue",
    )


def _none_of(
    by_run: dict[tuple[str, str], Measurement], text: str, policy: str, count: Callable[[Measurement], int], said: str
) -> Aim:
    """An aim that none of what is counted is there, and nothing lost or stuck, wherever the reference has any."""
    worse, compared = [], 0
    for (scenario, whose), theirs in by_run.items():
        ours = by_run.get((scenario, policy))
        if whose != "reference" or ours is None or not (count(theirs) or theirs.lost or theirs.stuck):
            continue
        compared += 1
        found = [f"{count(ours)} {said}, the reference {count(theirs)}"] if count(ours) else []
        found += [f"{ours.lost} lost"] if ours.lost else []
        found += ["stuck"] if ours.stuck else []
        if found:
            worse.append(f"{scenario}: {', '.join(found)}")
    if not compared:
        return Aim("lab", text, "-", None)
    return Aim("lab", text, "; ".join(worse) or f"none in {compared} scenarios", not worse)


def simulated_aims(rows: Sequence[dict[str, Any]]) -> list[Aim]:
    """The aims that need many outages."""
    drawn = {policy: rows_of(rows, "drawn", policy) for policy in ("reference", "breaker", "fast-trip")}
    if not all(drawn.values()):
        return []
    aims = [
        ratio_aim(
            "simulated",
            f"failed calls at most {FAILED_CALLS_AT_MOST} of the reference's, tripped by the {name}",
            mean_of(drawn[policy], "failed_calls"),
            mean_of(drawn["reference"], "failed_calls"),
            FAILED_CALLS_AT_MOST,
        )
        for policy, name in (("breaker", "error rate"), ("fast-trip", "fast trip"))
    ]
    aims.append(
        ratio_aim(
            "simulated",
            f"mean time from fix to flowing at most {FLOWING_AT_MOST} of the reference's",
            mean_of(drawn["breaker"], "to_flowing"),
            mean_of(drawn["reference"], "to_flowing"),
            FLOWING_AT_MOST,
        )
    )
    aims.extend(
        _peak_aim(text, rows_of(rows, case, "breaker"))
        for case, text in (
            ("drawn", "a mapping with MaximumConcurrency that fits"),
            ("drawn-unlimited", "a mapping without a limit of its own"),
        )
    )
    aims.extend(
        ratio_aim(
            "simulated",
            f"cost of an incident at most {COST_AT_MOST} of the reference's, {what}",
            mean_of(drawn["breaker"], name),
            mean_of(drawn["reference"], name),
            COST_AT_MOST,
        )
        for name, what in (
            ("cost", "failed calls and re-jitter included"),
            ("cost_of_work", "the breaker's work alone"),
        )
    )
    return aims


def _peak_aim(what: str, rows: Sequence[dict[str, Any]]) -> Aim:
    text = f"peak after the fix at most {PEAK_AT_MOST} of the target's capacity: {what}"
    if not rows:
        return Aim("simulated", text, "-", None)
    worst = max(row["peak"] for row in rows)
    return Aim("simulated", text, f"{worst:.2f} at worst", worst <= PEAK_AT_MOST)
