from datetime import UTC, datetime, timedelta

import pytest

from lab.alarm import AlarmState, StateAt, UnsupportedAlarm, decide, read_alarm, state_change_event
from lab.metric_math import UnsupportedExpression

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
OK, ALARM, UNKNOWN = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA


def metric(name, **changes):
    return {
        "Id": name.lower(),
        "ReturnData": False,
        "MetricStat": {
            "Stat": "Sum",
            "Period": 60,
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": name,
                "Dimensions": [{"Name": "FunctionName", "Value": "orders"}],
            },
        },
        **changes,
    }


def properties(**changes):
    return {
        "Metrics": [
            {"Id": "rate", "Expression": "IF(invocations >= 5, 100 * errors / invocations, 0)", "ReturnData": True},
            metric("Errors"),
            metric("Invocations"),
        ],
        "Threshold": 80,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "EvaluationPeriods": 1,
        "TreatMissingData": "notBreaching",
        **changes,
    }


def alarm(datapoints=3, periods=3, missing="missing"):
    return read_alarm(
        properties(EvaluationPeriods=periods, DatapointsToAlarm=datapoints, TreatMissingData=missing, Threshold=1)
    )


def points(pattern):
    """0 is a datapoint below the threshold, X one above it, - none."""
    value = {"0": 0.0, "X": 1.0, "-": None}
    spaced = pattern.split()
    return [(NOW - timedelta(minutes=len(spaced) - n), value[mark]) for n, mark in enumerate(spaced)]


# The tables of "Configuring how CloudWatch alarms treat missing data". The state before is INSUFFICIENT_DATA where
# "ignore" retains it.
@pytest.mark.parametrize(
    ("m", "pattern", "missing", "ignore", "breaching", "not_breaching"),
    [
        (3, "0 - X - X", OK, OK, OK, OK),
        (3, "- - - - 0", OK, OK, OK, OK),
        (3, "- - - - -", UNKNOWN, UNKNOWN, ALARM, OK),
        (3, "0 X X - X", ALARM, ALARM, ALARM, ALARM),
        (3, "- - X - -", ALARM, UNKNOWN, ALARM, OK),
        (2, "0 - X - X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 0 X 0 X", ALARM, ALARM, ALARM, ALARM),
        (2, "0 - X - -", OK, OK, ALARM, OK),
        (2, "- - - - 0", OK, OK, ALARM, OK),
        (2, "- - - X -", ALARM, UNKNOWN, ALARM, OK),
    ],
)
def test_decide_follows_the_documented_tables(m, pattern, missing, ignore, breaching, not_breaching):
    got = {
        treatment: decide(alarm(datapoints=m, missing=treatment), points(pattern), UNKNOWN, NOW).state
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }
    assert got == {"missing": missing, "ignore": ignore, "breaching": breaching, "notBreaching": not_breaching}


def test_decide_after_data_stop_old_breach_holds_until_it_leaves_the_range():
    one = alarm(datapoints=1, periods=1, missing="notBreaching")
    assert [decide(one, points(p), ALARM, NOW).state for p in ("0 0 X", "0 X -", "X - -", "- - -")] == [
        ALARM,
        ALARM,
        ALARM,
        OK,
    ]


def test_decide_alarm_reason_names_points_and_threshold():
    verdict = decide(alarm(datapoints=1, periods=1), points("0 0 X"), OK, NOW)
    assert "1 out of the last 1 datapoints [1.0 (01/01/26 11:59:00)]" in verdict.reason
    assert "greater than or equal to the threshold (1.0)" in verdict.reason
    assert verdict.reason_data["recentDatapoints"] == [1.0]


def test_read_alarm_of_the_error_rate_gives_its_rules():
    read = read_alarm(properties())
    assert (read.period, read.threshold, read.evaluation_periods, read.datapoints_to_alarm) == (60, 80.0, 1, 1)
    assert read.datapoint({"errors": 9.0, "invocations": 10.0}) == 90.0
    assert read.breaches(80.0)
    assert not read.breaches(79.9)


def test_read_alarm_with_one_expression_on_another_evaluates_both():
    chained = properties(
        Metrics=[
            {"Id": "rate", "Expression": "share * 100"},
            {"Id": "share", "Expression": "errors / invocations", "ReturnData": False},
            metric("Errors"),
            metric("Invocations"),
        ]
    )
    assert read_alarm(chained).datapoint({"errors": 1.0, "invocations": 4.0}) == 25.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"TreatMissingData": "perhaps"}, "perhaps"),
        ({"ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
        ({"DatapointsToAlarm": 2}, "DatapointsToAlarm 2"),
        ({"Metrics": [metric("Errors", ReturnData=True), metric("Invocations", ReturnData=True)]}, "ReturnData"),
        ({"Metrics": [{"Id": "rate", "Expression": "errors * 1", "Period": 300}, metric("Errors")]}, "Period"),
    ],
)
def test_read_alarm_unsupported_property_is_refused_by_name(changes, named):
    with pytest.raises(UnsupportedAlarm, match=named):
        read_alarm(properties(**changes))


def test_read_alarm_percentile_is_refused_by_name():
    percentile = metric("Errors", ReturnData=True)
    percentile["MetricStat"]["Stat"] = "p99"
    with pytest.raises(UnsupportedAlarm, match="p99"):
        read_alarm(properties(Metrics=[percentile]))


@pytest.mark.parametrize(
    ("expression", "named"), [("errors / unheard", "unheard"), ("rate + errors", "rate refers to itself")]
)
def test_read_alarm_unknown_or_circular_id_is_refused_by_name(expression, named):
    metrics = [{"Id": "rate", "Expression": expression}, metric("Errors")]
    with pytest.raises(UnsupportedExpression, match=named):
        read_alarm(properties(Metrics=metrics))


def test_state_change_event_has_the_documented_shape():
    read = read_alarm(properties())
    before = StateAt(OK, "quiet", "", NOW - timedelta(minutes=5))
    after = StateAt(ALARM, "loud", '{"version": "1.0"}', NOW)
    event = state_change_event(read, "rate", "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:rate", before, after)
    assert event["source"] == "aws.cloudwatch"
    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert event["resources"] == ["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:rate"]
    assert (event["account"], event["region"], event["time"]) == ("123456789012", "eu-west-1", "2026-01-01T12:00:00Z")
    detail = event["detail"]
    assert detail["alarmName"] == "rate"
    assert detail["state"] == {
        "value": "ALARM",
        "reason": "loud",
        "reasonData": '{"version": "1.0"}',
        "timestamp": "2026-01-01T12:00:00.000+0000",
    }
    assert detail["previousState"]["value"] == "OK"
    assert [entry["id"] for entry in detail["configuration"]["metrics"]] == ["rate", "errors", "invocations"]
    assert detail["configuration"]["metrics"][1]["metricStat"]["metric"]["dimensions"] == {"FunctionName": "orders"}
