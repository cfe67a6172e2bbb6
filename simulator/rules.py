"""The project's own rules and defaults. Nothing here decides anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
# The deployment package is functions/, so its modules import each other as they do on Lambda.
if str(REPOSITORY / "functions") not in sys.path:
    sys.path.insert(0, str(REPOSITORY / "functions"))

from breaker.backoff import probe_wait_seconds  # noqa: E402
from breaker.errors import InvalidSetting  # noqa: E402
from breaker.health import Counts, Health, HealthRule, Judgement, judge  # noqa: E402
from breaker.holding import (  # noqa: E402
    MAX_HOLD_SECONDS,
    HeldMessage,
    may_hold_another,
    needs_trial,
    next_to_try,
    receives_within,
)
from breaker.ramp import KNOWN_GOOD_SECONDS, LEAST_CONCURRENCY, Recovery, Shown, read_steps, recovery_steps  # noqa: E402
from breaker.recovery import TRIALS  # noqa: E402
from breaker.settings import read_settings  # noqa: E402
from breaker.settings_schema import SCHEMA  # noqa: E402
from lab.alarm import AlarmDefinition, AlarmState, decide, read_alarm  # noqa: E402
from lab.alarm_stand_in import CLOUDWATCH_DELAY_SECONDS  # noqa: E402
from lab.emulator import MAPPING_CHANGE_SECONDS  # noqa: E402
from lab.template import Resolver, load_template, parameter_values  # noqa: E402

__all__ = [
    "CLOUDWATCH_DELAY_SECONDS", "KNOWN_GOOD_SECONDS", "LEAST_CONCURRENCY", "MAPPING_CHANGE_SECONDS",
    "MAX_HOLD_SECONDS", "SCHEMA", "TRIALS", "AlarmDefinition", "AlarmState", "Counts", "Health", "HealthRule",
    "HeldMessage", "InvalidSetting", "Judgement", "Recovery", "Retry", "Shown", "alarm_of_template",
    "circuit_settings", "decide", "judge", "may_hold_another", "needs_trial", "next_to_try", "probe_wait_seconds",
    "read_alarm", "read_steps", "receives_within", "recovery_steps", "settle_retry", "successes_despite_alarm",
    "template_default",
]  # fmt: skip

_TEMPLATE = load_template(REPOSITORY / "template.yaml")
_STATES: dict[str, Any] = json.loads((REPOSITORY / "statemachine" / "circuit_breaker.asl.json").read_text())["States"]
# Names that the settings and the alarm must have, and that change nothing here.
_NAMES = {
    "CircuitName": "simulated",
    "TargetFunction": "simulated",
    "QueueArn": "arn:aws:sqs:eu-west-1:123456789012:simulated",
    "AlarmNames": ["simulated"],
}


@dataclass(frozen=True)
class Retry:
    """How the state machine asks again until a mapping has settled. Each wait is drawn from 0 to its length."""

    first: float
    growth: float
    longest: float

    def longest_wait(self, attempt: int) -> float:
        """The longest wait after this many attempts that failed."""
        return min(self.first * self.growth**attempt, self.longest)


def template_default(parameter: str) -> float:
    """A numeric parameter's default in template.yaml."""
    return float(_TEMPLATE["Parameters"][parameter]["Default"])


def template_parameters() -> Mapping[str, Mapping[str, Any]]:
    """The template's parameters."""
    parameters: Mapping[str, Mapping[str, Any]] = _TEMPLATE["Parameters"]
    return parameters


def circuit_settings(given: Mapping[str, str]) -> dict[str, Any]:
    """A circuit's settings as registration would read them.

    Raises
    ------
    InvalidSetting
        As registration does, naming field, value and rule.
    """
    return read_settings({**_NAMES, **given})


def alarm_of_template(given: Mapping[str, str]) -> AlarmDefinition:
    """The built-in alarm as the template declares it, with these parameters."""
    resolver = Resolver(
        template=_TEMPLATE,
        parameters=parameter_values(_TEMPLATE, given),
        resources={},
        pseudo={},
        attributes={"Pipeline.FunctionName": "simulated"},
    )
    return read_alarm(resolver.resolve(_TEMPLATE["Resources"]["ErrorRateAlarm"]["Properties"]))


def settle_retry() -> Retry:
    """The retry of ConfirmPaused and ConfirmEnabled while the mapping is changing."""
    retriers = _STATES["ConfirmPaused"]["Retry"]
    found = next(item for item in retriers if "MappingNotSettled" in item["ErrorEquals"])
    return Retry(found["IntervalSeconds"], found["BackoffRate"], found["MaxDelaySeconds"])


def successes_despite_alarm() -> int:
    """How many probes in a row are believed although the alarm is in ALARM."""
    # The step's module, imported late: it brings Lambda's whole tool box with it.
    from probe_target import SUCCESSES_DESPITE_ALARM

    return SUCCESSES_DESPITE_ALARM
