"""What an incident costs on AWS: list prices of us-east-1, without any free tier.

Counted is what the incident adds: state transitions, functions that the state machine calls, table and queue requests
of these, the target's failed calls and what a re-jitter sends again. Alarms cost by the month, whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.prices import GIGABYTE_SECOND, INVOCATION, READ_UNIT, SQS_REQUEST, TRANSITION, WRITE_UNIT

# The template's memory, in GB. The sample's functions have 128 MB.
STEP_GB, REFERENCE_GB, TARGET_GB = 0.25, 0.125, 0.25
# What a step takes on AWS was not measured: assumed, generously. The lab's own times include starts at the lab's pace.
STEP_SECONDS = 0.3
# At most so many requests to the table and to the queue by one step; the code's own paths have fewer.
WRITES_OF_A_STEP, READS_OF_A_STEP, QUEUE_REQUESTS_OF_A_STEP = 2, 2, 2
_BATCH = 10


@dataclass(frozen=True)
class Incident:
    """What an incident used.

    Attributes
    ----------
    transitions
        State transitions, retries included.
    steps
        Calls of the breaker's functions. The reference policy has none: its AWS calls are Step Functions' own.
    failed_calls, failed_call_seconds
        Of the target, and what one takes.
    copied
        Messages that were re-jittered.
    """

    transitions: int
    steps: int
    failed_calls: int
    failed_call_seconds: float
    copied: int = 0
    copied_by_breaker: bool = False

    @property
    def parts(self) -> dict[str, float]:
        """Dollars by what they are for."""
        requests = self.steps * QUEUE_REQUESTS_OF_A_STEP
        table = self.steps * (WRITES_OF_A_STEP * WRITE_UNIT + READS_OF_A_STEP * READ_UNIT)
        return {
            "transitions": self.transitions * TRANSITION,
            "steps": self.steps * (INVOCATION + STEP_SECONDS * STEP_GB * GIGABYTE_SECOND)
            + table
            + requests * SQS_REQUEST,
            "failed calls": self.failed_calls * (INVOCATION + self.failed_call_seconds * TARGET_GB * GIGABYTE_SECOND),
            "re-jitter": self._rejitter(),
        }

    @property
    def dollars(self) -> float:
        """All of it."""
        return sum(self.parts.values())

    def _rejitter(self) -> float:
        """Receive and delete come in batches of ten; the sample sends message by message, the breaker in batches."""
        if self.copied_by_breaker:
            return self.copied * 3 / _BATCH * SQS_REQUEST
        functions = self.copied / _BATCH * (INVOCATION + 0.1 * REFERENCE_GB * GIGABYTE_SECOND)
        return self.copied * (1 + 2 / _BATCH) * SQS_REQUEST + functions


# States that a simulated incident enters, and the functions among them. A test walks the state machine's file.
OPENING_STATES, OPENING_STEPS = 6, 3  # LoadCircuit ... IsItPausedAgain?
FAILED_PROBE_STATES, FAILED_PROBE_STEPS = 3, 1  # WaitBeforeProbe, ProbeTarget, WhatDidTheProbeShow?
CLOSING_STATES, CLOSING_STEPS = 6, 3  # WaitBeforeProbe ... CloseCircuit
RAISING_STATES, RAISING_STEPS = 1, 1  # RaiseConcurrency
CONFIRMING_STATES, CONFIRMING_STEPS = 2, 1  # ConfirmEnabled, IsRecoveryJudged?
LOOK_STATES, LOOK_STEPS = 3, 1  # WaitForMetrics or WaitForMoreMetrics, JudgeRecovery, HowDoesItGoOn?
REOPENING_STATES, REOPENING_STEPS = 3, 2  # ReopenCircuit, ConfirmPaused, IsItPausedAgain?
ENDING_STATES, ENDING_STEPS = 2, 1  # EndIncident, CircuitClosed
# ConfirmPaused and ConfirmEnabled ask about so often until a mapping has changed, after 15 s: 3.2 times in the mean of
# their jittered waits. A retry is billed as a transition.
SETTLING_RETRIES = 3
# DisableMapping ... EnableMapping; and for each failed probe CountFailure ... ProbeTarget.
REFERENCE_STATES, REFERENCE_FAILED_PROBE_STATES = 9, 4


def breaker_states(*, failed_probes: int, ramp_steps: int, looks: int, reopened: int, openings: int) -> tuple[int, int]:
    """Transitions and function calls of simulated incidents.

    Parameters
    ----------
    openings
        Incidents, each of which opens and closes once.
    reopened
        How often a recovery was stopped: it pauses and closes once more.
    ramp_steps
        Steps of all recoveries together, the first of each among them.
    """
    closings = openings + reopened
    raised = ramp_steps - closings
    confirmed = closings + ramp_steps
    states = (
        openings * (OPENING_STATES + ENDING_STATES)
        + failed_probes * FAILED_PROBE_STATES
        + closings * CLOSING_STATES
        + raised * RAISING_STATES
        + ramp_steps * CONFIRMING_STATES
        + looks * LOOK_STATES
        + reopened * REOPENING_STATES
        + confirmed * SETTLING_RETRIES
    )
    steps = (
        openings * (OPENING_STEPS + ENDING_STEPS)
        + failed_probes * FAILED_PROBE_STEPS
        + closings * CLOSING_STEPS
        + raised * RAISING_STEPS
        + ramp_steps * CONFIRMING_STEPS
        + looks * LOOK_STEPS
        + reopened * REOPENING_STEPS
        + confirmed * SETTLING_RETRIES
    )
    return states, steps


def reference_states(*, executions: int, failed_probes: int) -> int:
    """Transitions of simulated executions of the reference policy."""
    return executions * REFERENCE_STATES + failed_probes * REFERENCE_FAILED_PROBE_STATES
