"""One finding about a pipeline, and what a pipeline is judged by. The rules are in `breaker.findings`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from breaker.pipeline import Pipeline

# From the alarm's data to a disabled mapping: CloudWatch evaluates once a minute, the first steps start cold, and
# Lambda takes its time to disable. An estimate; only AWS can confirm it.
PAUSING_SECONDS = 60


class Level(StrEnum):
    """ERROR: registration refuses it. WARNING: it works badly until somebody acts. NOTE: worth knowing."""

    ERROR = "ERROR"
    WARNING = "WARNING"
    NOTE = "NOTE"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    rule
        Name of the rule, for machines.
    field
        The setting whose part of the pipeline it is about, for example QueueArn.
    what
        What was found, with the value.
    means
        What follows from it.
    remedy
        What to set.
    """

    level: Level
    rule: str
    field: str
    what: str
    means: str
    remedy: str


@dataclass(frozen=True)
class AlarmTiming:
    """How long the alarm takes. The defaults are those of the built-in alarm.

    Attributes
    ----------
    datapoints
        Periods that must be bad.
    """

    period_seconds: int = 60
    datapoints: int = 1

    @property
    def seconds(self) -> int:
        """The longest time from the first failure to the end of the last period that must be bad.

        The period in which an outage begins is only partly bad, so one more than the alarm wants may pass.
        """
        return self.period_seconds * (self.datapoints + 1)


@dataclass(frozen=True)
class Plan:
    """How the pipeline is to be protected.

    Attributes
    ----------
    settings
        The checked settings, by the names of settings.schema.json.
    messages_per_second
        For the number of messages that an outage would dead-letter.
    """

    settings: Mapping[str, Any]
    alarm: AlarmTiming = AlarmTiming()
    messages_per_second: float = 1

    def detection_seconds(self, timeout_seconds: int) -> int:
        """Return the longest time, by estimate, from the first failure to the disabled mapping.

        Lambda counts an error in the period in which the call began, which is known when the call has ended.
        """
        return int(self.alarm.seconds + self.settings["MetricDelaySeconds"] + timeout_seconds + PAUSING_SECONDS)


Rule = Callable[[Pipeline, Plan], Iterator[Finding]]
"""What says something about a pipeline, or nothing."""


def duration(seconds: int) -> str:
    """Return a duration for people."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds} s"


def name_of(arn: str) -> str:
    """Return the name that an ARN ends with, with alias or version."""
    return ":".join(arn.split(":")[6 if ":function:" in arn else 5 :])


def function_of(arn: str) -> str:
    """Return the ARN of a function without alias or version."""
    return ":".join(arn.split(":")[:7])
