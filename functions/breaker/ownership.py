"""One owner a circuit: an execution claims it before it changes anything."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from breaker import clock
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import CircuitTakenOver, UnknownCircuit

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# Each lost race means that somebody else has just claimed it; after a few the winner is plainly at work.
_CLAIM_ATTEMPTS = 3
RUNNING = "RUNNING"


@dataclass(frozen=True)
class Claim:
    """The answer to a claim.

    Attributes
    ----------
    ours
        True when this execution owns the circuit now.
    record
        The circuit's record after the claim.
    """

    ours: bool
    record: Record


def claim_circuit(
    table: CircuitTable, stepfunctions: "SFNClient", name: str, *, execution: str, cause: dict[str, Any]
) -> Claim:
    """Claim the circuit for `execution`, unless its owner is running.

    A circuit that is not CLOSED, or is about to be opened, keeps its incident: the claim continues what an owner that
    died, gave up or handed over had begun. Claiming again is harmless.

    Raises
    ------
    UnknownCircuit
        The circuit was removed meanwhile.
    """
    for _ in range(_CLAIM_ATTEMPTS):
        record = _load(table, name)
        if record.owner == execution:
            return Claim(ours=True, record=record)
        if record.owner and record.successor != execution and is_running(stepfunctions, record.owner):
            return Claim(ours=False, record=record)
        begun = record.state is not CircuitState.CLOSED or record.intent
        incident = record.incident if begun else new_incident(execution, name, cause)
        if table.claim(name, execution=execution, instead_of=record.owner, incident=incident):
            return Claim(ours=True, record=_load(table, name))
    return Claim(ours=False, record=_load(table, name))


def is_running(stepfunctions: "SFNClient", execution: str) -> bool:
    """True while the execution runs. Owners that are no executions (a removal under way) count as running."""
    return ":execution:" not in execution or execution_status(stepfunctions, execution) == RUNNING


def execution_status(stepfunctions: "SFNClient", execution: str) -> str:
    """Return the status of an execution in Step Functions' words, "gone" where there is none of that name."""
    try:
        return stepfunctions.describe_execution(executionArn=execution)["status"]
    except stepfunctions.exceptions.ExecutionDoesNotExist:
        return "gone"


def incident_id(execution: str, name: str) -> str:
    """Return the id of the incident that `execution` begins. The same execution always gets the same."""
    return f"{name}-{hashlib.sha256(execution.encode()).hexdigest()[:12]}"


def new_incident(execution: str, name: str, cause: dict[str, Any]) -> dict[str, Any]:
    """Return a fresh incident with all its counters."""
    return {
        "id": incident_id(execution, name),
        "opened_at": clock.iso(clock.now()),
        "cause": cause,
        "probes": 0,
        "failed_probes": 0,
        "receives": 0,
        "holds_ended": 0,
        "handed_back": 0,
        "processed_by_breaker": 0,
        "rejittered": 0,
        "duplicated": 0,
        "left_alone": 0,
        "hand_overs": 0,
        "reopened": 0,
        "most_held": 0,
        **({"hold_until": cause["until"]} if cause.get("until") else {}),
    }


def _load(table: CircuitTable, name: str) -> Record:
    record = table.load(name)
    if record is None:
        raise UnknownCircuit(f"circuit: {name!r} is not registered")
    return record


def owned_record(table: CircuitTable, name: str, execution: str) -> Record:
    """Return the circuit's record for its owner.

    Raises
    ------
    CircuitTakenOver
        `execution` does not own the circuit any more.
    """
    record = table.load(name)
    if record is None or record.owner != execution:
        raise CircuitTakenOver(f"circuit {name}: {execution} does not own it any more")
    return record
