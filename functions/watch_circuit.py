"""For a circuit in WATCH: say what the breaker would have done, and touch nothing."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock
from breaker.announcements import Announcement, Change, announce
from breaker.backoff import probe_wait_seconds
from breaker.mapping import read_mapping
from breaker.ownership import incident_id
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# Enough to show how the waits grow; what comes after depends on the target.
_PLANNED_PROBES = 5


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Announce what would have happened.

    Input
        The state document.
    Output
        `{"circuit", "outcome": "WATCHED", "would_disable", "would_open_at", "would_probe_at": [...]}`, the execution's
        output.
    """
    document = StateDocument.read(event)
    circuit, settings = document.circuit, document.circuit.settings
    mapping = read_mapping(clients.lambda_control(), circuit.mapping_id)
    at = clock.now()
    opens_at = clock.iso(at)
    probes = []
    for failures in range(_PLANNED_PROBES):
        at += timedelta(
            seconds=probe_wait_seconds(
                failures,
                first=settings["FirstProbeSeconds"],
                rate=settings["ProbeBackoffRate"],
                longest=settings["MaxProbeIntervalSeconds"],
                jitter_percent=0,
                chance=0,
            )
        )
        probes.append(clock.iso(at))
    plan = {
        "would_disable": circuit.mapping_id,
        "mapping_state": mapping.state,
        "would_open_at": opens_at,
        "would_probe_at": probes,
        "would_recover_by": settings["Recovery"],
    }
    announce(
        Announcement(
            circuit=circuit.name,
            incident=incident_id(document.execution, circuit.name),
            sequence=0,
            change=Change.WOULD_OPEN,
            before="CLOSED",
            after="CLOSED",
            reason=f"{document.trip_reason}; in WATCH the mapping is left alone",
            details=plan,
        )
    )
    return {"circuit": circuit.name, "outcome": "WATCHED", **plan}
