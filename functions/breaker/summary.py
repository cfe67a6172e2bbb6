"""The summary of an incident, as execution output, log line and event."""

from datetime import datetime
from typing import Any

from breaker import clock


def summarise(incident: dict[str, Any], *, circuit: str, outcome: str, now: datetime) -> dict[str, Any]:
    """Return the summary of an incident that ends now. Durations are in seconds, counters in messages or probes.

    `redrive` is there where the circuit asks for one, and says what came of it.
    """
    counters = {name: value for name, value in incident.items() if isinstance(value, int)}
    redrive = {"redrive": incident["redrive"]["result"]} if "redrive" in incident else {}
    return {
        "circuit": circuit,
        "incident": incident["id"],
        "outcome": outcome,
        "cause": incident["cause"],
        "opened_at": incident["opened_at"],
        "closed_at": clock.iso(now),
        "duration_seconds": round((now - clock.parse(incident["opened_at"])).total_seconds()),
        **counters,
        **redrive,
    }
