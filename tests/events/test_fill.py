"""Events filled with a deployed stack's names, and refusals in one plain line."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from events import fill as fill_module
from events.fill import CannotFill, Stack, event_names, fill, main, read_event

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))

# What matters of a deployed stack: a parameter, a resource, outputs.
TEMPLATE = {
    "Parameters": {
        "AlarmName": {"Type": "String", "Default": ""},
        "Mode": {"Type": "String", "Default": "ACTIVE"},
    },
    "Resources": {"OrdersQueue": {"Type": "AWS::SQS::Queue"}},
    "Outputs": {
        "QueueUrl": {"Value": {"Ref": "OrdersQueue"}},
        "AlarmName": {"Value": "orders-error-rate"},
        "CircuitName": {"Value": "orders"},
        "MappingId": {"Value": "11111111-2222-3333-4444-555555555555"},
        "TargetFunctionName": {"Value": "orders-target"},
        "TargetFunctionArn": {"Value": "arn:aws:lambda:us-east-1:123456789012:function:orders-target:live"},
        "StateMachineArn": {"Value": "arn:aws:states:us-east-1:123456789012:stateMachine:CircuitBreaker"},
    },
}


@pytest.fixture
def stack() -> Iterator[str]:
    """A deployed stack."""
    with mock_aws():
        boto3.client("cloudformation").create_stack(StackName="shop", TemplateBody=json.dumps(TEMPLATE))
        yield "shop"


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line with which the arguments are refused."""
    assert main([*arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.strip()


def test_fill_prints_the_event_with_the_stacks_names(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["probe_target", stack]) == 0
    event = json.loads(capsys.readouterr().out)
    assert event["execution"] == "arn:aws:states:us-east-1:123456789012:execution:CircuitBreaker:by-hand"
    circuit = event["circuit"]
    assert circuit["name"] == "orders"
    assert circuit["target"] == "arn:aws:lambda:us-east-1:123456789012:function:orders-target:live"
    assert circuit["queue_url"].startswith("https://sqs.us-east-1.amazonaws.com/123456789012/")
    assert circuit["queue_arn"] == f"arn:aws:sqs:us-east-1:123456789012:{circuit['queue_url'].rsplit('/', 1)[1]}"
    # The output, not the empty parameter of the same name.
    assert circuit["settings"]["AlarmNames"] == ["orders-error-rate"]
    assert circuit["settings"]["FirstProbeSeconds"] == 30
    assert datetime.now(UTC) - datetime.fromisoformat(event["trip"]["at"]) < timedelta(minutes=5)


def test_fill_takes_the_files_name_too(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["open_by_hand.json", stack]) == 0
    assert json.loads(capsys.readouterr().out)["circuit"] == "orders"


@pytest.mark.parametrize("arguments", [(), ("probe_target",), ("probe_target", ""), ("", "shop"), ("a", "b", "c")])
def test_fill_wrong_arguments_are_refused_with_what_is_right(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert refusal(capsys, *arguments).startswith(
        "usage: make event NAME=... STACK=...; the events are active_by_hand, "
    )


@pytest.mark.parametrize("name", ["nothing", "../template", "fill", "probe_target.yaml"])
def test_fill_unknown_event_is_refused_naming_those_there_are(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert refusal(capsys, name, "shop") == f"NAME: {name!r} is no event; there are {', '.join(event_names())}"


def test_fill_unknown_stack_is_refused(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "probe_target", "nowhere") == "STACK: Stack with id nowhere does not exist"


def test_fill_another_kind_of_stack_is_refused(stack: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refusal(capsys, "register_circuit", stack) == (
        "{{RegisterCircuitFunctionArn}}: the stack has no output, parameter or resource of that name"
    )


def test_fill_cloudformation_cannot_be_reached_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    monkeypatch.setattr(Stack, "read", unreachable)
    message = refusal(capsys, "probe_target", "shop")
    assert message == 'cannot ask CloudFormation: Could not connect to the endpoint URL: "http://127.0.0.1:9"'


def test_fill_as_make_calls_it_respects_the_endpoint_and_has_no_traceback() -> None:
    environment = {**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    ran = subprocess.run(
        [sys.executable, "events/fill.py", "probe_target", "shop"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("cannot ask CloudFormation: Could not connect to the endpoint URL")
    assert ran.stderr.count("\n") == 1


def test_fill_replaces_inside_texts_and_leaves_other_values() -> None:
    event = {"a": ["arn:{{Partition}}:sqs:{{Region}}", 7, None, True], "{{Region}}": {"b": "{{ Region }} {Region}"}}
    values = {"Partition": "aws-cn", "Region": "cn-north-1"}
    assert fill(event, values) == {
        "a": ["arn:aws-cn:sqs:cn-north-1", 7, None, True],
        "{{Region}}": {"b": "{{ Region }} {Region}"},
    }


def test_fill_placeholder_of_nothing_is_refused() -> None:
    with pytest.raises(CannotFill, match=r"\{\{Nothing\}\}: the stack has no output"):
        fill({"a": "{{Nothing}}"}, {})


def test_values_of_another_partition_are_in_it() -> None:
    stack_id = "arn:aws-us-gov:cloudformation:us-gov-west-1:111122223333:stack/shop/1"
    values = Stack(stack_id, {"QueueUrl": "https://sqs/orders", "ProbeTargetFunction": "probe"}).values(now=NOW)
    assert values["QueueArn"] == "arn:aws-us-gov:sqs:us-gov-west-1:111122223333:orders"
    assert values["ProbeTargetFunctionArn"] == "arn:aws-us-gov:lambda:us-gov-west-1:111122223333:function:probe"
    assert values["Now"] == "2026-03-01T12:00:00Z"


def test_events_need_only_what_the_template_has() -> None:
    template = yaml_parse((REPOSITORY / "template.yaml").read_text())
    parts = {name: "x" for part in ("Resources", "Parameters", "Outputs") for name in template[part]}
    known = set(Stack("arn:aws:cloudformation:r:1:stack/s/1", parts).values(now=NOW))
    used = {
        name
        for event in event_names()
        for name in re.findall(r"\{\{(\w+)\}\}", (fill_module.FOLDER / f"{event}.json").read_text())
    }
    assert used <= known
    assert used
    assert read_event("open_by_hand")["circuit"] == "{{CircuitName}}"
