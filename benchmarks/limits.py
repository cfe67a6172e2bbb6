"""What no single machine shows, computed: many messages, a very long outage, many circuits. Pure.

Each line takes the code's own constants and AWS's published quotas, and names both.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost import FAILED_PROBE_STATES, FAILED_PROBE_STEPS, Incident
from simulator.pipeline import BreakerSettings
from simulator.rules import MAX_HOLD_SECONDS, template_default

_FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"
if str(_FUNCTIONS) not in sys.path:
    sys.path.insert(0, str(_FUNCTIONS))

from breaker.next_probe import CYCLES_PER_EXECUTION, LONGEST_EXECUTION  # noqa: E402
from breaker.rejittering import LONGEST_SWEEP_SECONDS  # noqa: E402

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
IN_FLIGHT = 120_000
# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
HISTORY_EVENTS = 25_000
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: all control-plane calls of a Region together
CONTROL_PLANE_CALLS = 15
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
LONGEST_RETENTION_DAYS = 14
# By next_probe's own account of a cycle.
EVENTS_OF_A_CYCLE = 9
# tests/template/test_attach.py counts the characters of the step roles' policies.
CIRCUITS = 13
# UpdateEventSourceMapping, and GetEventSourceMapping before it and until it has changed.
CALLS_OF_A_CHANGE, CHANGE_SECONDS = 6, 15
# One batch of ten: receive, send and delete, one after the other. Assumed.
_COPY_BATCH_SECONDS = 0.05
_RATE, _HOUR, _DAY, _WEEK = 10_000, 3600, 86_400, 7 * 86_400


@dataclass(frozen=True)
class Line:
    """One thing that is computed."""

    question: str
    answer: str
    source: str


def lines() -> list[Line]:
    """All that is computed, in the order of the page."""
    return [*_many_messages(), *_a_week(), *_many_circuits()]


def mean_wait_seconds() -> float:
    """Mean time between two probes once the wait has grown, chance's part taken away; and 2 s for the steps."""
    settings = BreakerSettings().circuit()
    return float(settings["MaxProbeIntervalSeconds"]) * (1 - settings["ProbeJitterPercent"] / 200) + 2


def probes_in(seconds: float) -> int:
    """Probes of an outage that is long against the first waits."""
    return round(seconds / mean_wait_seconds())


def executions_for(probes: int) -> int:
    """Executions that one after the other carry the incident."""
    cycles = min(CYCLES_PER_EXECUTION, int(LONGEST_EXECUTION.total_seconds() / mean_wait_seconds()))
    return -(-probes // cycles)


def _many_messages() -> list[Line]:
    visibility = int(template_default("QueueVisibilityTimeoutSeconds"))
    filled = IN_FLIGHT / _RATE
    copied = round(LONGEST_SWEEP_SECONDS / _COPY_BATCH_SECONDS * 10)
    return [
        Line(
            f"{_RATE:,} messages a second: the in-flight limit",
            f"reached {filled:.0f} s after the break, because failed messages stay hidden for {visibility} s. From "
            f"then on SQS hands out {IN_FLIGHT / visibility:,.0f} messages a second at most. A probe finds nothing to "
            f"receive until the first of them show, up to {visibility - 30} s after it was due: it waits, and does not "
            "take the queue for empty. **This gives first**",
            f"SQS: {IN_FLIGHT:,} in flight; QueueVisibilityTimeoutSeconds",
        ),
        Line(
            f"{_RATE:,} messages a second: the breaker's own calls",
            "do not grow with the rate. A probe is one message, whatever waits",
            "probe_target.py",
        ),
        Line(
            f"{_RATE:,} messages a second: an hour's backlog",
            f"{_RATE * _HOUR / 1e6:,.0f} million messages. REJITTER spreads {copied:,} of them, "
            f"{100 * copied / (_RATE * _HOUR):.1f} %: use RAMP",
            "LONGEST_SWEEP_SECONDS, 50 ms for a batch assumed",
        ),
    ]


def _a_week() -> list[Line]:
    probes = probes_in(_WEEK)
    executions = executions_for(probes)
    events = CYCLES_PER_EXECUTION * EVENTS_OF_A_CYCLE
    incident = Incident(probes * FAILED_PROBE_STATES, probes * FAILED_PROBE_STEPS, 0, 0.0)
    retention = LONGEST_RETENTION_DAYS
    return [
        Line(
            "an outage of a week: probes and executions",
            f"{probes:,} probes, in {executions} executions one after another; each has {events:,} events of history, "
            f"{100 * events / HISTORY_EVENTS:.0f} % of what it may have",
            f"MaxProbeIntervalSeconds, CYCLES_PER_EXECUTION; Step Functions: {HISTORY_EVENTS:,} events",
        ),
        Line(
            "an outage of a week: cost",
            f"${incident.parts['transitions']:.2f} for {incident.transitions:,} transitions, "
            f"${incident.parts['steps']:.2f} for {incident.steps:,} calls of functions with their requests; "
            f"{probes * FAILED_PROBE_STEPS * 2:,} writes to the table at most",
            "benchmarks/cost.py",
        ),
        Line(
            "an outage of a week: receives",
            f"a held message is received once in {MAX_HOLD_SECONDS / _HOUR:.0f} hours, so the few that probes use lose "
            f"{_WEEK // MAX_HOLD_SECONDS} receives at most, and those at their last are kept to the end of their hold",
            "MAX_HOLD_SECONDS; SQS: 12 hours",
        ),
        Line(
            "an outage of a week: what gives first",
            f"**the queue's retention.** SQS's default is 4 days, the example's 7, the most {retention}. The breaker "
            "says so when the oldest message is at three quarters of it, and can do no more",
            "NEAR_RETENTION; SQS: 14 days",
        ),
    ]


def _many_circuits() -> list[Line]:
    calls = CIRCUITS * CALLS_OF_A_CHANGE / CHANGE_SECONDS
    enough = int(CONTROL_PLANE_CALLS * CHANGE_SECONDS / CALLS_OF_A_CHANGE)
    # One read of the mapping a probe.
    probing = CIRCUITS / mean_wait_seconds()
    return [
        Line(
            "most circuits of one breaker",
            f"**{CIRCUITS}**, by the size of the step roles' policies (9 with a KMS key each). Deploy a second breaker "
            "for more",
            "IAM: 10,240 characters; tests/template/test_attach.py",
        ),
        Line(
            f"{CIRCUITS} circuits that open in the same moment",
            f"{calls:.1f} control-plane calls a second for {CHANGE_SECONDS} s, of {CONTROL_PLANE_CALLS} that a Region "
            f"has for everybody. {enough} circuits would need all of it; refused calls are tried again, with chance in "
            "the waits",
            f"Lambda: {CONTROL_PLANE_CALLS} calls a second; retries of ConfirmPaused",
        ),
        Line(
            f"{CIRCUITS} circuits that stay open",
            f"{probing:.2f} reads of a mapping a second",
            "one a probe",
        ),
    ]
