from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simulator.figures import Figures, figures_of
from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy, _execution, simulate
from simulator.poller import AWS, LAB
from simulator.world import CLOSED, OPEN, Run, World

PIPELINE = Pipeline(rate=5.0, capacity=200.0)
OUTAGE = Trouble(outage=1800.0)


def run(policy: Policy = Policy.BREAKER, **changed: Any) -> Run:
    arguments: dict[str, Any] = {
        "pipeline": PIPELINE,
        "trouble": OUTAGE,
        "settings": BreakerSettings(),
        "every_second": True,
        **changed,
    }
    return simulate(policy, **arguments)


def figures(policy: Policy = Policy.BREAKER, **changed: Any) -> Figures:
    return figures_of(run(policy, **changed))


def limits_after_the_fix(seen: Run) -> list[int]:
    """The mapping's limits one after the other: 0 where it was disabled, -1 without a limit."""
    after = seen.series["limit"][int(seen.fixed) :]
    return [int(value) for place, value in enumerate(after) if place == 0 or value != after[place - 1]]


def set_to(**given: str) -> BreakerSettings:
    return BreakerSettings(given)


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("profile", [AWS, LAB])
@pytest.mark.parametrize("latency", [0.2, 3.0])
def test_run_at_every_second_holds_every_message_and_never_takes_one_back(
    policy: Policy, profile: Any, latency: float
) -> None:
    series = run(policy, profile=profile, pipeline=replace(PIPELINE, latency=latency, max_receives=3)).series
    there = series["processed"] + series["visible"] + series["hidden"] + series["dead_lettered"]
    assert np.array_equal(series["sent"], there)
    for name in ("sent", "processed", "dead_lettered", "failed_calls"):
        assert (np.diff(series[name]) >= 0).all()


@pytest.mark.parametrize("policy", Policy)
def test_run_with_the_same_seed_is_the_same_and_with_another_differs(policy: Policy) -> None:
    first, second, other = run(policy, seed=7), run(policy, seed=7), run(policy, seed=8)
    assert all(np.array_equal(first.series[name], second.series[name]) for name in first.series)
    if policy is not Policy.NONE:
        assert first.events != other.events


def test_no_breaker_in_an_outage_longer_than_its_receives_last_dead_letters() -> None:
    assert figures(Policy.NONE).dead_lettered > 1000
    assert figures(Policy.NONE, trouble=Trouble(outage=600.0)).dead_lettered == 0


def test_breaker_in_the_same_outage_dead_letters_nothing_and_closes() -> None:
    seen = run()
    result = figures_of(seen)
    assert (result.dead_lettered, result.waiting, result.stuck) == (0, 0, "")
    assert result.failed_calls < figures(Policy.NONE).failed_calls / 5
    assert seen.series["circuit"][-1] == CLOSED
    assert result.fix_to_closed is not None


def test_breaker_while_open_calls_the_target_by_probes_only() -> None:
    seen = run()
    open_seconds = (seen.series["circuit"] == OPEN) & (np.arange(seen.seconds) < seen.fixed)
    assert seen.series["offered"][open_seconds].sum() == 0
    failed = [at for at, processed in seen.events.probes if not processed]
    assert len(failed) == np.diff(seen.series["failed_calls"])[open_seconds[1:]].sum()


def test_breaker_never_waits_longer_than_its_longest_interval() -> None:
    probes = [at for at, _ in run(settings=set_to(MaxProbeIntervalSeconds="60")).events.probes]
    assert np.diff(probes).max() <= 62
    assert np.diff([at for at, _ in run().events.probes]).max() > 90


def test_breaker_with_a_ramp_lets_in_step_by_step() -> None:
    seen = run(pipeline=replace(PIPELINE, max_concurrency=40), settings=set_to(RampConcurrency="2,10"))
    assert limits_after_the_fix(seen) == [0, 2, 10, 40]


def test_breaker_without_a_limit_lets_a_backlog_in_by_a_fifth_above_capacity_at_most() -> None:
    small = Pipeline(rate=100.0, capacity=200.0, latency=0.5)
    seen = run(pipeline=small)
    result = figures_of(seen)
    # At once to 5, its usual load; slowly to 12; back to 10, which is the capacity, and held until the backlog is gone.
    assert limits_after_the_fix(seen) == [0, 2, 5, 6, 7, 8, 9, 10, 12, 10, -1]
    assert result.peak_share <= 1.2
    assert (result.dead_lettered, result.reopened, result.waiting) == (0, 0, 0)
    assert result.fix_to_drained is not None
    # At capacity it would take as long as the outage. The steps cost 20 minutes.
    assert result.fix_to_drained < OUTAGE.outage + 1500
    assert figures(Policy.REFERENCE, pipeline=small).peak_share > 10


