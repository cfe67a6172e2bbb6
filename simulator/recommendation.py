"""Which settings to choose, and why: alternatives are simulated, and the best is kept before the next is looked at."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from statistics import fmean

from simulator.figures import Figures, figures_of
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, simulate
from simulator.rules import LEAST_CONCURRENCY

# Alternatives are tried on at most this much of an outage: what differs between them shows in its begin and its end.
LONGEST_TRIED = 3600.0
# So much above capacity for ten seconds is called a peak that fits.
PEAK_THAT_FITS = 1.2
_INTERVALS = (30, 60, 120, 300, 600)
_RAMPS = ("2", "2,10", "2,10,50", "2,5,20,80")
# Where a recovery may go unnoticed for so long, or for this share of the outage, fewer probes are better.
_UNNOTICED_SECONDS, _UNNOTICED_SHARE = 60.0, 0.05
_UNLIMITED_RECEIVES = 100
_AWS_LEAST_RECEIVES = 5
_SPARE_RECEIVES = 2
_TIMEOUTS_HIDDEN = 6
# A backlog that drains less than a tenth sooner is no reason to change a ramp.
_WORTH_A_CHANGE = 1.1
# Outages of different lengths end at different moments between two probes.
_SHIFTS = (0.0, 37.0, 71.0, 113.0, 149.0)


@dataclass(frozen=True)
class Advice:
    """One setting: the value to choose, whether that is a change, and the figures that lead to it."""

    setting: str
    value: str
    is_change: bool
    reason: str


@dataclass
class _Desk:
    """The choice so far, and the means to try others."""

    pipeline: Pipeline
    trouble: Trouble
    settings: BreakerSettings
    seed: int

    def tried(self, pipeline: Pipeline | None = None, **changed: str) -> Figures:
        return self._run(pipeline or self.pipeline, self.trouble, self.settings.but(**changed), self.seed)

    def tried_often(self, **changed: str) -> list[Figures]:
        return [
            self._run(
                self.pipeline,
                replace(self.trouble, outage=self.trouble.outage + shift),
                self.settings.but(**changed),
                self.seed + place,
            )
            for place, shift in enumerate(_SHIFTS)
        ]

    @staticmethod
    def _run(pipeline: Pipeline, trouble: Trouble, settings: BreakerSettings, seed: int) -> Figures:
        return figures_of(simulate(Policy.BREAKER, pipeline, trouble, settings, seed=seed, horizon=3600.0))


def recommend(pipeline: Pipeline, trouble: Trouble, settings: BreakerSettings, *, seed: int) -> list[Advice]:
    """Recommend settings for this pipeline and this outage."""
    trouble = replace(trouble, outage=min(trouble.outage, LONGEST_TRIED))
    desk = _Desk(pipeline, trouble, settings, seed)
    advice: list[Advice] = []
    for choose in (_trip, _concurrency, _visibility, _receives, _interval, _ramp):
        advice.extend(choose(desk))
    return advice


def _trip(desk: _Desk) -> Iterable[Advice]:
    current = desk.settings.circuit()["MinimumInvocations"]
    if desk.tried().time_to_open is not None:
        return
    for fewer in (minimum for minimum in (3, 2, 1) if minimum < current):
        seen = desk.tried(MinimumInvocations=str(fewer))
        if seen.time_to_open is not None:
            desk.settings = desk.settings.but(MinimumInvocations=str(fewer))
            yield Advice(
                "MinimumInvocations",
                str(fewer),
                is_change=True,
                reason=f"with {current} the circuit never opens: no period has so many failed calls and so few others. "
                f"With {fewer} it opens after {seen.time_to_open:.0f} s. One failed call weighs more then.",
            )
            return
    if desk.trouble.failing_percent < desk.settings.circuit()["ErrorRatePercent"]:
        why = f"ErrorRatePercent is above the {desk.trouble.failing_percent:g} % of the calls that fail"
    else:
        why = "it is too short, or has too few calls"
    yield Advice(
        "MinimumInvocations", str(current), is_change=False, reason=f"the circuit never opens in this outage: {why}."
    )


def _concurrency(desk: _Desk) -> Iterable[Advice]:
    pipeline, before = desk.pipeline, desk.tried()
    own = pipeline.max_concurrency
    name = "MaximumConcurrency of the mapping"
    if before.peak_share <= PEAK_THAT_FITS and not before.reopened:
        yield Advice(
            name,
            str(own) if own else "none",
            is_change=False,
            reason=f"after the fix at most {before.peak:.0f} messages a second reach the target, "
            f"{before.peak_share:.2f} of what it can take.",
        )
        return
    fits = math.floor(pipeline.capacity * pipeline.latency / pipeline.batch_size)
    changed = replace(pipeline, max_concurrency=max(fits, LEAST_CONCURRENCY))
    if fits < LEAST_CONCURRENCY:
        # Lambda allows no less than two calls at once, so their batches have to be smaller.
        batch = max(1, math.floor(pipeline.capacity * pipeline.latency / LEAST_CONCURRENCY))
        changed = replace(changed, batch_size=batch)
    after = desk.tried(changed)
    if after.peak_share >= before.peak_share:
        yield Advice(name, str(own) if own else "none", is_change=False, reason=_nothing_helps(before))
        return
    desk.pipeline = changed
    yield Advice(
        name,
        str(changed.max_concurrency),
        changed.max_concurrency != own,
        f"without it the backlog arrives at up to {before.peak:.0f} messages a second, {before.peak_share:.1f} times "
        f"what the target can take, and {before.failed_after:,} calls fail after the fix (opened again: "
        f"{before.reopened}). With it {after.peak:.0f} a second, {after.peak_share:.2f} times, "
        f"{after.failed_after:,} failed calls.",
    )
    if changed.batch_size != pipeline.batch_size:
        yield Advice(
            "BatchSize",
            str(changed.batch_size),
            is_change=True,
            reason=f"Lambda allows no less than {LEAST_CONCURRENCY} calls at once, and {LEAST_CONCURRENCY} batches of "
            f"{pipeline.batch_size} every {pipeline.latency:g} s are more than {pipeline.capacity:g} "
            "messages a second.",
        )
    if after.peak_share > PEAK_THAT_FITS:
        yield Advice("the function itself", "a rate limit", is_change=True, reason=_nothing_helps(after))


def _nothing_helps(seen: Figures) -> str:
    return (
        f"the target is too fast and too small for a limit of calls at once: {seen.peak:.0f} messages a second reach "
        f"it even so. Only a limit of its rate, in the function, would protect it."
    )


def _visibility(desk: _Desk) -> Iterable[Advice]:
    pipeline = desk.pipeline
    wanted = _TIMEOUTS_HIDDEN * pipeline.timeout
    if pipeline.visibility >= wanted:
        yield Advice(
            "visibility timeout of the queue",
            f"{pipeline.visibility} s",
            is_change=False,
            reason=f"it is at least {_TIMEOUTS_HIDDEN} times the function's timeout of {pipeline.timeout} s, as AWS "
            "advises.",
        )
        return
    before, after = desk.tried(), desk.tried(replace(pipeline, visibility=wanted))
    desk.pipeline = replace(pipeline, visibility=wanted)
    yield Advice(
        "visibility timeout of the queue",
        f"{wanted} s",
        is_change=True,
        reason=f"{_TIMEOUTS_HIDDEN} times the function's timeout of {pipeline.timeout} s, as AWS advises. Receives "
        f"that come to nothing: {before.receives_burnt:,} with {pipeline.visibility} s, {after.receives_burnt:,} with "
        f"{wanted} s.",
    )


def _receives(desk: _Desk) -> Iterable[Advice]:
    pipeline, before = desk.pipeline, desk.tried()
    unlimited = desk.tried(replace(pipeline, max_receives=_UNLIMITED_RECEIVES))
    wanted = max(_AWS_LEAST_RECEIVES, unlimited.most_receives + _SPARE_RECEIVES)
    used = f"no message is received more than {unlimited.most_receives} times in this outage"
    if not before.dead_lettered and pipeline.max_receives >= unlimited.most_receives + 1:
        spare = pipeline.max_receives - unlimited.most_receives
        yield Advice(
            "maxReceiveCount", str(pipeline.max_receives), is_change=False, reason=f"{used}, so {spare} are to spare."
        )
        return
    desk.pipeline = replace(pipeline, max_receives=wanted)
    yield Advice(
        "maxReceiveCount",
        str(wanted),
        wanted != pipeline.max_receives,
        f"with {pipeline.max_receives}, {before.dead_lettered:,} messages are dead-lettered in spite of the breaker; "
        f"{used}, and {_SPARE_RECEIVES} are kept to spare.",
    )


def _interval(desk: _Desk) -> Iterable[Advice]:
    current = desk.settings.circuit()["MaxProbeIntervalSeconds"]
    allowed = max(_UNNOTICED_SECONDS, _UNNOTICED_SHARE * desk.trouble.outage)
    means: dict[int, tuple[float, float]] = {}
    for interval in sorted({*_INTERVALS, current}):
        seen = desk.tried_often(MaxProbeIntervalSeconds=str(interval))
        flowing = [each.fix_to_flowing for each in seen if each.fix_to_flowing is not None]
        if len(flowing) == len(seen) and all(each.time_to_open is not None for each in seen):
            means[interval] = fmean(flowing), fmean(each.probes for each in seen)
    if not means:
        return
    fitting = [interval for interval, (mean, _) in means.items() if mean <= allowed]
    best = max(fitting) if fitting else min(means, key=lambda interval: means[interval][0])
    if current in fitting and means[best][1] > 0.8 * means[current][1]:
        # Hardly fewer probes are no reason to change anything.
        best = current
    desk.settings = desk.settings.but(MaxProbeIntervalSeconds=str(best))
    table = ", ".join(f"{interval} s: {mean:.0f} s and {probes:.0f}" for interval, (mean, probes) in means.items())
    yield Advice(
        "MaxProbeIntervalSeconds",
        str(best),
        best != current,
        f"the longest that lets messages flow within {allowed:.0f} s of the fix in the mean of {len(_SHIFTS)} outages "
        f"(from the fix to flowing, and probes: {table})."
        if fitting
        else f"no interval lets messages flow within {allowed:.0f} s of the fix in the mean; this one is the fastest "
        f"({table}).",
    )


def _ramp(desk: _Desk) -> Iterable[Advice]:
    settings = desk.settings.circuit()
    current = settings["Recovery"] if settings["Recovery"] != "RAMP" else settings["RampConcurrency"]
    options = {"IMMEDIATE": {"Recovery": "IMMEDIATE"}} | {
        ramp: {"Recovery": "RAMP", "RampConcurrency": ramp}
        for ramp in dict.fromkeys((*_ramps(desk), settings["RampConcurrency"]))
    }
    seen = {name: desk.tried(**changed) for name, changed in options.items()}
    # The simulated target is at its full strength the moment it is mended. Yours may not be: no ramp is taken away.
    eligible = [name for name in seen if name in (current, *_ramps(desk))]
    best = min(eligible, key=lambda name: _badness(seen[name], changed=name != current))
    table = "; ".join(
        f"{name}: {each.failed_after} failed calls, {each.peak_share:.2f} of capacity, "
        f"{'not drained' if each.fix_to_drained is None else f'drained after {each.fix_to_drained:.0f} s'}"
        for name, each in seen.items()
    )
    name = "Recovery" if best == "IMMEDIATE" else "RampConcurrency"
    yield Advice(name, best, best != current, f"after the fix, {table}.")


def _ramps(desk: _Desk) -> list[str]:
    """The ramps to try, one of them half as high as the mapping's own limit."""
    half = desk.pipeline.max_concurrency // 2
    return [*_RAMPS, *([f"{LEAST_CONCURRENCY},{half}"] if half > LEAST_CONCURRENCY else [])]


def _badness(seen: Figures, *, changed: bool) -> tuple[float, ...]:
    """What is worse is greater. Hardly better is no reason to change."""
    drained = math.inf if seen.fix_to_drained is None else seen.fix_to_drained
    return (
        bool(seen.stuck),
        seen.dead_lettered,
        seen.reopened,
        seen.collapses,
        max(0.0, round(seen.peak_share - PEAK_THAT_FITS, 1)),
        round(seen.failed_after / 10),
        drained * (_WORTH_A_CHANGE if changed else 1),
    )
