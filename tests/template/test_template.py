"""The template as a test suite of its own.

Each check also runs on copies that are broken on purpose: a check that finds nothing there is no check.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import template_checks as checks
from harness import machine_definition
from sam_template import TEMPLATE_FILE, resources_of, source_template, transform, transformed_template

from breaker.finding import AlarmTiming
from breaker.trip import read_trip
from lab.event_delivery import render_input
from lab.metric_math import parse

Template = dict[str, Any]
Check = Callable[[Template], list[str]]

WIDE_STATEMENTS = {
    "DeliverLogs": "Step Functions sets its log delivery up through actions that know no resource.",
    "FindMapping": "lambda:ListEventSourceMappings knows no resource; it runs at registration only.",
    "SeeWhetherTheOwnerRuns": "Executions are named when they start; the statement names their state machine.",
    "ReadMetrics": "cloudwatch:GetMetricData knows no resource; it reads numbers.",
    "StopExecution": "Executions are named when they start; the statement names their state machine.",
}
"""Sid: why its resource cannot be named."""

MANAGED_POLICIES = {
    "AWSLambdaBasicExecutionRole": "SAM gives it to every function: writing to log groups and nothing else.",
}
"""Name: why a managed policy is used although it cannot be narrowed."""

OUTPUTS = {
    "QueueUrl",
    "DeadLetterQueueUrl",
    "TargetFunctionName",
    "TargetFunctionArn",
    "LedgerTableName",
    "MappingId",
    "StateMachineArn",
    "CircuitTableName",
    "AlarmName",
    "CircuitName",
}

SOURCE_CHECKS: list[Check] = [
    checks.parameter_problems,
    checks.default_problems,
    checks.interface_problems,
    checks.unused_parameter_problems,
    checks.type_problems,
    checks.handler_problems,
    checks.environment_problems,
]

TRANSFORMED_CHECKS: list[Check] = [
    checks.type_problems,
    checks.name_problems,
    checks.log_group_problems,
    checks.deletion_problems,
    checks.deletion_order_problems,
    checks.sid_problems,
    checks.action_problems,
    checks.boundary_problems,
]


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
def test_template_as_written_passes(check: Check) -> None:
    assert check(source_template()) == []


@pytest.mark.parametrize("check", TRANSFORMED_CHECKS, ids=lambda check: check.__name__)
def test_template_after_the_transform_passes(check: Check) -> None:
    assert check(transformed_template()) == []


def test_partition_is_never_hard_coded() -> None:
    assert checks.partition_problems(TEMPLATE_FILE.read_text()) == []


def test_hard_coded_partition_is_caught() -> None:
    assert checks.partition_problems('"arn:aws:sqs:us-east-1:1:q" arn:aws-cn:sns:x') != []


def test_wide_statements_are_the_reasoned_ones() -> None:
    assert checks.wide_statements(transformed_template()) == set(WIDE_STATEMENTS)


def test_managed_policies_are_the_reasoned_ones() -> None:
    assert checks.managed_policies(transformed_template()) == set(MANAGED_POLICIES)


def test_outputs_name_what_a_user_needs_next() -> None:
    outputs = source_template()["Outputs"]
    assert set(outputs) >= OUTPUTS
    assert [name for name, output in outputs.items() if not output.get("Description")] == []


def test_alarm_rule_has_a_dead_letter_queue_it_may_write_to() -> None:
    template = transformed_template()
    for rule, resource in resources_of(template, "AWS::Events::Rule").items():
        for target in resource["Properties"]["Targets"]:
            if target["Id"] == "ReconcileCircuits":
                continue  # the next run of the schedule stands in for one that was lost
            queue = target["DeadLetterConfig"]["Arn"]["Fn::GetAtt"][0]
            policies = resources_of(template, "AWS::SQS::QueuePolicy").values()
            (policy,) = [policy for policy in policies if {"Ref": queue} in policy["Properties"]["Queues"]]
            text = json.dumps(policy["Properties"]["PolicyDocument"])
            assert "events.amazonaws.com" in text
            assert rule in text, "the policy must name the rule, or any rule of any account may write"


def test_breaker_is_watched_by_alarms() -> None:
    alarms = resources_of(transformed_template(), "AWS::CloudWatch::Alarm").values()
    watched = {alarm["Properties"].get("MetricName") for alarm in alarms}
    assert watched >= {"ExecutionsFailed", "ExecutionsAborted", "FailedInvocations"}
    # Without a timeout of its own the machine cannot time out, so that needs no alarm.
    assert "TimeoutSeconds" not in machine_definition()


@pytest.mark.parametrize(("calls", "rate"), [(0, 0), (1, 0), (4, 0), (5, 100), (100, 100)])
def test_builtin_alarm_needs_a_minimum_of_calls(calls: int, rate: float) -> None:
    template = source_template()
    (expression,) = [
        metric["Expression"]["Fn::Sub"]
        for metric in template["Resources"]["ErrorRateAlarm"]["Properties"]["Metrics"]
        if "Expression" in metric
    ]
    default = str(template["Parameters"]["MinimumInvocations"]["Default"])
    formula = parse(expression.replace("${MinimumInvocations}", default))
    assert formula.evaluate({"invocations": calls, "errors": calls}) == rate


def test_builtin_alarm_takes_as_long_as_the_findings_say() -> None:
    defaults = {name: spec.get("Default") for name, spec in source_template()["Parameters"].items()}
    assert AlarmTiming() == AlarmTiming(
        period_seconds=int(defaults["AlarmPeriodSeconds"]), datapoints=int(defaults["AlarmDatapointsToAlarm"])
    )


def alarm_formula(alarm: str) -> Any:
    """The expression of one of the template's alarms, with the parameters' defaults."""
    template = source_template()
    (expression,) = [
        metric["Expression"]["Fn::Sub"]
        for metric in template["Resources"][alarm]["Properties"]["Metrics"]
        if "Expression" in metric
    ]
    return parse(
        expression.replace("${MinimumInvocations}", str(template["Parameters"]["MinimumInvocations"]["Default"]))
    )


@pytest.mark.parametrize(
    ("messages", "failed", "rate"), [(0, 0, 0), (4, 4, 0), (5, 5, 100), (100, 30, 30), (100, None, None)]
)
def test_failed_messages_alarm_needs_a_minimum_of_messages(
    messages: int, failed: int | None, rate: float | None
) -> None:
    assert alarm_formula("FailedMessagesAlarm").evaluate({"messages": messages, "failed": failed}) == rate


@pytest.mark.parametrize(("calls", "milliseconds", "seconds"), [(4, 60_000, 0), (5, 2_500, 2.5)])
def test_slow_target_alarm_needs_a_minimum_of_calls(calls: int, milliseconds: int, seconds: float) -> None:
    assert alarm_formula("SlowTargetAlarm").evaluate({"invocations": calls, "duration": milliseconds}) == seconds


def test_slow_target_alarm_and_the_judging_of_a_recovery_use_the_same_statistic() -> None:
    metrics = source_template()["Resources"]["SlowTargetAlarm"]["Properties"]["Metrics"]
    (duration,) = [metric for metric in metrics if metric["Id"] == "duration"]
    # breaker.health: milliseconds / timed_calls, above the bound.
    assert duration["MetricStat"]["Stat"] == "Average"
    comparison = source_template()["Resources"]["SlowTargetAlarm"]["Properties"]["ComparisonOperator"]
    assert comparison == "GreaterThanThreshold"


def test_trip_request_passes_on_no_word_of_the_event_but_its_source_and_time() -> None:
    rule = source_template()["Resources"]["TripRequestRule"]["Properties"]
    (target,) = rule["Targets"]
    transformer = target["InputTransformer"]
    resolved = {**target, "InputTransformer": {**transformer, "InputTemplate": _with_circuit(transformer)}}
    event = {
        "source": "shop.payments",
        "detail-type": "Circuit Trip Requested",
        "time": "2026-03-01T12:00:00Z",
        "resources": ["a secret"],
        "detail": {"circuit": "orders", "reason": "a secret", "order": "a secret"},
    }
    document = json.loads(render_input(resolved, event, rule_name="rule", rule_arn="arn"))
    assert "secret" not in json.dumps(document)
    trip = read_trip(document, now=datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC))
    assert (trip.circuit, trip.kind, trip.reason) == ("orders", "EVENT", "event from shop.payments")


def _with_circuit(transformer: dict[str, Any]) -> str:
    text: str = transformer["InputTemplate"]["Fn::Sub"]
    return text.replace("${CircuitName}", "orders")


def test_machine_takes_its_definition_from_the_file() -> None:
    (machine,) = resources_of(source_template(), "AWS::Serverless::StateMachine").values()
    assert machine["Properties"]["DefinitionUri"] == "statemachine/circuit_breaker.asl.json"
    assert machine["Properties"].get("Type", "STANDARD") == "STANDARD"


# Broken on purpose --------------------------------------------------------------------------------------------------


def _resource(template: Template, kind: str) -> dict[str, Any]:
    return next(iter(resources_of(template, kind).values()))


def _properties(template: Template, kind: str) -> dict[str, Any]:
    properties = _resource(template, kind)["Properties"]
    assert isinstance(properties, dict)
    return properties


def _parameter(template: Template, kind: str) -> dict[str, Any]:
    return next(parameter for parameter in template["Parameters"].values() if parameter["Type"] == kind)


def _interface(template: Template) -> dict[str, Any]:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    assert isinstance(interface, dict)
    return interface


def _statement(template: Template) -> dict[str, Any]:
    """Return the first statement itself, not a copy."""
    roles = (role["Properties"] for role in resources_of(template, "AWS::IAM::Role").values())
    policies = (policy["PolicyDocument"] for role in roles for policy in role.get("Policies", []))
    statements: list[dict[str, Any]] = next(policy["Statement"] for policy in policies)
    return statements[0]


def _cut_circuit_loose(template: Template) -> None:
    circuit = template["Resources"]["Circuit"]
    circuit.pop("DependsOn", None)
    circuit["Properties"] = {"ServiceToken": circuit["Properties"]["ServiceToken"]}


def _drop_machine_logging(template: Template) -> None:
    _properties(template, "AWS::StepFunctions::StateMachine").pop("LoggingConfiguration")


SOURCE_BREAKAGES: list[tuple[Check, str, Callable[[Template], object]]] = [
    (checks.parameter_problems, "no description", lambda t: _parameter(t, "String").pop("Description")),
    (checks.parameter_problems, "no bound", lambda t: _parameter(t, "Number").pop("MaxValue")),
    (
        checks.parameter_problems,
        "no rule",
        lambda t: t["Parameters"].update(Free={"Type": "String", "Description": "Free as a bird."}),
    ),
    (
        checks.default_problems,
        "pattern without end",
        lambda t: t["Parameters"]["CircuitName"].update(AllowedPattern="^a"),
    ),
    (checks.default_problems, "default breaks pattern", lambda t: t["Parameters"]["CircuitName"].update(Default="a b")),
    (checks.default_problems, "default not allowed", lambda t: t["Parameters"]["Mode"].update(Default="ON")),
    (checks.default_problems, "default out of bounds", lambda t: _parameter(t, "Number").update(Default=10**9)),
    (checks.default_problems, "no default", lambda t: t["Parameters"]["Mode"].pop("Default")),
    (checks.interface_problems, "in no group", lambda t: _interface(t)["ParameterGroups"][0]["Parameters"].pop()),
    (
        checks.interface_problems,
        "in two groups",
        lambda t: _interface(t)["ParameterGroups"].append(_interface(t)["ParameterGroups"][0]),
    ),
    (checks.interface_problems, "no label", lambda t: _interface(t)["ParameterLabels"].pop("CircuitName")),
    (
        checks.interface_problems,
        "label too many",
        lambda t: _interface(t)["ParameterLabels"].update(Gone={"default": "Gone"}),
    ),
    (checks.unused_parameter_problems, "unused", lambda t: t["Parameters"].update(Unused={"Type": "String"})),
    (checks.type_problems, "scheduler", lambda t: t["Resources"].update(S={"Type": "AWS::Scheduler::Schedule"})),
    (
        checks.handler_problems,
        "no such module",
        lambda t: t["Resources"]["ProbeTargetFunction"]["Properties"].update(Handler="probe.handler"),
    ),
    (
        checks.handler_problems,
        "no such function",
        lambda t: t["Resources"]["ProbeTargetFunction"]["Properties"].update(Handler="probe_target.main"),
    ),
    (checks.handler_problems, "module without function", lambda t: t["Resources"].pop("ProbeTargetFunction")),
    (
        checks.environment_problems,
        "variable too many",
        lambda t: t["Resources"]["ProbeTargetFunction"]["Properties"].update(Environment={"Variables": {"MORE": "1"}}),
    ),
    (
        checks.environment_problems,
        "variable missing",
        lambda t: (
            t.pop("Globals"),
            [f["Properties"].pop("Environment", None) for f in resources_of(t, "AWS::Serverless::Function").values()],
        ),
    ),
]

TRANSFORMED_BREAKAGES: list[tuple[Check, str, Callable[[Template], object]]] = [
    (
        checks.type_problems,
        "composite alarm",
        lambda t: t["Resources"].update(A={"Type": "AWS::CloudWatch::CompositeAlarm"}),
    ),
    (checks.name_problems, "queue", lambda t: _properties(t, "AWS::SQS::Queue").update(QueueName="orders")),
    (checks.name_problems, "function", lambda t: _properties(t, "AWS::Lambda::Function").update(FunctionName="probe")),
    (
        checks.name_problems,
        "dashboard",
        lambda t: _properties(t, "AWS::CloudWatch::Dashboard").update(DashboardName={"Fn::Sub": "${AWS::StackName}"}),
    ),
    (checks.log_group_problems, "no retention", lambda t: _properties(t, "AWS::Logs::LogGroup").pop("RetentionInDays")),
    (
        checks.log_group_problems,
        "function without",
        lambda t: [t["Resources"].pop(name) for name in resources_of(t, "AWS::Logs::LogGroup")],
    ),
    (checks.log_group_problems, "machine without", _drop_machine_logging),
    (checks.deletion_problems, "retained", lambda t: _resource(t, "AWS::SQS::Queue").update(DeletionPolicy="Retain")),
    (
        checks.deletion_problems,
        "retained twice",
        lambda t: _resource(t, "AWS::SQS::Queue").update(DeletionPolicy="Retain", UpdateReplacePolicy="Retain"),
    ),
    (checks.deletion_order_problems, "circuit cut loose", _cut_circuit_loose),
    (checks.sid_problems, "no Sid", lambda t: _statement(t).pop("Sid")),
    (checks.action_problems, "all actions", lambda t: _statement(t).update(Action="sqs:*")),
    (checks.action_problems, "all but", lambda t: _statement(t).update(NotAction="sqs:SendMessage")),
    (checks.boundary_problems, "role without", lambda t: _properties(t, "AWS::IAM::Role").pop("PermissionsBoundary")),
]


def _cases(breakages: list[tuple[Check, str, Callable[[Template], object]]]) -> list[Any]:
    return [pytest.param(check, breakage, id=f"{check.__name__}-{name}") for check, name, breakage in breakages]


@pytest.mark.parametrize(("check", "breakage"), _cases(SOURCE_BREAKAGES))
def test_broken_template_as_written_is_caught(check: Check, breakage: Callable[[Template], object]) -> None:
    template = source_template()
    breakage(template)
    assert check(template) != []


@pytest.mark.parametrize(("check", "breakage"), _cases(TRANSFORMED_BREAKAGES))
def test_broken_template_after_the_transform_is_caught(check: Check, breakage: Callable[[Template], object]) -> None:
    template = transformed_template()
    breakage(template)
    assert check(template) != []


def test_every_check_has_a_breakage() -> None:
    assert {check for check, _, _ in SOURCE_BREAKAGES} == set(SOURCE_CHECKS)
    assert {check for check, _, _ in TRANSFORMED_BREAKAGES} == set(TRANSFORMED_CHECKS)


def test_new_wide_statement_is_caught() -> None:
    template = transformed_template()
    _statement(template).update(Sid="NewAndWide", Resource="*")
    assert "NewAndWide" in checks.wide_statements(template)


def test_policy_that_sam_adds_is_seen() -> None:
    source = source_template()
    function = source["Resources"]["ProbeTargetFunction"]["Properties"]
    function.pop("Role", None)
    function["Policies"] = [{"Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}]}]
    transformed = transform(source)
    assert checks.sid_problems(transformed) != []
    assert checks.action_problems(transformed) != []
