"""Decide when the next probe is, if any, after one that did not end the incident or a recovery that failed."""

import random
from datetime import timedelta
from math import ceil
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, environment
from breaker.backoff import probe_wait_seconds
from breaker.circuit_table import CircuitTable
from breaker.state_document import StateDocument

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# A cycle writes about 16 events to the execution's history and a retry about 3 more; the history ends at 25,000:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
CYCLES_PER_EXECUTION = 500
# Retries are not counted, but they take time: a step throttled all day long adds about 9,000 events.
LONGEST_EXECUTION = timedelta(hours=24)
# While the circuit is held open by hand.
LONGEST_LOOK_AWAY_SECONDS = 300


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Decide how the incident goes on.

    Input
        The state document with `schedule` and `probe`, which a recovery that failed has replaced.
    Output
        `{"next": "WAIT" | "GIVE_UP" | "HAND_OVER", "failures": n, "successes": n, "cycles": n, "began": t,
        "wait_seconds": s}`. Only a failed probe counts as a failure; where there was nothing to probe with, the wait
        does not grow. While the circuit is held open by hand, a wait has at most 300 s. A recovery that failed counts
        as a failed probe. Successes are those in a row.
    Raises
        CircuitTakenOver
    """
    document = StateDocument.read(event)
    settings, before = document.circuit.settings, document.result("schedule")
    probe = document.result("probe")
    outcome = probe["outcome"]
    failed = outcome in ("FAILED", "REOPENED")
    failures = before["failures"] + (1 if failed else 0)
    successes = 0 if failed else before.get("successes", 0) + (1 if outcome == "CONFIRMING" else 0)
    # Each look at a recovery fills the history too.
    cycles = before["cycles"] + 1 + probe.get("checks", 0)
    wait = probe_wait_seconds(
        # A target that seems to have healed is not kept waiting.
        0 if outcome == "CONFIRMING" else failures,
        first=settings["FirstProbeSeconds"],
        rate=settings["ProbeBackoffRate"],
        longest=settings["MaxProbeIntervalSeconds"],
        jitter_percent=settings["ProbeJitterPercent"],
        chance=random.random(),  # noqa: S311 - spreads probes, protects nothing
    )
    held_until = clock.parse(probe["until"]) if outcome == "HELD_OPEN" else None
    if held_until is not None:
        # Not in one wait: somebody may enable the mapping meanwhile, which is for the next look to see.
        wait = max(1, min(LONGEST_LOOK_AWAY_SECONDS, ceil((held_until - clock.now()).total_seconds())))
    next_step = "WAIT"
    if 0 < settings["MaxProbes"] <= failures:
        next_step = "GIVE_UP"
    elif cycles >= CYCLES_PER_EXECUTION or clock.now() - clock.parse(before["began"]) >= LONGEST_EXECUTION:
        next_step = "HAND_OVER"
    next_probe_at = clock.iso(held_until or clock.now() + timedelta(seconds=wait))
    CircuitTable(clients.dynamodb(), environment.circuit_table()).write(
        document.circuit.name, owner=document.execution, sets={"next_probe_at": next_probe_at}
    )
    logger.info(
        f"next: {next_step}",
        extra={"circuit": document.circuit.name, "failed_probes": failures, "wait_seconds": wait},
    )
    return {
        "next": next_step,
        "failures": failures,
        "successes": successes,
        "cycles": cycles,
        "began": before["began"],
        "wait_seconds": wait,
    }
