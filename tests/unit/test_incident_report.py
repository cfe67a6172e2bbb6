"""The report of an incident: what is counted, what is approximate, and what nobody knows."""

from datetime import UTC, datetime
from typing import Any

import pytest

from breaker.incident_report import report
from breaker.toll import UNKNOWN, Toll
from tests.schemas.schema_files import STATE_CHANGE, schema

INCIDENT: dict[str, Any] = {
    "id": "orders-1a2b",
    "opened_at": "2026-03-01T12:00:00Z",
    "cause": {"kind": "ALARM", "reason": "alarm a is in ALARM", "at": "2026-03-01T11:59:30Z"},
    "probes": 6,
    "failed_probes": 5,
    "receives": 6,
    "holds_ended": 0,
    "handed_back": 5,
    "processed_by_breaker": 1,
    "rejittered": 0,
    "duplicated": 0,
    "left_alone": 0,
    "hand_overs": 1,
    "reopened": 0,
    "most_held": 5,
    "outcome": "HEALED",
    "handed_over_by": "arn:aws:states:us-east-1:123456789012:execution:CircuitBreaker:first",
    "gave_up_announced": True,
}
NOW = datetime(2026, 3, 2, 13, 0, 0, 600_000, tzinfo=UTC)


def made(*, toll: Toll = UNKNOWN, over: bool = True, **changes: Any) -> dict[str, Any]:
    """Return the report of an incident."""
    incident = {name: value for name, value in (INCIDENT | changes).items() if value is not None}
    return report(incident, circuit="orders", outcome="HEALED", toll=toll, now=NOW, over=over)


def test_report_has_the_fields_of_the_schema_and_no_other() -> None:
    described = schema(STATE_CHANGE)["definitions"]["report"]
    assert set(made()) == set(described["properties"]) == set(described["required"])


def test_report_names_outcome_times_and_counters() -> None:
    told = made()
    expected = {
        "circuit": "orders",
        "incident": "orders-1a2b",
        "outcome": "HEALED",
        "cause": INCIDENT["cause"],
        "opened_at": "2026-03-01T12:00:00Z",
        "closed_at": "2026-03-02T13:00:00Z",
        "duration_seconds": 90_001,
        "probes": 6,
        "failed_probes": 5,
        "hand_overs": 1,
        "most_held": 5,
        "redriven": 0,
    }
    assert {name: told[name] for name in expected} == expected


def test_report_of_an_incident_that_goes_on_has_no_end() -> None:
    told = made(over=False)
    assert told["closed_at"] is None
    assert told["duration_seconds"] == 90_001


def test_report_without_cloudwatch_says_unknown_and_not_0() -> None:
    told = made()
    unknown = {
        "errors_began_at",
        "most_waiting",
        "oldest_message_seconds",
        "failed_calls",
        "failed_messages",
        "receives_burnt",
        "receives_burnt_from",
        "dead_lettered",
    }
    assert {name for name in told if told[name] is None} == unknown | {"redrive"}


def test_report_of_an_older_release_does_not_know_what_that_did_not_count() -> None:
    assert made(most_held=None)["most_held"] is None


@pytest.mark.parametrize(
    ("toll", "burnt", "counted_from"),
    [
        # 6 messages received by the breaker, one of them processed.
        (Toll(failed_calls=38, failed_messages=300), 300 + 5, "MESSAGES"),
        # 5 of the failed calls were the breaker's own.
        (Toll(failed_calls=38), 33 + 5, "CALLS"),
        # A probe that is too slow fails without an error.
        (Toll(failed_calls=2), 0 + 5, "CALLS"),
        (Toll(failed_calls=0, failed_messages=0), 0 + 5, "MESSAGES"),
        (UNKNOWN, None, None),
    ],
)
def test_report_counts_burnt_receives_from_the_best_there_is(toll: Toll, burnt: int, counted_from: str) -> None:
    told = made(toll=toll)
    assert (told["receives_burnt"], told["receives_burnt_from"]) == (burnt, counted_from)


def test_report_a_redrive_knows_better_how_many_were_dead_lettered() -> None:
    assert made(toll=Toll(dead_lettered=3))["dead_lettered"] == 3
    told = made(toll=Toll(dead_lettered=3), dead_lettered=31, redriven=30, redrive={"result": "done"})
    assert (told["dead_lettered"], told["redriven"], told["redrive"]) == (31, 30, "done")


def test_report_a_redrive_that_moved_nothing_leaves_the_count_to_cloudwatch() -> None:
    told = made(toll=Toll(dead_lettered=3), redrive={"result": "no: AccessDenied"})
    assert (told["dead_lettered"], told["redriven"], told["redrive"]) == (3, 0, "no: AccessDenied")
