import json

import pytest

from lab.event_delivery import EventDelivery, InputNotRendered, UnsupportedTarget, render_input, select

EVENT = {
    "source": "aws.cloudwatch",
    "time": "2026-01-01T12:00:00Z",
    "resources": ["arn:alarm"],
    "detail": {"alarmName": 'rate "high"', "state": {"value": "ALARM", "points": [90.0]}},
}


def render(target):
    return json.loads(render_input(target, EVENT, rule_name="trip", rule_arn="arn:rule"))


def test_render_whole_event_variable_puts_the_event_in_place():
    template = '{"circuit": "orders", "cause": <aws.events.event.json>}'
    rendered = render({"InputTransformer": {"InputTemplate": template}})
    assert rendered == {"circuit": "orders", "cause": EVENT}


def test_render_paths_give_json_outside_strings_and_text_inside():
    transformer = {
        "InputPathsMap": {"name": "$.detail.alarmName", "state": "$.detail.state", "first": "$.resources[0]"},
        "InputTemplate": '{"text": "alarm <name> of <aws.events.rule-name>", "state": <state>, "arn": <first>}',
    }
    assert render({"InputTransformer": transformer}) == {
        "text": 'alarm rate "high" of trip',
        "state": {"value": "ALARM", "points": [90.0]},
        "arn": "arn:alarm",
    }


def test_render_constant_path_and_nothing():
    assert render({"Input": '{"circuit": "orders"}'}) == {"circuit": "orders"}
    assert render({"InputPath": "$.detail.state.value"}) == "ALARM"
    assert render({}) == EVENT


@pytest.mark.parametrize(
    ("transformer", "named"),
    [
        ({"InputTemplate": '{"a": <nobody>}'}, "nobody"),
        ({"InputPathsMap": {"a": "$.detail.none"}, "InputTemplate": '{"a": <a>}'}, r"\$.detail.none"),
        ({"InputTemplate": '{"a": <aws.events.event.json>'}, "not JSON"),
    ],
)
def test_render_what_cannot_be_rendered_is_an_error_that_names_it(transformer, named):
    with pytest.raises(InputNotRendered, match=named):
        render({"InputTransformer": transformer})


def test_select_unsupported_path_is_an_error():
    with pytest.raises(InputNotRendered, match=r"\$\.\.state"):
        select("$..state", EVENT)


class FakeEvents:
    """Two rules: one matches by name, one does not."""

    def __init__(self, target):
        self.target = target

    def get_paginator(self, _):
        return self

    def paginate(self, **_):
        return self

    def search(self, _):
        return [
            {"Name": "trip", "Arn": "arn:rule", "State": "ENABLED", "EventPattern": '{"source":["aws.cloudwatch"]}'},
            {"Name": "other", "Arn": "arn:other", "State": "ENABLED", "EventPattern": '{"source":["else"]}'},
            {"Name": "off", "Arn": "arn:off", "State": "DISABLED", "EventPattern": '{"source":["aws.cloudwatch"]}'},
        ]

    def test_event_pattern(self, **request):
        return {"Result": json.loads(request["Event"])["source"] in json.loads(request["EventPattern"])["source"]}

    def list_targets_by_rule(self, **request):
        assert request == {"Rule": "trip"}
        return {"Targets": [{"Id": "t", "Arn": self.target, "Input": '{"circuit": "orders"}'}]}


class FakeStates:
    def __init__(self):
        self.started = []

    def start_execution(self, **request):
        self.started.append(request)
        return {"executionArn": "arn:execution"}


MACHINE = "arn:aws:states:us-east-1:000000000000:stateMachine:breaker"


def test_deliver_starts_the_target_of_the_rule_that_matches_and_no_other():
    states = FakeStates()
    [delivered] = EventDelivery(FakeEvents(MACHINE), states).deliver(EVENT)
    assert delivered.rule == "trip"
    assert states.started == [{"stateMachineArn": MACHINE, "input": '{"circuit": "orders"}'}]


def test_deliver_to_another_kind_of_target_is_an_error():
    with pytest.raises(UnsupportedTarget, match="arn:aws:sns"):
        EventDelivery(FakeEvents("arn:aws:sns:us-east-1:0:topic"), FakeStates()).deliver(EVENT)
