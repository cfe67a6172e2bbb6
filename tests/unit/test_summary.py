"""The summary of an incident."""

from datetime import UTC, datetime

from breaker.summary import summarise

INCIDENT = {
    "id": "orders-1a2b",
    "opened_at": "2026-03-01T12:00:00Z",
    "cause": {"kind": "ALARM", "reason": "alarm a is in ALARM", "at": "2026-03-01T11:59:30Z"},
    "probes": 3,
    "failed_probes": 2,
    "rejittered": 0,
    "outcome": "HEALED",
    "handed_over_by": "arn:aws:states:us-east-1:123456789012:execution:CircuitBreaker:first",
}


def test_summarise_names_outcome_times_and_every_counter() -> None:
    now = datetime(2026, 3, 2, 13, 0, 0, 600_000, tzinfo=UTC)
    assert summarise(INCIDENT, circuit="orders", outcome="GAVE_UP", now=now) == {
        "circuit": "orders",
        "incident": "orders-1a2b",
        "outcome": "GAVE_UP",
        "cause": INCIDENT["cause"],
        "opened_at": "2026-03-01T12:00:00Z",
        "closed_at": "2026-03-02T13:00:00Z",
        "duration_seconds": 90_001,
        "probes": 3,
        "failed_probes": 2,
        "rejittered": 0,
    }
