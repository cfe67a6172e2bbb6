"""The stand-in against a fake rule and function, with a clock that the test moves."""

import json

import pytest

from lab.clock import Scale
from lab.schedule_stand_in import ScheduleStandIn, UnsupportedSchedule, rate_seconds

RULE = "arn:aws:events:eu-west-1:123456789012:rule/reconcile"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:reconcile"


class FakeRules:
    def __init__(self, target=FUNCTION):
        self.target = target

    def describe_rule(self, **request):
        return {"Arn": RULE}

    def list_targets_by_rule(self, **request):
        return {"Targets": [{"Id": "one", "Arn": self.target}]}


class FakeFunctions:
    def __init__(self):
        self.calls = []

    def invoke(self, **request):
        self.calls.append(request)


class Bench:
    def __init__(self, expression="rate(5 minutes)", **rules):
        self.now = 1_800_000_000.0
        self.functions = FakeFunctions()
        self.stand_in = ScheduleStandIn(
            "reconcile",
            expression,
            events=FakeRules(**rules),
            functions=self.functions,
            scale=Scale(10),
            wall_clock=lambda: self.now,
        )

    def pass_time(self, seconds):
        self.now += seconds
        self.stand_in.run_if_due()


def test_function_is_run_once_a_scaled_period_and_not_at_the_start():
    bench = Bench()
    bench.pass_time(0)
    bench.pass_time(29)
    assert bench.functions.calls == []
    for _ in range(31):
        bench.pass_time(1)
    assert len(bench.functions.calls) == len(bench.stand_in.runs) == 2


def test_run_that_was_missed_is_not_made_up_for():
    bench = Bench()
    bench.pass_time(95)
    for _ in range(24):
        bench.pass_time(1)
    assert len(bench.functions.calls) == 1
    bench.pass_time(1)
    assert len(bench.functions.calls) == 2


def test_function_gets_the_event_that_eventbridge_sends():
    bench = Bench()
    bench.pass_time(30)
    (call,) = bench.functions.calls
    assert (call["FunctionName"], call["InvocationType"]) == (FUNCTION, "Event")
    event = json.loads(call["Payload"])
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2027-01-15T08:00:30Z",
        "region": "eu-west-1",
        "resources": [RULE],
        "detail": {},
    }


@pytest.mark.parametrize(
    ("expression", "seconds"), [("rate(1 minute)", 60), ("rate(15 minutes)", 900), ("rate(2 hours)", 7200)]
)
def test_rate_seconds_reads_a_rate(expression, seconds):
    assert rate_seconds(expression) == seconds


@pytest.mark.parametrize("expression", ["cron(0 10 * * ? *)", "rate(0 minutes)", "rate(5 weeks)", ""])
def test_schedule_that_is_no_rate_is_refused(expression):
    with pytest.raises(UnsupportedSchedule, match="the lab runs rate"):
        Bench(expression)


def test_target_that_is_no_function_is_refused():
    with pytest.raises(UnsupportedSchedule, match="can only run functions"):
        Bench(target="arn:aws:sqs:eu-west-1:123456789012:queue")
