"""Writes a change of a circuit and announces it, in this order, for its owner."""

from collections.abc import Mapping, Sequence
from typing import Any

from breaker import clock
from breaker.announcements import Announcement, Change, announce
from breaker.circuit_table import CircuitState, CircuitTable, Record


def change_circuit(
    table: CircuitTable,
    record: Record,
    change: Change,
    *,
    owner: str,
    reason: str,
    state: CircuitState | None = None,
    sets: Mapping[str, Any] | None = None,
    adds: Mapping[str, int] | None = None,
    removes: Sequence[str] = (),
    details: dict[str, Any] | None = None,
    settled: bool = False,
) -> bool:
    """Write the change to the record and announce it.

    Parameters
    ----------
    record
        The circuit as read before the change.
    state
        The new state, None to keep it.
    details
        More fields of the announcement.
    settled
        True to make the change only while no change of the mapping is under way.

    Returns
    -------
    bool
        True when the announcement was sent.

    Raises
    ------
    CircuitTakenOver
        `owner` does not own the circuit any more, or a change of the mapping is under way. Nothing was announced.
    """
    written = {**(sets or {}), "change": change.value}
    if state is not None and state is not record.state:
        written |= {"state": state.value, "since": clock.iso(clock.now()), "reason": reason}
    sequence = table.write(
        record.circuit.name, owner=owner, sets=written, adds=adds, removes=removes, numbered=True, settled=settled
    )
    return announce(
        Announcement(
            circuit=record.circuit.name,
            incident=record.incident.get("id", ""),
            sequence=sequence,
            change=change,
            before=record.state.value,
            after=(state or record.state).value,
            reason=reason,
            details=details or {},
        )
    )
