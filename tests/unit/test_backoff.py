"""How long to wait before the next probe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.backoff import probe_wait_seconds

FIRST = st.integers(1, 86_400)
LONGEST = st.integers(1, 21_600)
RATE = st.floats(1, 10)
JITTER = st.integers(0, 100)
CHANCE = st.floats(0, 1)
FAILURES = st.integers(0, 1_000_000_000)


@given(first=FIRST, rate=RATE, longest=LONGEST, jitter=JITTER, chance=CHANCE)
def test_probe_wait_no_failure_is_exactly_the_first_wait(
    first: int, rate: float, longest: int, jitter: int, chance: float
) -> None:
    wait = probe_wait_seconds(0, first=first, rate=rate, longest=longest, jitter_percent=jitter, chance=chance)
    assert wait == first


@given(failures=FAILURES, first=FIRST, rate=RATE, longest=LONGEST, jitter=JITTER, chance=CHANCE)
def test_probe_wait_any_failures_is_a_second_to_the_longest(
    failures: int, first: int, rate: float, longest: int, jitter: int, chance: float
) -> None:
    wait = probe_wait_seconds(failures, first=first, rate=rate, longest=longest, jitter_percent=jitter, chance=chance)
    assert isinstance(wait, int)
    assert 1 <= wait <= (longest if failures else first)


@given(failures=st.integers(1, 10_000), first=FIRST, rate=RATE, longest=LONGEST)
def test_probe_wait_without_jitter_never_shrinks(failures: int, first: int, rate: float, longest: int) -> None:
    def wait(count: int) -> int:
        return probe_wait_seconds(count, first=first, rate=rate, longest=longest, jitter_percent=0, chance=1)

    assert wait(failures) <= wait(failures + 1)


@given(failures=FAILURES, first=FIRST, rate=RATE, longest=LONGEST, jitter=JITTER, chance=CHANCE)
def test_probe_wait_jitter_only_shortens_and_by_no_more_than_asked(
    failures: int, first: int, rate: float, longest: int, jitter: int, chance: float
) -> None:
    def wait(percent: int) -> int:
        return probe_wait_seconds(
            failures, first=first, rate=rate, longest=longest, jitter_percent=percent, chance=chance
        )

    assert wait(jitter) <= wait(0)
    if failures:
        assert wait(jitter) >= max(1, int(wait(0) * (1 - jitter / 100) - 0.5))


@pytest.mark.parametrize(("failures", "expected"), [(0, 30), (1, 60), (2, 120), (3, 120), (50, 120), (10**9, 120)])
def test_probe_wait_defaults_double_to_the_cap(failures: int, expected: int) -> None:
    assert probe_wait_seconds(failures, first=30, rate=2.0, longest=120, jitter_percent=0, chance=0.7) == expected


def test_probe_wait_full_jitter_takes_its_percentage() -> None:
    assert probe_wait_seconds(1, first=30, rate=2, longest=120, jitter_percent=20, chance=1) == 48
    assert probe_wait_seconds(1, first=30, rate=2, longest=120, jitter_percent=20, chance=0.5) == 54


def test_probe_wait_first_longer_than_the_cap_is_cut_after_the_first_failure() -> None:
    assert probe_wait_seconds(0, first=600, rate=2, longest=120, jitter_percent=0, chance=0) == 600
    assert probe_wait_seconds(1, first=600, rate=2, longest=120, jitter_percent=0, chance=0) == 120


def test_probe_wait_whole_number_rate_with_huge_failures_is_quick() -> None:
    # DynamoDB gives a whole rate back as an int, and an int never overflows: it grows.
    assert probe_wait_seconds(1_000_000_000, first=30, rate=10, longest=120, jitter_percent=0, chance=0) == 120
