"""Passes an incident on: the successor's name is written down first, then it is started.

So an incident whose owner dies in between is not forgotten, and two that pass it on at once start one successor.
"""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker.announcements import Change
from breaker.changes import change_circuit
from breaker.circuit_table import CircuitTable, Record

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

logger = Logger()


def name_successor(
    table: CircuitTable, record: Record, *, state_machine: str, change: Change, reason: str, sets: dict[str, Any]
) -> str:
    """Write the name of a fresh successor down, in place of any before, and announce it. Returns its ARN.

    Parameters
    ----------
    record
        The circuit as read just now. Its owner must be the same still.
    reason
        One line for people; the successor's name is added.

    Raises
    ------
    CircuitTakenOver
        Another execution owns the circuit now.
    """
    name = f"{record.incident['id']}-{record.incident['hand_overs'] + 1}"
    successor = f"{state_machine.replace(':stateMachine:', ':execution:')}:{name}"
    change_circuit(
        table,
        record,
        change,
        owner=record.owner,
        reason=f"{reason}; {name} goes on",
        sets={"successor": successor, **sets},
        adds={"incident.hand_overs": 1},
    )
    return successor


def start_successor(client: "SFNClient", record: Record, successor: str, *, state_machine: str) -> None:
    """Start the execution whose name was written down, unless it was started before."""
    try:
        client.start_execution(
            stateMachineArn=state_machine,
            name=successor.rpartition(":")[2],
            input=json.dumps({"circuit": record.circuit.name, "resume": record.incident["id"]}),
        )
    except client.exceptions.ExecutionAlreadyExists:
        logger.info("the successor was started before", extra={"successor": successor})
