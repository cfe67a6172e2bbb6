"""The report of an incident: the execution's output, a log line, a field of the event that ends it, and in its notice.

What the record counts is exact. What CloudWatch was asked for is approximate, and None where nobody knows: a figure
that was not measured is never shown as 0. `docs/schemas/circuit-state-change.schema.json` describes every field.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from breaker import clock
from breaker.toll import Toll

REPORT_VERSION = "1"
# Outcome of an incident whose circuit was removed in the middle of it.
REMOVED = "REMOVED"
_COUNTERS = (
    "probes",
    "failed_probes",
    "reopened",
    "receives",
    "processed_by_breaker",
    "handed_back",
    "left_alone",
    "holds_ended",
    "rejittered",
    "duplicated",
    "redriven",
    "hand_overs",
)


def report(
    incident: Mapping[str, Any], *, circuit: str, outcome: str, toll: Toll, now: datetime, over: bool = True
) -> dict[str, Any]:
    """Return the report of an incident. Durations are in seconds.

    Parameters
    ----------
    incident
        As the circuit's record has it.
    toll
        What it cost, as CloudWatch shows it.
    over
        False for an incident that stays open, because the breaker gave up; `closed_at` then is None.
    """
    counters = {name: int(incident.get(name, 0)) for name in _COUNTERS}
    redrive = incident.get("redrive") or {}
    return {
        "version": REPORT_VERSION,
        "circuit": circuit,
        "incident": incident["id"],
        "outcome": outcome,
        "cause": incident["cause"],
        "errors_began_at": toll.errors_began_at,
        "opened_at": incident["opened_at"],
        "closed_at": clock.iso(now) if over else None,
        "duration_seconds": round((now - clock.parse(incident["opened_at"])).total_seconds()),
        **counters,
        "most_held": incident.get("most_held"),
        "most_waiting": toll.most_waiting,
        "oldest_message_seconds": toll.oldest_message_seconds,
        "failed_calls": toll.failed_calls,
        "failed_messages": toll.failed_messages,
        **_receives_burnt(counters, toll),
        # A redrive has looked before it moved anything, and has emptied the queue since.
        "dead_lettered": incident.get("dead_lettered", toll.dead_lettered),
        "redrive": redrive.get("result"),
    }


def _receives_burnt(counters: Mapping[str, int], toll: Toll) -> dict[str, Any]:
    """Return how many receives did not end in a processed message, and what that was counted from.

    A failed call is counted as one receive, because nobody knows how many messages it had. The breaker's own failed
    calls are taken off: their receives are counted with the messages.
    """
    by_breaker = max(0, counters["receives"] - counters["processed_by_breaker"])
    if toll.failed_messages is not None:
        return {"receives_burnt": toll.failed_messages + by_breaker, "receives_burnt_from": "MESSAGES"}
    if toll.failed_calls is not None:
        by_mapping = max(0, toll.failed_calls - counters["failed_probes"])
        return {"receives_burnt": by_mapping + by_breaker, "receives_burnt_from": "CALLS"}
    return {"receives_burnt": None, "receives_burnt_from": None}
