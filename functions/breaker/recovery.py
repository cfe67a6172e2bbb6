"""Lets messages in again, step by step, and knows what the mapping's owner had set.

The incident's record says where a recovery stands, so that whoever takes the incident over goes on from there: `own`,
the owner's settings of the mapping, and `recovery`, a `ramp.Recovery`. `too_much` is the concurrency below which the
incident's next recovery stays.
"""

from typing import TYPE_CHECKING, Any

from breaker.circuit_table import Record
from breaker.mapping import MappingState, switch_mapping
from breaker.ramp import LEAST_CONCURRENCY, Recovery, read_steps, recovery_steps

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# What tells nothing about the target: its recovery is a trial, one step at the least concurrency, whatever the mode.
TRIALS = {"QUEUE_EMPTY", "TRIAL"}
CLOSED_BY_HAND = "CLOSED_BY_HAND"
# Somebody else decided that messages flow, or that there is no mapping: the breaker neither limits nor judges.
NOT_OURS_TO_JUDGE = {"OVERRIDDEN", "MAPPING_GONE", "GAVE_UP", CLOSED_BY_HAND}


def own_settings(mapping: MappingState) -> dict[str, Any]:
    """Return what must be remembered of a mapping before the breaker changes it."""
    return {"maximum_concurrency": mapping.maximum_concurrency, "provisioned": mapping.provisioned}


def first_step(record: Record, mapping: MappingState, outcome: str) -> Recovery:
    """Return the begin of the recovery that the circuit's settings and the probe's outcome ask for."""
    own = record.incident.get("own") or own_settings(mapping)
    settings = record.circuit.settings
    ramp = []
    if outcome in TRIALS:
        ramp = [LEAST_CONCURRENCY]
    if settings["Recovery"] == "RAMP":
        ramp = read_steps(settings["RampConcurrency"])
    if outcome in NOT_OURS_TO_JUDGE:
        ramp = []
    return Recovery(
        recovery_steps(ramp, own=own["maximum_concurrency"], provisioned=own["provisioned"]),
        0,
        too_much=record.incident.get("too_much", 0),
    )


def current(record: Record) -> Recovery | None:
    """Return where the incident's recovery stands, None where none has begun."""
    recovery = record.incident.get("recovery")
    return Recovery(**recovery) if recovery else None


def limit_to_restore(record: Record, mapping: MappingState) -> int | None:
    """Return the owner's maximum concurrency where the mapping still has the breaker's, None where nothing is to do.

    Somebody who has changed the value meanwhile knows better.
    """
    recovery = current(record)
    if recovery is None or mapping.provisioned or mapping.maximum_concurrency != recovery.concurrency:
        return None
    own: int = recovery.steps[-1]
    return own if own != mapping.maximum_concurrency else None


def limit_to_write(mapping: MappingState, concurrency: int) -> int | None:
    """Return the maximum concurrency to write, None where the mapping has it already or takes none."""
    return None if mapping.provisioned or mapping.maximum_concurrency == concurrency else concurrency


def pause(client: "LambdaClient", record: Record, mapping: MappingState) -> None:
    """Disable the mapping, and give its owner's settings back in the same request."""
    switch_mapping(
        client, record.circuit.mapping_id, enabled=False, maximum_concurrency=limit_to_restore(record, mapping)
    )