def test_breaker_after_a_step_that_brought_the_target_down_stays_below_it() -> None:
    collapsing = Trouble(outage=1800.0, collapse_after=10.0)
    seen = run(pipeline=Pipeline(rate=100.0, capacity=200.0, latency=0.5), trouble=collapsing)
    limits = limits_after_the_fix(seen)
    assert limits.count(12) == 1
    assert max(limits[limits.index(12) + 1 :]) == 10
    assert figures_of(seen).reopened == 1


def test_breaker_with_recovery_immediate_lets_in_at_once() -> None:
    seen = run(settings=set_to(Recovery="IMMEDIATE"))
    after = seen.series["limit"][int(seen.fixed) :]
    assert set(after.tolist()) == {0, -1}


def test_breaker_whose_target_is_overloaded_by_a_step_opens_again() -> None:
    collapsing = Trouble(outage=1800.0, collapse_after=5.0, collapse_for=600.0)
    small = Pipeline(rate=10.0, capacity=15.0)
    assert figures(pipeline=small, trouble=collapsing).reopened >= 1
    assert figures(pipeline=replace(small, batch_size=1, max_concurrency=2), trouble=collapsing).reopened == 0


def test_breaker_with_few_failures_does_not_open() -> None:
    seen = figures(trouble=Trouble(outage=1800.0, failing_percent=30.0))
    assert seen.time_to_open is None
    assert figures(trouble=Trouble(outage=1800.0, failing_percent=95.0)).time_to_open is not None


def test_breaker_with_less_than_the_minimum_volume_does_not_open() -> None:
    rare = replace(PIPELINE, rate=0.02, visibility=1800)
    assert figures(pipeline=rare).time_to_open is None
    assert figures(pipeline=rare, settings=set_to(MinimumInvocations="1")).time_to_open is not None


def test_breaker_that_gives_up_stays_open_and_says_so() -> None:
    seen = figures(settings=set_to(MaxProbes="3"))
    assert (seen.probes, seen.fix_to_flowing) == (3, None)
    assert "gave up" in seen.stuck
    assert figures(settings=set_to(MaxProbes="3", OnGiveUp="CLOSE")).fix_to_flowing is not None


def test_reference_execution_uses_its_nine_probes_up() -> None:
    world = World(PIPELINE, Trouble(outage=1e6, healthy=0.0), AWS, None, seed=1, minute_phase=0.0)
    world.run("reference", _execution(world), horizon=-1e6 + 6000)
    waits = np.diff([at for at, _ in world.events.probes])
    assert [round(wait / 20) for wait in waits] == [1, 2, 4, 8, 16, 32, 64, 128]
    assert "probes are used up" in world.events.stuck


def test_reference_whose_own_probe_rings_the_alarm_starts_another_execution() -> None:
    seen = run(Policy.REFERENCE, trouble=Trouble(outage=3600.0))
    assert seen.events.executions > 1
    # Its eighth probe comes after a silence in which the alarm forgets.
    first = [at for at, _ in seen.events.probes][:7]
    assert [round(wait / 20) for wait in np.diff(first)] == [1, 2, 4, 8, 16, 32]
    assert figures_of(seen).fix_to_flowing is not None


def test_reference_puts_its_backlog_back_as_new_messages() -> None:
    seen = run(Policy.REFERENCE, trouble=Trouble(outage=900.0), every_second=True)
    assert seen.events.copied > PIPELINE.rate * 300
    flowing = next(at for at in seen.events.enabled if at > seen.events.paused[-1])
    probed = seen.events.probes[-1][0]
    assert 70 <= flowing - probed <= 85


def test_reference_whose_probe_finds_no_message_stays_paused() -> None:
    seen = figures(Policy.REFERENCE, pipeline=replace(PIPELINE, rate=0.03, visibility=1800))
    assert "found no message" in seen.stuck


def test_reference_after_one_success_lets_everything_in() -> None:
    fitting = Pipeline(rate=5.0, capacity=50.0)
    assert figures(Policy.REFERENCE, pipeline=fitting).peak_share > 2
    assert figures(pipeline=replace(fitting, max_concurrency=2, batch_size=5)).peak_share <= 1.2


def test_longer_visibility_timeout_burns_fewer_receives() -> None:
    burnt = [figures(pipeline=replace(PIPELINE, visibility=seconds)).receives_burnt for seconds in (30, 180, 900)]
    assert burnt[0] > burnt[1] > burnt[2]


