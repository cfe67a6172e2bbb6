"""The loop that stands in for CloudWatch's evaluator.

Each time a period's datapoint becomes visible it evaluates the alarm over the emulator's metric data. On a change of
state it sets the alarm's state in the emulator, so that ``DescribeAlarms`` answers as it would on AWS, and delivers
the event to the rules that match.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.alarm import (
    AlarmDefinition,
    AlarmState,
    Metric,
    StateAt,
    Verdict,
    decide,
    reason_data_text,
    state_change_event,
)
from lab.background import Background
from lab.clock import Scale
from lab.event_delivery import Delivery, EventDelivery
from lab.metric_math import Value

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

# Lambda's metrics can be read about this long after the end of their minute.
CLOUDWATCH_DELAY_SECONDS = 90.0
# An alarm with a longer period is evaluated every minute, too, on the period that ends then:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation-window.html
_MINUTE_SECONDS = 60
_TICK_SECONDS = 0.1


class StandInFailed(RuntimeError):
    """The stand-in could not evaluate the alarm or deliver its event."""


@dataclass(frozen=True)
class AlarmChange:
    """A change of the alarm's state, the event that told of it, and what it started."""

    at: float
    previous: AlarmState
    state: AlarmState
    reason: str
    event: Mapping[str, Any]
    deliveries: tuple[Delivery, ...]


