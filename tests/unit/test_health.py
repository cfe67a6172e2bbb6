"""Is the target healthy? Only whole periods that began after the step tell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.health import Counts, Health, HealthRule, judge

RULE = HealthRule(percent=80, minimum=5, period_seconds=60, delay_seconds=90, timeout_seconds=30)
BEGAN = 1_000_030  # in the middle of the period that began at 999,960 + 60
FIRST = 1_000_080
COMPLETE = FIRST + 60 + 120
HEALTHY = Counts(calls=100, failed_calls=1)
FAILING = Counts(calls=10, failed_calls=8)


def answer(periods: dict[int, Counts], *, now: float = COMPLETE, enough: int = 1, trial: bool = False) -> Health:
    return judge(periods, RULE, began=BEGAN, now=now, enough_periods=enough, success_needed=trial).health


def test_first_period_is_the_first_that_began_after_the_step() -> None:
    assert RULE.first_period(BEGAN) == FIRST
    assert RULE.first_period(FIRST) == FIRST


@pytest.mark.parametrize(("now", "complete"), [(FIRST, 0), (COMPLETE - 1, 0), (COMPLETE, 1), (COMPLETE + 60, 2)])
def test_complete_periods_are_those_that_cannot_change_any_more(now: int, complete: int) -> None:
    assert RULE.complete_periods(BEGAN, now) == complete


def test_judge_healthy_period_is_good_only_once_it_is_complete() -> None:
    assert answer({FIRST: HEALTHY}, now=COMPLETE - 1) is Health.UNDECIDED
    assert answer({FIRST: HEALTHY}) is Health.GOOD


def test_judge_period_of_the_outage_does_not_count() -> None:
    assert answer({FIRST - 60: FAILING, FIRST: HEALTHY}) is Health.GOOD


def test_judge_bad_period_is_believed_as_soon_as_it_has_ended() -> None:
    assert answer({FIRST: FAILING}, now=FIRST + 60) is Health.BAD
    assert answer({FIRST: FAILING}, now=FIRST + 59) is Health.UNDECIDED


def test_judge_quiet_queue_is_good() -> None:
    assert answer({}) is Health.GOOD


def test_judge_asks_for_as_many_periods_as_it_was_told() -> None:
    assert answer({FIRST: HEALTHY}, enough=2) is Health.UNDECIDED
    assert answer({FIRST: HEALTHY}, enough=2, now=COMPLETE + 60) is Health.GOOD


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(4, 4), Health.GOOD),
        (Counts(5, 4), Health.BAD),
        (Counts(5, 3), Health.GOOD),
        (Counts(100, 79), Health.GOOD),
        (Counts(100, 80), Health.BAD),
        (Counts(100, 0, 50, 40), Health.BAD),
        (Counts(100, 0, 50, 39), Health.GOOD),
        (Counts(100, 0, 4, 4), Health.GOOD),
    ],
)
def test_judge_needs_a_share_of_failures_and_a_minimum_number(counts: Counts, expected: Health) -> None:
    assert answer({FIRST: counts}) is expected


def test_judge_few_failures_in_each_of_several_periods_are_added_up() -> None:
    few = Counts(2, 2)
    periods = {FIRST + 60 * number: few for number in range(3)}
    assert answer(periods, enough=3, now=COMPLETE + 120) is Health.BAD


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(), Health.GOOD),
        (Counts(1, 1), Health.BAD),
        (Counts(2, 1), Health.GOOD),
        (Counts(1, 0, 3, 3), Health.BAD),
        (Counts(1, 0, 3, 2), Health.GOOD),
    ],
)
def test_judge_trial_without_any_success_is_bad(counts: Counts, expected: Health) -> None:
    assert answer({FIRST: counts}, trial=True) is expected


COUNTS = st.tuples(st.integers(0, 50), st.integers(0, 50)).map(lambda pair: Counts(max(pair), min(pair)))


@given(st.dictionaries(st.integers(-5, 5), COUNTS), st.integers(0, 600))
def test_judge_what_was_before_the_step_changes_nothing(counts: dict[int, Counts], elapsed: int) -> None:
    periods = {FIRST + 60 * number: value for number, value in counts.items()}
    later = {begin: value for begin, value in periods.items() if begin >= FIRST}
    assert answer(periods, now=BEGAN + elapsed) is answer(later, now=BEGAN + elapsed)


@given(st.dictionaries(st.integers(0, 5), COUNTS), st.integers(0, 179))
def test_judge_nothing_is_called_good_before_it_is_complete(counts: dict[int, Counts], early: int) -> None:
    periods = {FIRST + 60 * number: value for number, value in counts.items()}
    assert answer(periods, now=COMPLETE - 1 - early) is not Health.GOOD


# A slow target

SLOW_RULE = HealthRule(percent=80, minimum=5, period_seconds=60, delay_seconds=90, timeout_seconds=30, slow_seconds=2)


@pytest.mark.parametrize(
    ("calls", "milliseconds", "bad"),
    [
        (10, 20_000, False),  # 2 s each: at the bound
        (10, 20_010, True),
        (4, 80_000, False),  # too few to tell
        (0, 0, False),
    ],
)
def test_rule_calls_are_slow_above_the_bound_on_average_and_only_if_enough(
    calls: int, milliseconds: int, bad: bool
) -> None:
    counts = Counts(calls=calls, timed_calls=calls, milliseconds=milliseconds)
    assert SLOW_RULE.is_bad(counts) is bad
    assert not RULE.is_bad(counts), "without a bound nothing is slow"


def test_judge_slow_period_is_bad_and_says_so() -> None:
    slow = Counts(calls=10, timed_calls=10, milliseconds=35_000)
    judgement = judge({FIRST: slow}, SLOW_RULE, began=BEGAN, now=COMPLETE, enough_periods=1)
    assert judgement.health is Health.BAD
    assert judgement.reason == "10 calls took 3.5 s on average in one period; the bound is 2 s"


def test_judge_average_is_over_calls_not_over_periods() -> None:
    # Neither period has enough calls. Together they have, and took 2.2 s on average.
    few_slow = Counts(calls=3, timed_calls=3, milliseconds=12_000)
    few_fast = Counts(calls=3, timed_calls=3, milliseconds=1_200)
    periods = {FIRST: few_slow, FIRST + 60: few_fast}
    judgement = judge(periods, SLOW_RULE, began=BEGAN, now=COMPLETE + 60, enough_periods=2)
    assert judgement.health is Health.BAD
    assert "6 calls took 2.2 s on average since the last step" in judgement.reason


def test_judge_failing_period_is_told_as_failing_though_it_is_slow() -> None:
    both = Counts(calls=10, failed_calls=10, timed_calls=10, milliseconds=300_000)
    judgement = judge({FIRST: both}, SLOW_RULE, began=BEGAN, now=COMPLETE, enough_periods=1)
    assert judgement.reason == "10 of 10 calls failed in one period"


@pytest.mark.parametrize(
    ("counts", "strained"),
    [
        (Counts(100, 5), True),
        (Counts(101, 5), False),
        (Counts(20, 4), False),
        (Counts(100, 0, messages=1000, failed_messages=50), True),
        (Counts(100, 0, messages=1000, failed_messages=49), False),
        (Counts(100, 79), True),
        (Counts(), False),
    ],
)
def test_judge_good_says_whether_the_target_is_strained(counts: Counts, strained: bool) -> None:
    judgement = judge({FIRST: counts, FIRST + 60: HEALTHY}, RULE, began=BEGAN, now=COMPLETE + 60, enough_periods=1)
    assert (judgement.health, judgement.strained) == (Health.GOOD, strained)


# When to look

STEPS = st.tuples(
    st.integers(0, 10**6).map(lambda tenths: 1_000_000 + tenths / 10),
    st.sampled_from([1, 10, 30, 60, 300]),
    st.integers(0, 900),
    st.integers(1, 900),
    st.integers(1, 5),
)


@pytest.mark.parametrize(
    ("now", "looked", "wait"),
    [
        (BEGAN, None, 200),  # the first minute begins in 50 s, ends 60 s later, and its figures need 90 s
        (BEGAN, BEGAN, 200),
        (BEGAN + 170.4, BEGAN + 170.4, 30),  # never a moment too early
        (FIRST + 150, FIRST + 150, 30),  # enough periods are complete
        (FIRST + 150.2, FIRST + 150, 30),
        (FIRST + 179.5, FIRST + 179.4, 1),
        (FIRST + 180.5, FIRST + 179.9, 1),  # the judgement itself took until then
        (FIRST + 180, FIRST + 180, 30),  # and on, a period at most
        (FIRST + 160, None, 1),  # taken over, and nobody may have looked
        (FIRST + 7200, None, 1),
    ],
)
def test_wait_is_until_a_look_can_show_something_new(now: float, looked: float | None, wait: int) -> None:
    assert RULE.wait_seconds(BEGAN, now, enough_periods=1, looked=looked) == wait


def test_wait_while_a_long_timeout_passes_is_a_period() -> None:
    rule = HealthRule(percent=80, minimum=5, period_seconds=60, delay_seconds=90, timeout_seconds=300)
    looks, now = [], float(FIRST)
    while rule.complete_periods(FIRST, now) < 1:
        now += rule.wait_seconds(FIRST, now, enough_periods=1, looked=now)
        looks.append(now - FIRST)
    assert looks == [150, 210, 270, 330, 390, 450]


@given(STEPS)
def test_wait_from_look_to_look_misses_no_period_and_ends_when_enough_are_complete(
    step: tuple[float, int, int, int, int],
) -> None:
    began, period, delay, timeout, enough = step
    rule = HealthRule(percent=80, minimum=5, period_seconds=period, delay_seconds=delay, timeout_seconds=timeout)
    first, now, looked = rule.first_period(began), began, None
    decided = first + enough * period + rule.settle_seconds
    expected = [first + number * period + delay for number in range(1, enough + timeout // period + 1)]
    looks = []
    while rule.complete_periods(began, now) < enough:
        now += rule.wait_seconds(began, now, enough_periods=enough, looked=looked)
        looked = now
        looks.append(now)
    assert decided <= looks[-1] < decided + 1
    # A look for each, less than a second late, and no others.
    moments = sorted({*expected, decided})
    assert len(looks) <= len(moments)
    assert all(any(moment <= look < moment + 1 for look in looks) for moment in moments)
