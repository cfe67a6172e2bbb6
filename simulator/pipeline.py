"""What is simulated. All durations are seconds, all rates messages a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.rules import alarm_of_template, circuit_settings, template_default


@dataclass(frozen=True)
class Pipeline:
    """A queue, its consumer, and what stands behind it.

    Attributes
    ----------
    capacity
        Messages a second that the target can process. What is sent beyond that fails.
    latency
        Duration of one call, whatever the size of its batch.
    max_concurrency
        The mapping's MaximumConcurrency, 0 for none.
    partial_batch_response
        True when the mapping has ReportBatchItemFailures: then Lambda does not slow down on errors.
    """

    rate: float = 10.0
    capacity: float = 100.0
    latency: float = 0.2
    batch_size: int = int(template_default("BatchSize"))
    visibility: int = int(template_default("QueueVisibilityTimeoutSeconds"))
    max_receives: int = int(template_default("MaxReceiveCount"))
    timeout: int = int(template_default("TargetTimeoutSeconds"))
    max_concurrency: int = 0
    partial_batch_response: bool = True


@dataclass(frozen=True)
class Trouble:
    """An outage.

    Attributes
    ----------
    healthy
        Time before it.
    failing_percent
        Share of the calls that fail while it lasts.
    collapse_after
        Seconds above capacity after which the target fails whole again, 0 for a target that never does.
    collapse_for
        How long it then fails.
    """

    outage: float = 1800.0
    healthy: float = 300.0
    failing_percent: float = 100.0
    collapse_after: float = 0.0
    collapse_for: float = 120.0


ALARM_PARAMETERS = (
    "ErrorRatePercent",
    "MinimumInvocations",
    "AlarmPeriodSeconds",
    "AlarmEvaluationPeriods",
    "AlarmDatapointsToAlarm",
)


@dataclass(frozen=True)
class BreakerSettings:
    """What the breaker is told, as text, by the names of the template: what is not given is the template's default."""

    given: Mapping[str, str] = field(default_factory=dict)

    def circuit(self) -> dict[str, Any]:
        """The circuit's settings, checked and typed as registration does it."""
        alarm_only = set(ALARM_PARAMETERS) - {"ErrorRatePercent", "MinimumInvocations"}
        return circuit_settings({name: value for name, value in self.given.items() if name not in alarm_only})

    def alarm(self) -> Any:
        """The built-in alarm."""
        return alarm_of_template({name: value for name, value in self.given.items() if name in ALARM_PARAMETERS})

    def but(self, **changed: str) -> BreakerSettings:
        """The same, with some changed."""
        return BreakerSettings({**self.given, **changed})
