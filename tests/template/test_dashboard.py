"""The dashboard: what it draws is there to be drawn, and what its widget runs may only read."""

import copy
import itertools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from privileges import Triple, granted
from sam_template import REPOSITORY, resources_of, source_template

from breaker import announcements

Template = dict[str, Any]
Body = dict[str, Any]

# What AWS publishes, by namespace and dimension:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
# https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
# https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
PUBLISHED = {
    ("AWS/SQS", "QueueName"): {
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesDelayed",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesVisible",
    },
    ("AWS/Lambda", "FunctionName"): {"Duration", "Errors", "Invocations", "Throttles"},
    ("AWS/States", "StateMachineArn"): {"ExecutionsAborted", "ExecutionsFailed", "ExecutionsStarted"},
    ("AWS/Events", "RuleName"): {"FailedInvocations"},
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/search-expression-syntax.html
SEARCH_CHARACTERS = 1024
COLUMNS = 24
CONDITIONS = ("MakeAlarm", "MakeFailedMessagesAlarm", "MakeSlowTargetAlarm")
READING = ("Get", "Describe", "List", "Scan", "Query")

_SEARCH = re.compile(r"SEARCH\('\{([^}]+)\} (.*)', '(\w+)', (\d+)\)")


def body_of(template: Template, *, holds: Callable[[str], bool] = lambda condition: True, **attributes: str) -> Body:
    """Return the dashboard as CloudWatch gets it, with `<name>` for what only a deployment knows."""
    text = _resolved(template["Resources"]["CircuitsDashboard"]["Properties"]["DashboardBody"], holds, attributes)
    body = json.loads(text)
    assert isinstance(body, dict)
    return body


def _resolved(node: Any, holds: Callable[[str], bool], attributes: dict[str, str]) -> Any:
    """Return what an intrinsic of the body becomes."""
    if not isinstance(node, dict):
        return node
    ((name, value),) = node.items()
    match name:
        case "Ref":
            return f"<{value}>"
        case "Fn::If":
            return _resolved(value[1 if holds(value[0]) else 2], holds, attributes)
        case "Fn::Select":
            return _resolved(value[1], holds, attributes)[int(value[0])]
        case "Fn::Split":
            return _resolved(value[1], holds, attributes).split(value[0])
        case "Fn::Sub":
            text, local = (value, {}) if isinstance(value, str) else value
            known = attributes | {key: _resolved(each, holds, attributes) for key, each in local.items()}
            text = re.sub(r"\$\{([\w.:]+)\}", lambda found: known.get(found[1], f"<{found[1]}>"), text)
            return re.sub(r"\$\{!", "${", text)
    raise AssertionError(f"{name} is more than this module knows")


def metrics_of(body: Body) -> Iterator[tuple[str, str, str]]:
    """Yield (namespace, metric, dimensions) for each metric that the dashboard draws or searches for."""
    for widget in body["widgets"]:
        for metric in widget["properties"].get("metrics", []):
            if not isinstance(metric[0], dict):
                namespace, name, dimension, _value, *_how = metric
                yield namespace, name, dimension
                continue
            for schema, terms, _statistic, _period in _SEARCH.findall(metric[0]["expression"]):
                namespace, *dimensions = schema.split(",")
                for name in re.findall(r'MetricName="(\w+)"', terms):
                    yield namespace, name, ",".join(dimensions)


def written_by_the_breaker() -> set[str]:
    """Return the names of the metrics that the functions write."""
    sources = [path.read_text() for path in (REPOSITORY / "functions").rglob("*.py")]
    named = {name for source in sources for name in re.findall(r'\bcount\("(\w+)"', source)}
    return named | set(announcements._METRICS.values())


def unknown_metrics(body: Body) -> set[tuple[str, str, str]]:
    """Return the metrics that nobody publishes."""
    known = {(namespace, name, dimension) for (namespace, dimension), names in PUBLISHED.items() for name in names}
    known |= {(announcements.METRIC_NAMESPACE, name, "circuit,service") for name in written_by_the_breaker()}
    return set(metrics_of(body)) - known


def writing_grants(template: Template) -> set[Triple]:
    """Return what the widget's function may do beyond reading."""
    return {
        triple
        for triple in granted(template)
        if triple[0] == "ShowCircuitsFunction" and not triple[1].partition(":")[2].startswith(READING)
    }


@pytest.mark.parametrize("holding", list(itertools.product([True, False], repeat=len(CONDITIONS))), ids=str)
def test_dashboard_is_json_and_shows_every_alarm_that_there_is(holding: tuple[bool, ...]) -> None:
    template = source_template()
    conditions = dict(zip(CONDITIONS, holding, strict=True))
    body = body_of(template, holds=lambda condition: conditions[condition])
    (alarms,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    there = {
        name
        for name, alarm in resources_of(template, "AWS::CloudWatch::Alarm").items()
        if conditions.get(alarm.get("Condition", ""), True)
    }
    if not conditions["MakeAlarm"]:
        there.add("AlarmName")
    assert {re.findall(r"<(\w+)(?:\.Arn)?>$", alarm)[0] for alarm in alarms} == there


def test_dashboard_widgets_fit_and_do_not_overlap() -> None:
    cells = []
    for widget in body_of(source_template())["widgets"]:
        assert widget["x"] + widget["width"] <= COLUMNS
        rows, columns = (
            range(widget["y"], widget["y"] + widget["height"]),
            range(widget["x"], widget["x"] + widget["width"]),
        )
        cells += itertools.product(rows, columns)
    assert len(cells) == len(set(cells)) == (max(row for row, _ in cells) + 1) * COLUMNS


def test_dashboard_draws_only_what_is_published() -> None:
    body = body_of(source_template())
    assert unknown_metrics(body) == set()
    drawn = {name for _, name, _ in metrics_of(body)}
    assert {"CircuitState", "CircuitOpened", "Probed", "AnnouncementFailed", "BreakerFailed"} <= drawn
    assert {"ApproximateAgeOfOldestMessage", "Invocations", "ExecutionsFailed"} <= drawn


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("CircuitState", "CircuitStates"),
        ("{SqsCircuitBreaker,circuit,service}", "{SqsCircuitBreaker,circuit}"),
        ('"ApproximateAgeOfOldestMessage"', '"AgeOfOldestMessage"'),
        ('"FunctionName"', '"Function"'),
    ],
)
def test_dashboard_metric_that_nobody_publishes_is_caught(written: str, instead: str) -> None:
    text = json.dumps(body_of(source_template()))
    broken = text.replace(json.dumps(written)[1:-1], json.dumps(instead)[1:-1])
    broken = text.replace(written, instead) if broken == text else broken
    assert broken != text
    assert unknown_metrics(json.loads(broken)) != set()


