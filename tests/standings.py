"""Circuits in every standing, made from records alone."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from breaker.circuit_table import CircuitState, Record
from breaker.overview import Seen
from breaker.state_document import Circuit
from breaker.status import Figures, Standing, status_of

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
_SETTINGS = {"Mode": "ACTIVE", "OnGiveUp": "STAY_OPEN"}
_CIRCUIT = Circuit("orders", "target", 30, "url", "arn:aws:sqs:::orders", "mapping", 5, True, _SETTINGS)
_BACKLOG = Figures(
    mapping="Disabled", alarm="OK", owner="RUNNING", visible=4032, hidden=2, delayed=0, oldest_seconds=5400
)
_EMPTY = Figures(mapping="Enabled", alarm="OK", owner="", visible=0, hidden=0, delayed=0, oldest_seconds=0)
_OPEN = Record(
    circuit=_CIRCUIT,
    state=CircuitState.OPEN,
    since="2026-03-01T11:30:00Z",
    reason="alarm shop-orders-error-rate is in ALARM",
    owner="arn:aws:states:::execution:breaker:first",
    successor="",
    incident={"id": "orders-5f0c1a2b3c4d", "failed_probes": 7},
    intent="",
    sequence=3,
    last_incident={},
    stack="stack",
    next_probe_at="2026-03-01T12:01:00Z",
)
_CLOSED = replace(
    _OPEN,
    state=CircuitState.CLOSED,
    since="2026-02-27T08:12:00Z",
    reason="the first 2 minutes after closing were good",
    owner="",
    incident={},
    next_probe_at="",
    last_incident={"summary": {}},
)


def _with(record: Record, **incident: Any) -> Record:
    return replace(record, incident={**_OPEN.incident, **incident})


_STANDINGS: dict[Standing, tuple[Record, Figures]] = {
    Standing.FLOWING: (_CLOSED, _EMPTY),
    Standing.PAUSED_BY_OTHERS: (_CLOSED, replace(_EMPTY, mapping="Disabled", visible=12)),
    Standing.OPENING: (_with(replace(_CLOSED, owner="first", intent="DISABLE"), cause={"reason": "by hand"}), _BACKLOG),
    Standing.PAUSED: (_OPEN, _BACKLOG),
    Standing.HELD_OPEN: (_with(_OPEN, hold_until="2026-03-01T14:00:00Z"), _BACKLOG),
    Standing.GAVE_UP: (_with(_OPEN, outcome="GAVE_UP"), replace(_BACKLOG, owner="FAILED")),
    Standing.CLOSING: (_with(_OPEN, order={"command": "CLOSE"}), _BACKLOG),
    Standing.RECOVERING: (
        replace(_OPEN, state=CircuitState.HALF_OPEN, reason="the target processed a message"),
        replace(_BACKLOG, mapping="Enabled", visible=310),
    ),
    Standing.WITHOUT_OWNER: (_OPEN, replace(_BACKLOG, owner="ABORTED")),
    Standing.BEING_REMOVED: (replace(_OPEN, owner="removal-1"), _EMPTY),
}


def record_of(name: str, standing: Standing, *, mode: str = "ACTIVE", **changes: Any) -> Record:
    """Return a circuit's record."""
    circuit = replace(_CIRCUIT, name=name, settings={**_SETTINGS, "Mode": mode})
    return replace(_STANDINGS[standing][0], circuit=circuit, **changes)


def seen(name: str, standing: Standing, **changes: Any) -> Seen:
    """Return a circuit that was looked at whole."""
    record = record_of(name, standing, **changes)
    status = status_of(record, _STANDINGS[standing][1], now=NOW)
    assert status.standing is standing
    return Seen(name, record, status)


def unseen(name: str, standing: Standing, trouble: str, **changes: Any) -> Seen:
    """Return a circuit of which only the record is known."""
    return Seen(name, record_of(name, standing, **changes), trouble=trouble)


def unread(name: str, trouble: str) -> Seen:
    """Return a circuit of which nothing is known."""
    return Seen(name, trouble=trouble)
