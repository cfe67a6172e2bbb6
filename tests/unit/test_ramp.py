"""The steps of a ramp."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.errors import InvalidSetting
from breaker.ramp import MOST_CONCURRENCY, Recovery, Shown, read_steps, recovery_steps
from breaker.settings import read_settings

GIVEN = {
    "CircuitName": "orders",
    "TargetFunction": "orders-target",
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:orders",
    "AlarmNames": ["errors"],
}


@pytest.mark.parametrize(("text", "steps"), [("2", [2]), ("2,10", [2, 10]), ("2,3,4,5,1000", [2, 3, 4, 5, 1000])])
def test_read_steps_good_text_is_a_list(text: str, steps: list[int]) -> None:
    assert read_steps(text) == steps


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1,2", "must be 2 to 1000 in each step"),
        ("2,1001", "must be 2 to 1000 in each step"),
        ("10,2", "must grow from step to step"),
        ("2,2", "must grow from step to step"),
        ("2, 10", "RampConcurrency: '2, 10' must match pattern"),
        ("", "RampConcurrency: '' must match pattern"),
        ("2,3,4,5,6,7", "RampConcurrency: '2,3,4,5,6,7' must match pattern"),
    ],
)
def test_setting_that_cannot_work_is_refused_naming_field_value_and_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^RampConcurrency: '{text}'") as refused:
        read_settings({**GIVEN, "RampConcurrency": text})
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    ("own", "provisioned", "steps"),
    [
        (0, False, [2, 10, 0]),
        (50, False, [2, 10, 50]),
        (10, False, [2, 10]),
        (5, False, [2, 5]),
        (2, False, [2]),
        (0, True, [0]),
    ],
)
def test_recovery_steps_end_with_the_owners_own(own: int, provisioned: bool, steps: list[int]) -> None:
    assert recovery_steps([2, 10], own=own, provisioned=provisioned) == steps


@given(st.lists(st.integers(2, 1000), max_size=5, unique=True).map(sorted), st.just(0) | st.integers(2, 1000))
def test_recovery_steps_grow_and_never_pass_the_owners_own(ramp: list[int], own: int) -> None:
    steps = recovery_steps(ramp, own=own, provisioned=False)
    assert steps[-1] == own
    limits = [step or 1001 for step in steps]
    assert limits == sorted(set(limits))


# While a backlog waits ----------------------------------------------------------------------------------------------

BACKLOG = Shown(waiting=100_000, processed=2400, known_good=6000, strained=False, seconds_open=1800)
# More steps than any ramp through a backlog of this size takes.
_MANY = 5000


def on(*steps: int, step: int | None = None, **more: Any) -> Recovery:
    """Return a recovery in the step before its last, unless told otherwise."""
    return Recovery([*steps], len(steps) - 2 if step is None else step, "2026-03-01T12:00:00Z", **more)


@pytest.mark.parametrize(
    ("recovery", "shown", "expected"),
    [
        # What the target is known to have processed is given at once, in proportion.
        (on(2, 0), {}, 5),
        (on(2, 0), {"processed": 12, "known_good": 6000}, 20),
        (on(20, 0), {"processed": 120, "known_good": 6000}, 200),
        # Beyond, a fifth more, and one more at least.
        (on(2, 5, 0), {"processed": 6000}, 6),
        (on(2, 0), {"processed": 6000}, 3),
        (on(2, 100, 0), {"processed": 120_000}, 120),
        # Where nothing is known, half as much again.
        (on(2, 0), {"processed": 0}, 3),
        (on(2, 100, 0), {"known_good": 0}, 150),
        # The steps of RampConcurrency come first.
        (on(2, 10, 50, 0, step=0), {}, 10),
        # The owner's own is never passed.
        (on(2, 46, 50), {"processed": 12_000}, 50),
        (on(2, 4), {}, 4),
        (on(2, 900, 0), {"processed": 12_000}, 0),
    ],
)
def test_after_good_step_with_a_backlog_more_is_let_in(
    recovery: Recovery, shown: dict[str, Any], expected: int
) -> None:
    following = recovery.after_good_step(replace(BACKLOG, **shown))
    assert following.concurrency == expected
    assert (following.step, following.began) == (recovery.step + 1, "")
    assert following.steps[-1] == recovery.steps[-1]


@pytest.mark.parametrize(
    ("waiting", "seconds_open", "fast"),
    [(60_000, 1800, True), (60_001, 1800, False), (120_000, 3600, True)],
)
def test_backlog_goes_fast_when_it_is_gone_in_a_third_of_the_time_that_it_came_in(
    waiting: int, seconds_open: int, fast: bool
) -> None:
    # 6,000 a minute: 60,000 in ten minutes.
    assert Shown(waiting, 6000, 6000, strained=False, seconds_open=seconds_open).goes_fast is fast


@pytest.mark.parametrize(
    ("recovery", "shown", "expected"),
    [
        # One call more would be more than a fifth.
        (on(2, 0), {}, 2),
        (on(2, 4, 0), {}, 4),
        (on(2, 0), {"known_good": 0}, 2),
        # What the target is known to have stood is given all the same, and a fifth more.
        (on(2, 0), {"known_good": 15_000}, 5),
        (on(2, 5, 0), {}, 6),
        (on(2, 100, 0), {"known_good": 0}, 120),
        # So are the steps of RampConcurrency.
        (on(2, 10, 50, 0, step=0), {}, 10),
        # A backlog that grows, or nothing of which is processed, does not go fast.
        (on(2, 0), {"waiting": 60_001}, 3),
        (on(2, 0), {"processed": 0}, 3),
    ],
)
def test_backlog_that_goes_fast_is_not_hurried(recovery: Recovery, shown: dict[str, Any], expected: int) -> None:
    fast = Shown(waiting=60_000, processed=6000, known_good=6000, strained=False, seconds_open=1800)
    following = recovery.after_good_step(replace(fast, **shown))
    assert following.concurrency == expected
    assert (following.step == recovery.step) is (expected == recovery.concurrency)


@pytest.mark.parametrize(
    ("waiting", "processed", "drained"),
    [(0, 0, True), (10, 0, True), (11, 0, False), (40, 2400, True), (41, 2400, False)],
)
def test_owners_own_comes_back_when_no_backlog_is_left(waiting: int, processed: int, drained: bool) -> None:
    shown = replace(BACKLOG, waiting=waiting, processed=processed)
    assert (on(2, 5, 0).after_good_step(shown).concurrency == 0) is drained


def test_given_steps_are_taken_also_when_no_backlog_is_left() -> None:
    drained = replace(BACKLOG, waiting=0)
    steps = [on(2, 10, 0, step=0)]
    while not steps[-1].is_last:
        steps.append(steps[-1].after_good_step(drained))
    assert [step.concurrency for step in steps] == [2, 10, 0]


@pytest.mark.parametrize(
    ("recovery", "expected", "after"),
    [
        (on(2, 5, 6, 0), 5, 5),
        (on(2, 5, 6, 5, 0), 3, 4),
        (on(2, 30, 0), 20, 24),
        (on(2, 3, 0), 2, 2),
        (on(2, 10, 50, 0, step=1), 6, 7),
    ],
)
def test_step_that_strains_the_target_is_taken_back_and_the_ramp_stays_below(
    recovery: Recovery, expected: int, after: int
) -> None:
    strained = recovery.after_good_step(replace(BACKLOG, strained=True))
    assert (strained.concurrency, strained.too_much) == (expected, recovery.concurrency)
    following = replace(strained, began="2026-03-01T12:05:00Z").after_good_step(BACKLOG)
    assert following.concurrency == after
    assert (following.step == strained.step) is (after == expected)
    while following.step != strained.step and following.concurrency < recovery.concurrency - 1:
        strained, following = following, following.after_good_step(BACKLOG)
    assert following.concurrency < recovery.concurrency
    assert following.after_good_step(replace(BACKLOG, waiting=0)).is_last


def test_step_that_processes_no_more_than_the_one_before_is_taken_back() -> None:
    raised = on(2, 5, 0).after_good_step(replace(BACKLOG, processed=6000))
    assert raised.concurrency == 6
    assert raised.after_good_step(replace(BACKLOG, processed=6000)).concurrency == 5
    assert raised.after_good_step(replace(BACKLOG, processed=6001)).concurrency == 7


def test_least_concurrency_that_strains_the_target_is_held() -> None:
    held = on(2, 0).after_good_step(replace(BACKLOG, strained=True))
    assert (held.step, held.concurrency, held.too_much) == (0, 2, 2)


def test_hold_goes_on_while_the_backlog_shrinks() -> None:
    recovery, waiting = on(2, 5, 0, too_much=6), 100_000
    while waiting > 100:
        recovery = recovery.after_good_step(replace(BACKLOG, waiting=waiting))
        assert (recovery.step, recovery.fruitless) == (1, 0)
        waiting = int(waiting * 0.94)


def test_hold_that_does_not_shrink_the_backlog_tries_more_and_then_ends() -> None:
    recovery, seen = on(2, 5, 0, too_much=6), []
    while not recovery.is_last:
        # 6 is too much each time.
        strained = recovery.concurrency == 6
        recovery = recovery.after_good_step(replace(BACKLOG, processed=6000, strained=strained))
        seen.append(recovery.concurrency)
    assert seen == [*[5] * 5, 6, *[5] * 5, 6, *[5] * 5, 0]


@pytest.mark.parametrize(
    ("recovery", "expected"),
    [
        (on(2, 5, 6, 0, beyond=True), 6),
        (on(2, 5, 0), 0),
        (on(2, 5, 0, too_much=7), 7),
        (on(2, 0, beyond=True), 0),
        (on(2, 5, 0, step=2), 0),
        (on(2, 5, 0, step=2, too_much=6), 6),
        (on(2, 900, 0, step=2, beyond=True), 1001),
        (on(2, 46, 50, step=2, beyond=True), 50),
    ],
)
def test_too_much_after_reopening_is_a_step_that_was_more_than_the_target_had_stood(
    recovery: Recovery, expected: int
) -> None:
    assert recovery.too_much_after_reopening() == expected


def test_raised_step_is_beyond_only_where_it_is_more_than_the_target_had_stood() -> None:
    known = on(2, 0).after_good_step(BACKLOG)
    assert (known.concurrency, known.beyond) == (5, False)
    assert known.after_good_step(replace(BACKLOG, processed=6000)).beyond
    assert on(2, 0).after_good_step(replace(BACKLOG, known_good=0)).beyond
    assert on(2, 10, 0, step=0).after_good_step(BACKLOG).beyond


owns = st.just(0) | st.integers(2, 1000)
ramps = st.lists(st.integers(2, 1000), min_size=1, max_size=5, unique=True).map(sorted)


@given(
    st.integers(2, 50),
    owns,
    st.floats(20, 1000),
    st.floats(100, 1_000_000),
    st.floats(0.01, 1),
    st.integers(1, 10_000_000),
    st.just(0) | st.integers(1, 1_000_000),
)
def test_target_with_a_capacity_is_given_a_fifth_more_at_most_until_the_backlog_is_gone(
    first: int, own: int, each: float, capacity: float, usual: float, waiting: int, seconds_open: int
) -> None:
    """One call more a minute processes so many messages more, up to the capacity; messages come at the usual load."""
    recovery = Recovery(recovery_steps([first], own=own, provisioned=False), 0)
    looks = 0
    while not recovery.is_last:
        asked = recovery.concurrency * each
        # Failures of a twentieth show; what does not show is taken for good. Less than the least is not to be had, and
        # where that does not shrink the backlog one call more is tried.
        fits = 1.05 * capacity
        assert asked <= max(1.2 * fits, fits + each, (first + 1) * each)
        waiting = max(0, round(waiting - 4 * (min(asked, capacity) - usual * capacity)))
        shown = Shown(
            waiting,
            round(min(asked, capacity)),
            known_good=int(usual * capacity),
            strained=asked > fits,
            seconds_open=seconds_open,
        )
        recovery = recovery.after_good_step(shown)
        looks += 1
        assert looks < _MANY


@given(
    ramps,
    owns,
    st.integers(11, 10_000_000),
    st.lists(st.tuples(st.integers(0, 600), st.integers(0, 600), st.booleans()), min_size=1, max_size=20),
    st.integers(0, 10_000_000),
)
def test_every_ramp_ends_with_the_owners_own_whatever_is_seen(
    given_steps: list[int], own: int, waiting: int, seen: list[tuple[int, int, bool]], seconds_open: int
) -> None:
    recovery, looks = Recovery(recovery_steps(given_steps, own=own, provisioned=False), 0), 0
    while not recovery.is_last:
        processed, known_good, strained = seen[looks % len(seen)]
        before = recovery
        recovery = before.after_good_step(Shown(waiting, processed, known_good, strained, seconds_open))
        assert recovery.step in (before.step, before.step + 1)
        assert recovery.steps[: before.step + 1] == before.steps[: before.step + 1]
        assert recovery.steps[-1] == own
        assert all(2 <= step < (own or MOST_CONCURRENCY + 1) for step in recovery.steps[:-1])
        looks += 1
        assert looks < 300