def test_more_receives_dead_letter_fewer() -> None:
    dead = [figures(Policy.NONE, pipeline=replace(PIPELINE, max_receives=most)).dead_lettered for most in (3, 5, 20)]
    assert dead[0] > dead[1] > dead[2] == 0


def test_longer_outage_fails_more_without_and_hardly_more_with_the_breaker() -> None:
    without = [figures(Policy.NONE, trouble=Trouble(outage=seconds)).failed_calls for seconds in (900.0, 3600.0)]
    with_breaker = [figures(trouble=Trouble(outage=seconds)).failed_calls for seconds in (900.0, 3600.0)]
    assert without[1] > 3 * without[0]
    assert with_breaker[1] < 1.2 * with_breaker[0]


def test_slow_poller_without_partial_batch_response_fails_fewer_calls() -> None:
    slowed = replace(PIPELINE, partial_batch_response=False, rate=50.0, latency=1.0)
    assert (
        figures(Policy.NONE, pipeline=slowed).failed_calls
        < figures(Policy.NONE, pipeline=replace(slowed, partial_batch_response=True)).failed_calls
    )


def test_breaker_whose_alarm_still_rings_asks_more_than_one_message() -> None:
    seen = run(trouble=Trouble(outage=150.0), minute_phase=0.0)
    assert len(seen.events.probes) >= 2
    assert all(processed for _, processed in seen.events.probes)


def failed_by_second(seen: Run, *, seconds: int) -> dict[int, int]:
    """Failed calls by seconds since the break, up to so many seconds after it."""
    since_break = np.diff(seen.series["failed_calls"], prepend=0)[int(seen.trouble.healthy) :]
    return {at: int(count) for at, count in enumerate(since_break[:seconds]) if count}


def test_run_in_the_lab_fails_five_calls_slowly_that_start_processes_and_then_a_round_of_few_each_11_seconds() -> None:
    # As a lab's log shows it: a message a second, five processes to start, then a batch of ten and one of one.
    lab = replace(LAB, target_start_seconds=40.0)
    quick = Pipeline(rate=1.0, capacity=10_000.0, latency=1e-6)
    failed = failed_by_second(run(Policy.NONE, profile=lab, pipeline=quick), seconds=100)
    assert failed == {40: 1, 41: 1, 42: 1, 43: 1, 44: 1, 55: 5, 66: 2, 77: 2, 88: 2, 99: 2}


def test_run_in_the_lab_counts_the_calls_that_the_break_ends_and_shows_their_messages_again() -> None:
    slow = Pipeline(rate=3.0, capacity=10_000.0, latency=30.0)
    at_work = run(profile=LAB, pipeline=slow, trouble=Trouble(outage=300.0, healthy=315.0))
    assert failed_by_second(at_work, seconds=11) == {0: 5}
    assert at_work.series["processed"][-1] > 0.9 * at_work.series["sent"][-1]
    # Calls of 0.4 s are seldom at work, and there is one a second.
    short = [
        run(profile=LAB, pipeline=replace(slow, rate=1.0, latency=0.4), seed=seed, trouble=Trouble(10.0))
        for seed in range(40)
    ]
    ended = [failed_by_second(each, seconds=1).get(0, 0) for each in short]
    assert set(ended) == {0, 1}
    assert 6 <= sum(ended) <= 26


def test_run_in_the_lab_starts_the_function_of_each_step_once() -> None:
    opened = [
        figures(profile=replace(LAB, step_start_seconds=seconds), minute_phase=0.0).time_to_open
        for seconds in (0.0, 30.0)
    ]
    assert None not in opened
    # LoadCircuit and OpenCircuit, and ConfirmPaused in place of a wait for the mapping.
    assert 2 * 28 <= opened[1] - opened[0] <= 3 * 28  # type: ignore[operator]
    world = World(PIPELINE, OUTAGE, replace(LAB, step_starts={"CloseCircuit": 50.0}), None, seed=1)
    taken = [world.step_seconds(step) for step in ("OpenCircuit", "OpenCircuit", "ProbeTarget", "CloseCircuit")]
    assert taken == [LAB.step_start_seconds, LAB.step_seconds, LAB.step_start_seconds, 50.0]


def test_run_on_aws_ends_no_call_at_the_break() -> None:
    slow = Pipeline(rate=1.0, capacity=10_000.0, latency=30.0)
    assert 0 not in failed_by_second(run(profile=replace(AWS, counts_failures_at_end=True), pipeline=slow), seconds=20)
