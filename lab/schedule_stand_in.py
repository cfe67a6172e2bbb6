"""The loop that stands in for EventBridge's schedules.

The emulator keeps schedules by the real clock, and lets none run more often than once a minute. So ``emulated_cloud``
stops them, and this loop runs a rule's targets at the lab's pace, with the event that EventBridge would send.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.background import Background
from lab.clock import Scale

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_UNIT_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}
_TICK_SECONDS = 0.1


class ScheduleFailed(RuntimeError):
    """A schedule's targets could not be run any more."""


class UnsupportedSchedule(ValueError):
    """A schedule, or a target of one, that the lab cannot run."""


def rate_seconds(expression: str) -> int:
    """The period of a schedule expression in seconds.

    Raises
    ------
    UnsupportedSchedule
        It is no rate.
    """
    rate = _RATE.fullmatch(expression)
    if rate is None or int(rate[1]) == 0:
        raise UnsupportedSchedule(f"schedule {expression!r} is not supported: the lab runs rate(...) alone")
    return int(rate[1]) * _UNIT_SECONDS[rate[2]]


def scheduled_event(rule_arn: str, now: datetime) -> dict[str, Any]:
    """The document that EventBridge sends a target when a schedule is due."""
    _, _, _, region, account, _ = rule_arn.split(":", 5)
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": account,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [rule_arn],
        "detail": {},
    }


class ScheduleStandIn:
    """Runs the functions that one rule's schedule calls, until it is stopped.

    Parameters
    ----------
    rule
        The rule's name in the emulator. Its targets are read from there.
    expression
        Its schedule, as the template says it.
    scale
        The schedule's period is divided by this. The first run is one period after the start, as on AWS.

    Raises
    ------
    UnsupportedSchedule
        The schedule is no rate, or a target is no function.
    """

    def __init__(
        self,
        rule: str,
        expression: str,
        *,
        events: EventBridgeClient,
        functions: LambdaClient,
        scale: Scale,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.period_seconds = scale.wall(rate_seconds(expression))
        self.runs: list[float] = []
        self._functions = functions
        self._wall_clock = wall_clock
        self._rule_arn = events.describe_rule(Name=rule)["Arn"]
        self._targets = [target["Arn"] for target in events.list_targets_by_rule(Rule=rule)["Targets"]]
        for target in self._targets:
            if ":lambda:" not in target:
                raise UnsupportedSchedule(f"rule {rule} has the target {target}: the lab can only run functions")
        self._due = wall_clock() + self.period_seconds
        self._background = Background(
            "schedule-stand-in",
            self.run_if_due,
            every=_TICK_SECONDS,
            failed=lambda error: ScheduleFailed(f"the stand-in for EventBridge's schedules stopped: {error}"),
        )
        self.start, self.stop = self._background.start, self._background.stop
        self.require_working = self._background.require_working

    def run_if_due(self) -> bool:
        """Run the targets if a period has passed since the last time."""
        now = self._wall_clock()
        if now < self._due:
            return False
        # The beat is kept, and a run that was missed is not made up for.
        self._due += ((now - self._due) // self.period_seconds + 1) * self.period_seconds
        document = json.dumps(scheduled_event(self._rule_arn, datetime.fromtimestamp(now, UTC)))
        for target in self._targets:
            self._functions.invoke(FunctionName=target, InvocationType="Event", Payload=document)
        self.runs.append(now)
        return True
