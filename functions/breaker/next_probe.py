"""When the next probe is, if any, after one that did not end the incident or a recovery that failed."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from breaker import clock
from breaker.backoff import probe_wait_seconds

# A cycle writes 9 events to the execution's history and a retry about 3 more; the history ends at 25,000:
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
CYCLES_PER_EXECUTION = 500
# Retries are not counted, but they take time: a step throttled all day long adds about 9,000 events.
LONGEST_EXECUTION = timedelta(hours=24)
# While the circuit is held open by hand.
LONGEST_LOOK_AWAY_SECONDS = 300


def after(
    probe: Mapping[str, Any], before: Mapping[str, Any], settings: Mapping[str, Any], *, now: datetime
) -> dict[str, Any]:
    """Return how the incident goes on.

    Parameters
    ----------
    probe
        `outcome`, and `until` where the circuit is held open by hand, `checks` after a recovery that failed.
    before
        What this returned after the probe before, or what LoadCircuit began with.

    Returns
    -------
    dict
        `{"next": "WAIT" | "GIVE_UP" | "HAND_OVER", "failures": n, "successes": n, "cycles": n, "began": t,
        "wait_seconds": s}`. Only a failed probe counts as a failure; where there was nothing to probe with, the wait
        does not grow. While the circuit is held open by hand, a wait has at most 300 s. A recovery that failed counts
        as a failed probe. Successes are those in a row.
    """
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
    if outcome == "HELD_OPEN":
        # Not in one wait: somebody may enable the mapping meanwhile, which is for the next look to see.
        left = ceil((clock.parse(probe["until"]) - now).total_seconds())
        wait = max(1, min(LONGEST_LOOK_AWAY_SECONDS, left))
    next_step = "WAIT"
    if 0 < settings["MaxProbes"] <= failures:
        next_step = "GIVE_UP"
    elif cycles >= CYCLES_PER_EXECUTION or now - clock.parse(before["began"]) >= LONGEST_EXECUTION:
        next_step = "HAND_OVER"
    return {
        "next": next_step,
        "failures": failures,
        "successes": successes,
        "cycles": cycles,
        "began": before["began"],
        "wait_seconds": wait,
    }


def due_at(wait_seconds: float, *, until: str, now: datetime) -> str:
    """Return when the next probe is due, ISO 8601: what people are told.

    `until` is the end of a hold by hand, "" where there is none.
    """
    return until or clock.iso(now + timedelta(seconds=wait_seconds))
