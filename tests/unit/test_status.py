"""How a circuit's status reads, from its record alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from breaker.circuit_table import CircuitState, Record
from breaker.state_document import Circuit
from breaker.status import _NEXT, Figures, Standing, as_lines, status_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SETTINGS = {"CircuitName": "orders", "Mode": "ACTIVE", "OnGiveUp": "STAY_OPEN"}
CIRCUIT = Circuit("orders", "target", 30, "url", "arn:aws:sqs:::orders", "mapping", 5, True, SETTINGS)
FIGURES = Figures(mapping="Disabled", alarm="OK", owner="RUNNING", visible=40, hidden=2, delayed=1, oldest_seconds=5400)
OPEN = Record(
    circuit=CIRCUIT,
    state=CircuitState.OPEN,
    since="2026-03-01T11:30:00Z",
    reason="alarm orders-errors is in ALARM",
    owner="arn:execution:first",
    successor="",
    incident={"id": "orders-1", "failed_probes": 7},
    intent="",
    sequence=3,
    last_incident={},
    stack="stack",
    next_probe_at="2026-03-01T12:01:00Z",
)
CLOSED = replace(OPEN, state=CircuitState.CLOSED, owner="", incident={}, next_probe_at="")


def incident(**more: Any) -> dict[str, Any]:
    return {**OPEN.incident, **more}


@pytest.mark.parametrize(
    ("standing", "record", "figures"),
    [
        (Standing.FLOWING, CLOSED, replace(FIGURES, mapping="Enabled", owner="")),
        (Standing.PAUSED_BY_OTHERS, CLOSED, replace(FIGURES, owner="")),
        (Standing.OPENING, replace(CLOSED, owner="first", incident=incident(), intent="DISABLE"), FIGURES),
        (Standing.OPENING, replace(OPEN, state=CircuitState.HALF_OPEN, intent="DISABLE"), FIGURES),
        (Standing.PAUSED, OPEN, FIGURES),
        (Standing.PAUSED, replace(OPEN, incident=incident(hold_until="2026-03-01T12:00:00Z")), FIGURES),
        (Standing.HELD_OPEN, replace(OPEN, incident=incident(hold_until="2026-03-01T12:00:01Z")), FIGURES),
        (Standing.GAVE_UP, replace(OPEN, incident=incident(outcome="GAVE_UP")), replace(FIGURES, owner="FAILED")),
        (Standing.PAUSED, replace(OPEN, incident=incident(outcome="GAVE_UP")), FIGURES),
        (Standing.CLOSING, replace(OPEN, incident=incident(order={"command": "CLOSE"})), FIGURES),
        (Standing.RECOVERING, replace(OPEN, state=CircuitState.HALF_OPEN, intent="ENABLE"), FIGURES),
        (Standing.WITHOUT_OWNER, OPEN, replace(FIGURES, owner="ABORTED")),
        (Standing.WITHOUT_OWNER, replace(OPEN, state=CircuitState.HALF_OPEN), replace(FIGURES, owner="gone")),
        (Standing.BEING_REMOVED, replace(OPEN, owner="removal-1"), replace(FIGURES, owner="")),
    ],
)
def test_status_standing_follows_from_record_and_figures(standing: Standing, record: Record, figures: Figures) -> None:
    status = status_of(record, figures, now=NOW)
    assert status.standing is standing
    assert (status.what_next, status.to_do) == _NEXT[standing]


def test_status_every_standing_says_what_comes_next_and_what_to_do() -> None:
    assert set(_NEXT) == set(Standing)


def test_status_paused_names_the_next_probe_and_a_dead_owners_plan_does_not_count() -> None:
    assert status_of(OPEN, FIGURES, now=NOW).next_probe_at == "2026-03-01T12:01:00Z"
    assert status_of(OPEN, replace(FIGURES, owner="ABORTED"), now=NOW).next_probe_at == ""


def test_status_as_lines_answers_what_a_person_asks() -> None:
    text = "\n".join(as_lines(status_of(OPEN, FIGURES, now=NOW), now=NOW))
    for expected in (
        "orders: OPEN (paused)",
        "2026-03-01T11:30:00Z (30 min ago)",
        "alarm orders-errors is in ALARM",
        "2026-03-01T12:01:00Z (in 60 s)",
        "40 waiting, 2 hidden, 1 delayed; the oldest is 90 min old",
        "7 failed probes",
        "PROBE tries now",
    ):
        assert expected in text


def test_status_as_lines_of_a_quiet_circuit_leaves_out_what_is_not() -> None:
    figures = replace(FIGURES, mapping="Enabled", owner="", visible=0, hidden=0, delayed=0, oldest_seconds=0)
    text = "\n".join(as_lines(status_of(CLOSED, figures, now=NOW), now=NOW))
    for absent in ("next probe", "incident", "oldest", "by hand"):
        assert absent not in text
    assert "to do       Nothing." in text


def test_status_as_lines_no_control_character_reaches_a_terminal() -> None:
    hostile = replace(OPEN, reason="\x1b[2J\u202e cleared\r\nCLOSED")
    lines = as_lines(status_of(hostile, FIGURES, now=NOW), now=NOW)
    assert all(line.isprintable() for line in lines)
    assert len(lines) == len(as_lines(status_of(OPEN, FIGURES, now=NOW), now=NOW))


def test_status_mode_by_hand_is_said_with_when_and_why() -> None:
    record = replace(CLOSED, mode_set={"mode": "OFF", "reason": "load test", "at": "2026-03-01T10:00:00Z", "by": "x"})
    assert status_of(record, FIGURES, now=NOW).mode_by_hand == "2026-03-01T10:00:00Z: load test"


def test_status_failure_of_the_breaker_is_part_of_the_why() -> None:
    record = replace(OPEN, failure={"error": "X", "cause": "X: no permission", "at": "2026-03-01T11:50:00Z"})
    assert "X: no permission" in status_of(record, FIGURES, now=NOW).why


def test_status_circuit_that_only_just_begins_to_open_says_why() -> None:
    cause = {"reason": "alarm orders-errors is in ALARM", "kind": "ALARM"}
    record = replace(CLOSED, reason="registered", owner="first", incident=incident(cause=cause))
    assert status_of(record, FIGURES, now=NOW).why == "alarm orders-errors is in ALARM"