class AlarmStandIn:
    """Evaluates one alarm in a thread of its own until it is stopped.

    Parameters
    ----------
    alarm
        The alarm, as ``read_alarm`` returns it.
    name
        The name under which it exists in the emulator. Made here.
    scale
        Its period and CloudWatch's delay are divided by this.
    delay_seconds
        How long after its period a datapoint can be seen, in real-equivalent seconds.
    wall_clock
        Seconds since the epoch.

    Raises
    ------
    ValueError
        The alarm's period, divided by the scale, is not a whole number of seconds. The emulator keeps metrics by the
        second, so such periods could not be told apart.
    """

    def __init__(
        self,
        alarm: AlarmDefinition,
        name: str,
        *,
        cloudwatch: CloudWatchClient,
        delivery: EventDelivery,
        scale: Scale,
        delay_seconds: float = CLOUDWATCH_DELAY_SECONDS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        for seconds in (alarm.period, min(alarm.period, _MINUTE_SECONDS)):
            if seconds % scale.factor:
                raise ValueError(f"the alarm's period of {seconds} s cannot be divided by the scale {scale.factor}")
        self.alarm = alarm
        self.name = name
        self.changes: list[AlarmChange] = []
        self._cloudwatch = cloudwatch
        self._delivery = delivery
        self._period = alarm.period // scale.factor
        self._evaluated_every = min(alarm.period, _MINUTE_SECONDS) // scale.factor
        self._delay = scale.wall(delay_seconds)
        self._wall_clock = wall_clock
        self._evaluated_until = 0
        self._background = Background(
            "alarm-stand-in",
            self.evaluate,
            every=_TICK_SECONDS,
            failed=lambda error: StandInFailed(f"the stand-in for CloudWatch's alarm stopped: {error}"),
        )
        self.stop, self.require_working = self._background.stop, self._background.require_working
        self._arn = ""
        self._state = StateAt(AlarmState.INSUFFICIENT_DATA, "Unchecked: Initial alarm creation", "", _utc(wall_clock()))

    @property
    def state(self) -> AlarmState:
        """The state it is in now."""
        return self._state.value

    def start(self) -> None:
        """Make the alarm in the emulator and begin to evaluate it."""
        self._create()
        self._background.start()

    def evaluate(self) -> AlarmChange | None:
        """Evaluate once, if a new datapoint can be seen. Returns the change of state, if there was one."""
        now = self._wall_clock()
        visible_until = math.floor((now - self._delay) / self._evaluated_every) * self._evaluated_every
        if visible_until <= self._evaluated_until:
            return None
        self._evaluated_until = visible_until
        datapoints = self._datapoints(visible_until)
        verdict = decide(self.alarm, datapoints, self._state.value, _utc(now))
        if verdict.state is self._state.value:
            return None
        return self._change_to(verdict, now)

    def _create(self) -> None:
        self._cloudwatch.put_metric_alarm(
            AlarmName=self.name,
            AlarmDescription=self.alarm.description,
            # With Metrics and without a MetricName the emulator's own evaluator leaves the alarm alone.
            Metrics=[_request_entry(entry, self.alarm) for entry in (*self.alarm.formulas, *self.alarm.metrics)],
            ComparisonOperator=self.alarm.comparison,  # type: ignore[arg-type]
            Threshold=self.alarm.threshold,
            EvaluationPeriods=self.alarm.evaluation_periods,
            DatapointsToAlarm=self.alarm.datapoints_to_alarm,
            TreatMissingData=self.alarm.treat_missing_data,
        )
        described = self._cloudwatch.describe_alarms(AlarmNames=[self.name])["MetricAlarms"][0]
        self._arn = described["AlarmArn"]

    def _datapoints(self, until: int) -> list[tuple[datetime, Value]]:
        starts = [until - self._period * back for back in range(self.alarm.evaluation_range, 0, -1)]
        by_metric = {metric.id: self._metric_values(metric, starts) for metric in self.alarm.metrics}
        return [
            (_utc(start), self.alarm.datapoint({name: values[start] for name, values in by_metric.items()}))
            for start in starts
        ]

    def _metric_values(self, metric: Metric, starts: list[int]) -> dict[int, Value]:
        """The metric's statistic for each period, from one-second datapoints."""
        answer = self._cloudwatch.get_metric_statistics(
            Namespace=metric.namespace,
            MetricName=metric.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
            StartTime=_utc(starts[0]),
            EndTime=_utc(starts[-1] + self._period),
            Period=1,
            Statistics=["Sum", "SampleCount", "Minimum", "Maximum"],
        )
        seconds = [(point["Timestamp"].timestamp(), point) for point in answer["Datapoints"]]
        return {
            start: _statistic(metric.statistic, [p for at, p in seconds if start <= at < start + self._period])
            for start in starts
        }

    def _change_to(self, verdict: Verdict, now: float) -> AlarmChange:
        previous = self._state
        reason_data = reason_data_text(verdict)
        self._state = StateAt(verdict.state, verdict.reason, reason_data, _utc(now))
        self._cloudwatch.set_alarm_state(
            AlarmName=self.name,
            StateValue=verdict.state.value,
            StateReason=verdict.reason,
            StateReasonData=reason_data,
        )
        event = state_change_event(self.alarm, self.name, self._arn, previous, self._state)
        deliveries = tuple(self._delivery.deliver(event))
        change = AlarmChange(now, previous.value, verdict.state, verdict.reason, event, deliveries)
        self.changes.append(change)
        return change


def _statistic(name: str, points: list[Any]) -> Value:
    if not points:
        return None
    if name == "Minimum":
        return float(min(point["Minimum"] for point in points))
    if name == "Maximum":
        return float(max(point["Maximum"] for point in points))
    total, count = (float(sum(point[part] for point in points)) for part in ("Sum", "SampleCount"))
    return {"Sum": total, "SampleCount": count, "Average": total / count}[name]


def _request_entry(entry: Any, alarm: AlarmDefinition) -> Any:
    if not isinstance(entry, Metric):
        return {"Id": entry.id, "Expression": entry.expression.text, "ReturnData": entry.id == alarm.returned}
    dimensions = [{"Name": name, "Value": value} for name, value in entry.dimensions.items()]
    return {
        "Id": entry.id,
        "MetricStat": {
            "Metric": {"Namespace": entry.namespace, "MetricName": entry.name, "Dimensions": dimensions},
            "Period": alarm.period,
            "Stat": entry.statistic,
        },
        "ReturnData": entry.id == alarm.returned,
    }


def _utc(epoch: float) -> datetime:
    return datetime.fromtimestamp(epoch, UTC)
