"""Reading, writing and waiting for time."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker import clock


def test_now_is_the_time_in_utc() -> None:
    before = datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
    assert clock.now().utcoffset() == timedelta(0)


def test_iso_is_in_utc_with_whole_seconds() -> None:
    moment = datetime(2026, 1, 31, 5, 0, 0, 999, tzinfo=timezone(timedelta(hours=2)))
    assert clock.iso(moment) == "2026-01-31T03:00:00Z"


@given(st.datetimes(timezones=st.timezones(), min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - Hypothesis wants them naive
def test_parse_reads_back_what_iso_wrote(moment: datetime) -> None:
    assert clock.parse(clock.iso(moment)) == moment.astimezone(UTC).replace(microsecond=0)


def test_parse_takes_any_offset() -> None:
    assert clock.parse("2026-03-01T12:00:00.123+02:00") == datetime(2026, 3, 1, 10, 0, 0, 123000, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-01T12:00:00", "noon", "", "2026-13-01T00:00:00Z"])
def test_parse_no_time_or_no_offset_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.parse(text)


def test_sleep_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    clock.sleep(2.5)
    assert waits == [2.5]
