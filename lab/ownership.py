"""Who owned a circuit when, by the histories of the executions. Pure.

The record names one owner at a time by its nature. What must be shown is that no execution went on as an owner while
another one was: so what the executions themselves have lived through is compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

# The last thing that an owner does with the circuit: there the claim is released, or passed on.
_LAST_STATES = frozenset({"EndIncident", "HandOver", "GiveUp", "RecordFailure"})


@dataclass(frozen=True)
class Ownership:
    """A stretch of time in which an execution ran and owned the circuit. ``until`` is None if it still does."""

    execution: str
    since: datetime
    until: datetime | None


def ownership_of(execution: str, events: Iterable[Mapping[str, Any]], stopped: datetime | None) -> Ownership | None:
    """When an execution owned its circuit, None if it never did.

    Parameters
    ----------
    events
        Its history, oldest first.
    stopped
        When it ended, None while it runs.
    """
    since: datetime | None = None
    for event in events:
        left = event.get("stateExitedEventDetails", {})
        if since is None and left.get("name") == "OpenCircuit" and _claimed(left.get("output", "{}")):
            since = event["timestamp"]
        entered = event.get("stateEnteredEventDetails", {}).get("name")
        if since is not None and entered in _LAST_STATES:
            return Ownership(execution, since, event["timestamp"])
    return None if since is None else Ownership(execution, since, stopped)


def owned_at_once(stretches: Sequence[Ownership]) -> list[tuple[Ownership, Ownership]]:
    """Pairs of executions that owned the circuit at the same time."""
    in_order = sorted(stretches, key=lambda stretch: stretch.since)
    return [(one, other) for one, other in pairwise(in_order) if one.until is None or one.until > other.since]


def _claimed(output: str) -> bool:
    return bool(json.loads(output).get("claim", {}).get("ours"))
