"""The one place that reads the time and waits, so that tests can move it."""

import time
from datetime import UTC, datetime


def now() -> datetime:
    """Return the current time, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def iso(moment: datetime) -> str:
    """Write `moment` as the ISO 8601 text used in records, events and logs, for example `2026-01-31T03:00:00Z`."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def parse(text: str) -> datetime:
    """Read an ISO 8601 text with an offset.

    Raises
    ------
    ValueError
        `text` is no ISO 8601 time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset")
    return moment.astimezone(UTC)


def monotonic() -> float:
    """Return seconds since some moment, for durations: what sets the clock does not change them."""
    return time.monotonic()


def sleep(seconds: float) -> None:
    """Wait, in the few places where a handler itself must."""
    time.sleep(seconds)
