"""The stand-in against a fake CloudWatch that holds one-second datapoints, with a clock that the test moves."""

from datetime import UTC, datetime

import pytest

from lab.alarm import AlarmState
from lab.alarm_stand_in import AlarmStandIn
from lab.clock import Scale
from tests.lab.test_alarm import properties, read_alarm

START = 1_800_000_000  # a multiple of the scaled period


class FakeCloudWatch:
    """Answers GetMetricStatistics from a list of calls: (second, failed)."""

    def __init__(self):
        self.calls = []
        self.states = []

    def put_metric_alarm(self, **request):
        self.request = request

    def describe_alarms(self, **request):
        return {"MetricAlarms": [{"AlarmArn": f"arn:aws:cloudwatch:us-east-1:0:alarm:{request['AlarmNames'][0]}"}]}

    def get_metric_statistics(self, **request):
        assert request["Period"] == 1
        start, end = (request[name].timestamp() for name in ("StartTime", "EndTime"))
        return {
            "Datapoints": [
                {
                    "Timestamp": datetime.fromtimestamp(at, UTC),
                    "Sum": float(failed) if request["MetricName"] == "Errors" else 1.0,
                    "SampleCount": 1.0,
                }
                for at, failed in self.calls
                if start <= at < end
            ]
        }

    def set_alarm_state(self, **request):
        self.states.append(request["StateValue"])


class FakeDelivery:
    def __init__(self):
        self.events = []

    def deliver(self, event):
        self.events.append(event)
        return []


class Bench:
    def __init__(self, scale=10, **changes):
        self.now = float(START)
        self.cloudwatch, self.delivery = FakeCloudWatch(), FakeDelivery()
        self.stand_in = AlarmStandIn(
            read_alarm(properties(**changes)),
            "rate",
            cloudwatch=self.cloudwatch,
            delivery=self.delivery,
            scale=Scale(scale),
            wall_clock=lambda: self.now,
        )
        self.stand_in._create()

    def run_until(self, end):
        while self.now < end:
            self.stand_in.evaluate()
            self.now += 0.5


def test_evaluate_failing_minute_alarms_only_after_cloudwatchs_delay():
    bench = Bench()
    bench.cloudwatch.calls = [(START + second, True) for second in range(6)]
    # The period ends 6 s after the start and can be seen 9 s later: 60 s and 90 s, ten times faster.
    bench.run_until(START + 15)
    assert bench.stand_in.state is not AlarmState.ALARM
    bench.run_until(START + 16)
    assert bench.stand_in.state is AlarmState.ALARM


def test_evaluate_long_period_is_looked_at_every_minute_on_what_lies_before():
    metrics = properties()["Metrics"]
    for entry in metrics[1:]:
        entry["MetricStat"]["Period"] = 300
    bench = Bench(Metrics=metrics)
    # One call a second. Of 300 s, ten times faster, 80 % have failed 24 s after the break, where a minute ends.
    bench.cloudwatch.calls = [(START + second, second >= 12) for second in range(60)]
    bench.run_until(START + 36 + 9)
    assert bench.stand_in.state is AlarmState.OK
    bench.run_until(START + 36 + 10)
    assert bench.stand_in.state is AlarmState.ALARM


def test_evaluate_state_that_stays_is_set_and_delivered_once():
    bench = Bench()
    bench.cloudwatch.calls = [(START + second, True) for second in range(60)]
    bench.run_until(START + 70)
    assert bench.cloudwatch.states == ["OK", "ALARM"]
    assert [event["detail"]["state"]["value"] for event in bench.delivery.events] == ["OK", "ALARM"]
    assert bench.delivery.events[1]["detail"]["previousState"]["value"] == "OK"


def test_evaluate_fewer_calls_than_the_minimum_never_alarms():
    bench = Bench()
    bench.cloudwatch.calls = [(START + second, True) for second in range(0, 60, 2)]
    bench.run_until(START + 80)
    assert bench.cloudwatch.states == ["OK"]


def test_period_that_the_scale_does_not_divide_is_refused():
    with pytest.raises(ValueError, match="60 s cannot be divided by the scale 7"):
        Bench(scale=7)
