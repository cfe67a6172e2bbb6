"""CloudWatch's rules for a metric alarm, without CloudWatch.

Reads an ``AWS::CloudWatch::Alarm`` with resolved properties, turns a period's metric values into a datapoint, and
decides the alarm's state from its datapoints. No AWS calls, no clock.
"""

from __future__ import annotations

import json
import operator
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from lab.metric_math import Expression, UnsupportedExpression, Value, parse

# CloudWatch looks further back than EvaluationPeriods when datapoints are missing. How far is not documented; its
# documentation's examples look two periods further. This is why an alarm whose metric falls silent stays in ALARM for
# some minutes, even when missing data is "not breaching".
EXTRA_PERIODS = 2

_COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
    "LessThanThreshold": (operator.lt, "less than"),
}
_STATISTICS = frozenset({"Sum", "SampleCount", "Average", "Minimum", "Maximum"})
_TREATMENTS = frozenset({"breaching", "notBreaching", "ignore", "missing"})


class UnsupportedAlarm(ValueError):
    """The alarm uses something that the stand-in does not have."""


class AlarmState(StrEnum):
    """The three states of a CloudWatch alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True)
class Metric:
    """One metric that the alarm reads."""

    id: str
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str


@dataclass(frozen=True)
class Formula:
    """One expression of the alarm."""

    id: str
    expression: Expression


@dataclass(frozen=True)
class AlarmDefinition:
    """A metric-math alarm as its template declares it. ``period`` is in seconds on AWS."""

    metrics: tuple[Metric, ...]
    formulas: tuple[Formula, ...]
    returned: str
    period: int
    threshold: float
    comparison: str
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: str
    description: str = ""

    @property
    def evaluation_range(self) -> int:
        """How many periods are looked at."""
        return self.evaluation_periods + EXTRA_PERIODS

    def breaches(self, datapoint: float) -> bool:
        """Whether a datapoint is on the wrong side of the threshold."""
        return _COMPARISONS[self.comparison][0](datapoint, self.threshold)

    def datapoint(self, values: Mapping[str, Value]) -> Value:
        """The alarm's own value for one period, from that period's metric values."""
        known: dict[str, Value] = dict(values)
        formulas = {formula.id: formula for formula in self.formulas}

        def value_of(name: str) -> Value:
            if name not in known:
                expression = formulas[name].expression
                known[name] = expression.evaluate({part: value_of(part) for part in expression.ids})
            return known[name]

        return value_of(self.returned)


@dataclass(frozen=True)
class Verdict:
    """The state that the datapoints ask for, and why."""

    state: AlarmState
    reason: str
    reason_data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StateAt:
    """A state of the alarm and when and why it was entered."""

    value: AlarmState
    reason: str
    reason_data: str
    at: datetime


def read_alarm(properties: Mapping[str, Any]) -> AlarmDefinition:
    """Read an alarm's resolved ``Properties``.

    Raises
    ------
    UnsupportedAlarm
        Naming the property, its value and what is supported.
    UnsupportedExpression
        From an expression that the evaluator does not have.
    """
    if "Metrics" not in properties:
        raise UnsupportedAlarm("the alarm has no Metrics: only metric-math alarms are supported")
    metrics: list[Metric] = []
    formulas: list[Formula] = []
    periods: set[int] = set()
    returned: list[str] = []
    for entry in properties["Metrics"]:
        # CloudWatch's default for ReturnData is true.
        if str(entry.get("ReturnData", True)).lower() == "true":
            returned.append(entry["Id"])
        if "Expression" in entry:
            formulas.append(Formula(entry["Id"], parse(entry["Expression"])))
            periods |= {int(entry["Period"])} if "Period" in entry else set()
        else:
            metrics.append(_read_metric(entry))
            periods.add(int(entry["MetricStat"]["Period"]))
    if len(returned) != 1:
        raise UnsupportedAlarm(f"ReturnData must be true for exactly one of the Metrics, not for {returned}")
    if len(periods) != 1:
        raise UnsupportedAlarm(f"all Metrics must have the same Period, not {sorted(periods)}")
    _check_ids(metrics, formulas)
    comparison = str(properties["ComparisonOperator"])
    if comparison not in _COMPARISONS:
        raise UnsupportedAlarm(f"ComparisonOperator {comparison} must be one of {', '.join(_COMPARISONS)}")
    treatment = str(properties.get("TreatMissingData", "missing"))
    if treatment not in _TREATMENTS:
        raise UnsupportedAlarm(f"TreatMissingData {treatment} must be one of {', '.join(sorted(_TREATMENTS))}")
    evaluation_periods = int(properties["EvaluationPeriods"])
    datapoints = int(properties.get("DatapointsToAlarm", evaluation_periods))
    if not 1 <= datapoints <= evaluation_periods:
        raise UnsupportedAlarm(f"DatapointsToAlarm {datapoints} must be between 1 and {evaluation_periods}")
    return AlarmDefinition(
        metrics=tuple(metrics),
        formulas=tuple(formulas),
        returned=returned[0],
        period=periods.pop(),
        threshold=float(properties["Threshold"]),
        comparison=comparison,
        evaluation_periods=evaluation_periods,
        datapoints_to_alarm=datapoints,
        treat_missing_data=treatment,
        description=str(properties.get("AlarmDescription", "")),
    )


def _read_metric(entry: Mapping[str, Any]) -> Metric:
    stat = entry["MetricStat"]
    if stat["Stat"] not in _STATISTICS:
        raise UnsupportedAlarm(f"Stat {stat['Stat']} of {entry['Id']} must be one of {', '.join(sorted(_STATISTICS))}")
    metric = stat["Metric"]
    dimensions = {item["Name"]: str(item["Value"]) for item in metric.get("Dimensions", [])}
    return Metric(entry["Id"], metric["Namespace"], metric["MetricName"], dimensions, stat["Stat"])


def _check_ids(metrics: Sequence[Metric], formulas: Sequence[Formula]) -> None:
    """Refuse ids that nothing defines, and expressions that refer to themselves."""
    formulas_by_id = {formula.id: formula for formula in formulas}
    known = {metric.id for metric in metrics} | set(formulas_by_id)

    def visit(formula: Formula, above: tuple[str, ...]) -> None:
        for name in sorted(formula.expression.ids):
            if name not in known:
                raise UnsupportedExpression(formula.expression.text, f"no metric has the id {name}")
            if name in above:
                raise UnsupportedExpression(formula.expression.text, f"{name} refers to itself")
            if name in formulas_by_id:
                visit(formulas_by_id[name], (*above, name))

    for formula in formulas:
        visit(formula, (formula.id,))


def decide(
    alarm: AlarmDefinition, datapoints: Sequence[tuple[datetime, Value]], current: AlarmState, now: datetime
) -> Verdict:
    """The state that an alarm's newest datapoints ask for.

    Parameters
    ----------
    datapoints
        Start and value of each period of the evaluation range, oldest first. ``None`` for a missing one.
    current
        The state the alarm is in, for ``ignore``.

    Returns
    -------
    Verdict
        As CloudWatch's documentation, "Configuring how CloudWatch alarms treat missing data", has it: with enough real
        datapoints in the range the newest of them decide and missing ones are passed over; only otherwise are the
        missing ones filled as TreatMissingData says.
    """
    real = [(at, value) for at, value in datapoints if value is not None]
    evaluated = real[-alarm.evaluation_periods :]
    missing = alarm.evaluation_periods - len(evaluated)
    breaching = sum(alarm.breaches(value) for _, value in evaluated)
    needed = alarm.datapoints_to_alarm
    if not missing:
        state = AlarmState.ALARM if breaching >= needed else AlarmState.OK
    elif not real:
        state = {
            "missing": AlarmState.INSUFFICIENT_DATA,
            "ignore": current,
            "breaching": AlarmState.ALARM,
            "notBreaching": AlarmState.OK,
        }[alarm.treat_missing_data]
    elif alarm.treat_missing_data in {"breaching", "notBreaching"}:
        filled = missing if alarm.treat_missing_data == "breaching" else 0
        state = AlarmState.ALARM if breaching + filled >= needed else AlarmState.OK
    elif breaching < len(evaluated):
        # Some datapoint says "not breaching" and those that could outvote it are not there.
        state = AlarmState.ALARM if breaching >= needed else AlarmState.OK
    else:
        # All that is there breaches.
        state = current if alarm.treat_missing_data == "ignore" else AlarmState.ALARM
    return Verdict(state, _reason(alarm, evaluated, missing, state), _reason_data(alarm, evaluated, now))


def _reason(
    alarm: AlarmDefinition, evaluated: Sequence[tuple[datetime, float]], missing: int, state: AlarmState
) -> str:
    if state is AlarmState.INSUFFICIENT_DATA:
        return f"Insufficient Data: {missing} datapoint(s) were unknown."
    if not evaluated:
        return f"Threshold Crossed: no datapoints were received for {missing} period(s)."
    matching = [item for item in evaluated if alarm.breaches(item[1]) == (state is AlarmState.ALARM)]
    points = ", ".join(f"{value} ({at:%d/%m/%y %H:%M:%S})" for at, value in reversed(matching))
    relation = _COMPARISONS[alarm.comparison][1]
    negation = "was" if state is AlarmState.ALARM else "was not"
    previous, minimum = (
        (AlarmState.OK, alarm.datapoints_to_alarm)
        if state is AlarmState.ALARM
        else (AlarmState.ALARM, alarm.evaluation_periods - alarm.datapoints_to_alarm + 1)
    )
    return (
        f"Threshold Crossed: {len(matching)} out of the last {alarm.evaluation_periods} datapoints [{points}] "
        f"{negation} {relation} the threshold ({alarm.threshold}) "
        f"(minimum {minimum} datapoint{'s' if minimum > 1 else ''} for {previous} -> {state} transition)."
    )


def _reason_data(alarm: AlarmDefinition, evaluated: Sequence[tuple[datetime, float]], now: datetime) -> dict[str, Any]:
    newest_first = list(reversed(evaluated))
    return {
        "version": "1.0",
        "queryDate": _timestamp(now),
        **({"startDate": _timestamp(evaluated[0][0])} if evaluated else {}),
        "period": alarm.period,
        "recentDatapoints": [value for _, value in evaluated],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [{"timestamp": _timestamp(at), "value": value} for at, value in newest_first],
    }


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"


def state_change_event(
    alarm: AlarmDefinition, name: str, arn: str, previous: StateAt, state: StateAt
) -> dict[str, Any]:
    """The event that EventBridge gets when the alarm changes its state, in CloudWatch's documented shape."""
    _, _, _, region, account, *_ = arn.split(":")
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": account,
        "time": state.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": region,
        "resources": [arn],
        "detail": {
            "alarmName": name,
            "state": _event_state(state),
            "previousState": _event_state(previous),
            "configuration": {"description": alarm.description, "metrics": _event_metrics(alarm)},
        },
    }


def _event_state(state: StateAt) -> dict[str, str]:
    return {
        "value": state.value.value,
        "reason": state.reason,
        **({"reasonData": state.reason_data} if state.reason_data else {}),
        "timestamp": _timestamp(state.at),
    }


def _event_metrics(alarm: AlarmDefinition) -> list[dict[str, Any]]:
    formulas: list[dict[str, Any]] = [
        {"id": formula.id, "expression": formula.expression.text, "returnData": formula.id == alarm.returned}
        for formula in alarm.formulas
    ]
    metrics: list[dict[str, Any]] = [
        {
            "id": metric.id,
            "metricStat": {
                "metric": {
                    "namespace": metric.namespace,
                    "name": metric.name,
                    "dimensions": dict(metric.dimensions),
                },
                "period": alarm.period,
                "stat": metric.statistic,
            },
            "returnData": metric.id == alarm.returned,
        }
        for metric in alarm.metrics
    ]
    return formulas + metrics


def reason_data_text(verdict: Verdict) -> str:
    """The verdict's reason data as the JSON string that AWS puts in the event."""
    return json.dumps(verdict.reason_data)