def test_dashboard_searches_are_what_cloudwatch_takes_and_find_this_breakers_metrics_alone() -> None:
    template = source_template()
    expressions = [
        metric[0]["expression"]
        for widget in body_of(template, **{"AWS::StackName": "s" * 128})["widgets"]
        for metric in widget["properties"].get("metrics", [])
        if isinstance(metric[0], dict)
    ]
    searches = [expression for expression in expressions if "SEARCH" in expression]
    assert len(searches) >= 4
    assert all(_SEARCH.fullmatch(search) for search in searches)
    assert max(map(len, searches)) <= SEARCH_CHARACTERS
    assert all(f'service="{"s" * 128}"' in search for search in searches)
    service = template["Globals"]["Function"]["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
    assert service == {"Ref": "AWS::StackName"}


def test_breakers_metrics_have_the_dimensions_that_the_dashboard_searches_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "my-stack")
    announcements.tell_state("orders", "HALF_OPEN")
    written = json.loads(capsys.readouterr().out)
    (directive,) = written["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == announcements.METRIC_NAMESPACE
    assert directive["Dimensions"] == [["circuit", "service"]]
    assert (written["circuit"], written["service"], written["CircuitState"]) == ("orders", "my-stack", [1])


@pytest.mark.parametrize(
    ("arn", "name"), [("arn:aws:sqs:us-east-1:123456789012:orders-dead", "orders-dead"), ("", "none")]
)
def test_dashboard_dead_letter_queue_is_named_by_the_end_of_its_arn(arn: str, name: str) -> None:
    body = body_of(source_template(), **{"Pipeline.DeadLetterQueueArn": arn})
    (widget,) = [w for w in body["widgets"] if "dead-letter" in w["properties"]["title"]]
    assert widget["properties"]["metrics"][0][3] == name


def test_dashboard_widget_runs_the_function_that_shows_circuits() -> None:
    (widget,) = [w for w in body_of(source_template())["widgets"] if w["type"] == "custom"]
    assert widget["properties"]["endpoint"] == "<ShowCircuitsFunction.Arn>"
    # Whoever deploys without a dashboard gets the function all the same: attached stacks import its role.
    assert "Condition" not in source_template()["Resources"]["ShowCircuitsFunction"]


def test_widgets_function_may_only_read() -> None:
    template = source_template()
    assert {triple for triple in granted(template) if triple[0] == "ShowCircuitsFunction"} != set()
    assert writing_grants(template) == set()


@pytest.mark.parametrize("policy", ["MaySettleHeldMessagesPolicy", "NotifyPolicy", "StartSuccessorPolicy"])
def test_widgets_function_that_may_write_is_caught(policy: str) -> None:
    template = copy.deepcopy(source_template())
    template["Resources"][policy]["Properties"]["Roles"].append({"Ref": "ShowCircuitsFunctionRole"})
    assert writing_grants(template) != set()
