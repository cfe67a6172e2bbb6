"""Ends an incident: the claim is released and its report written, once, however often the step is tried."""

from typing import Any

from breaker import clock
from breaker.announcements import Announcement, Change, announce
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import CircuitTakenOver
from breaker.incident_report import report
from breaker.state_document import StateDocument
from breaker.toll import UNKNOWN, Toll


def end_incident(table: CircuitTable, record: Record, document: StateDocument, toll: Toll = UNKNOWN) -> dict[str, Any]:
    """Call the circuit CLOSED, release the claim, return the incident's report.

    Raises
    ------
    CircuitTakenOver
        Another execution owns the circuit now.
    """
    incident, outcome = record.incident, record.incident["outcome"]
    if document.circuit.settings["Redrive"]:
        incident = {"redrive": {"result": "no: the recovery was not judged"}, **incident}
    told = report(incident, circuit=document.circuit.name, outcome=outcome, toll=toll, now=clock.now())
    how = "somebody else has disabled the mapping" if outcome == "DISABLED_BY_OTHERS" else "messages flow again"
    redrive = f"; redrive: {told['redrive']}" if told["redrive"] else ""
    try:
        change_circuit(
            table,
            record,
            Change.CLOSED,
            owner=document.execution,
            reason=f"{how}: {outcome}{redrive}",
            state=CircuitState.CLOSED,
            sets={"last_incident": {"execution": document.execution, "summary": told}},
            removes=["owner", "successor", "incident", "intent", "failure"],
            details={"report": told},
        )
    except CircuitTakenOver:
        # The SDK repeats a write whose answer got lost, and finds the claim released: by itself.
        before = ended_before(table, document)
        if before is None:
            raise
        return before
    return told


def ended_before(table: CircuitTable, document: StateDocument) -> dict[str, Any] | None:
    """Finish what an earlier try had begun: it ended the incident, but its answer got lost. None if none did."""
    record = table.load(document.circuit.name)
    if record is None or record.owner or record.last_incident.get("execution") != document.execution:
        return None
    told: dict[str, Any] = record.last_incident["summary"]
    announce(
        Announcement(
            circuit=record.circuit.name,
            incident=told["incident"],
            sequence=record.sequence,
            change=Change.CLOSED,
            before=CircuitState.HALF_OPEN.value,
            after=CircuitState.CLOSED.value,
            reason=record.reason,
            details={"report": told},
        )
    )
    return told
