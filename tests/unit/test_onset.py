"""When it began: the first bad period of the run that led to the opening."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.health import Counts, HealthRule
from breaker.onset import first_bad_period

RULE = HealthRule(percent=80, minimum=5, period_seconds=60, delay_seconds=90, timeout_seconds=30)
OPENED = 1_772_366_430.0
MINUTE_OF_OPENING = 1_772_366_400
GOOD, BAD, QUIET = Counts(10, 0), Counts(10, 10), Counts()
FEW_FAILED, FEW_GOOD, SOME_FAILED = Counts(2, 2), Counts(2, 1), Counts(10, 5)


def minutes_before(*counts: Counts, silence: float = 180, opening: Counts | None = None) -> int:
    """Return how many minutes before that of the opening it began, given what the minutes before counted, in order."""
    periods = {
        MINUTE_OF_OPENING - 60 * back: value for back, value in enumerate(reversed(counts), start=1) if value != QUIET
    }
    if opening is not None:
        periods[MINUTE_OF_OPENING] = opening
    began = first_bad_period(periods, RULE, opened=OPENED, longest_silence=silence)
    return (MINUTE_OF_OPENING - began) // 60


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ((GOOD, BAD, BAD, BAD), 3),
        ((BAD, BAD), 2),
        ((GOOD, BAD, GOOD, BAD), 1),
        # The alarm takes its time.
        ((GOOD, BAD, BAD, QUIET, QUIET), 4),
        # Failed messages come back after the visibility timeout.
        ((GOOD, BAD, QUIET, QUIET, BAD), 4),
        ((GOOD, BAD, FEW_FAILED, BAD), 3),
        ((GOOD, FEW_FAILED, BAD, BAD), 2),
        # Where fewer calls than the minimum show a success, the target worked.
        ((BAD, FEW_GOOD, BAD), 1),
        ((BAD, SOME_FAILED, BAD), 1),
    ],
)
def test_first_bad_period_is_the_run_that_led_to_the_opening(counts: tuple[Counts, ...], expected: int) -> None:
    assert minutes_before(*counts) == expected


def test_first_bad_period_silence_that_is_too_long_ends_the_run() -> None:
    assert minutes_before(BAD, QUIET, QUIET, QUIET, BAD, silence=180) == 5
    assert minutes_before(BAD, QUIET, QUIET, QUIET, QUIET, BAD, silence=180) == 1


def test_first_bad_period_few_failures_keep_a_run_going() -> None:
    counts = (BAD, QUIET, QUIET, FEW_FAILED, QUIET, QUIET, BAD)
    assert minutes_before(*counts, silence=180) == 7


def test_first_bad_period_without_any_is_the_period_of_the_opening() -> None:
    assert minutes_before() == 0
    assert minutes_before(GOOD, GOOD) == 0
    assert minutes_before(GOOD, opening=BAD) == 0


def test_first_bad_period_failed_messages_count_as_calls_do() -> None:
    assert minutes_before(Counts(10, 0, 50, 1), Counts(10, 0, 50, 50)) == 1


@pytest.mark.parametrize("later", [GOOD, BAD, FEW_GOOD])
def test_first_bad_period_probes_from_the_opening_on_do_not_end_the_run(later: Counts) -> None:
    periods = {MINUTE_OF_OPENING + 60: later, MINUTE_OF_OPENING: later, MINUTE_OF_OPENING - 60: BAD}
    assert first_bad_period(periods, RULE, opened=OPENED, longest_silence=60) == MINUTE_OF_OPENING - 60


COUNTS = st.sampled_from([GOOD, BAD, QUIET, FEW_FAILED, FEW_GOOD, SOME_FAILED])


@given(st.lists(COUNTS, max_size=30), st.integers(0, 600))
def test_first_bad_period_is_bad_or_the_openings_and_nothing_good_follows_it(
    counts: list[Counts], silence: int
) -> None:
    back = minutes_before(*counts, silence=silence)
    run = counts[len(counts) - back :]
    assert not run or RULE.is_bad(run[0])
    assert all(RULE.is_bad(each) or each in (QUIET, FEW_FAILED) for each in run)
