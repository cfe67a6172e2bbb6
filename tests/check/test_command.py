"""The command: what it reads, what it prints and how it ends."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import NoCredentialsError, NoRegionError
from rich.console import Console

from breaker.finding import PAUSING_SECONDS
from check.command import main
from tests.functions.world import World

ROOT = Path(__file__).parents[2]
BOTH = ["--function", "orders-target", "--queue", "orders"]


@pytest.fixture
def told(world: World, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the check for machines and return its code and what it found, by rule."""

    def telling(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = main([*BOTH, *arguments, "--json"])
        document = json.loads(capsys.readouterr().out)
        assert (document["function"], document["queue"]) == (world.target_arn, world.queue_arn)
        return code, {finding["rule"]: finding for finding in document["findings"]}

    return telling


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return why a check ended with 2."""
    assert main([*BOTH, *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.removeprefix("python -m check: error: ").rstrip("\n")


def test_check_pipeline_that_can_be_attached_ends_with_0(world, told):
    code, findings = told()
    assert code == 0
    assert {finding["level"] for finding in findings.values()} == {"WARNING", "NOTE"}
    assert findings["receives-left"]["what"] == (
        "an outage can use up 2 of a message's 5 receives before the circuit opens"
    )
    assert set(findings["retention"]) == {"level", "rule", "field", "what", "means", "remedy"}


def test_check_pipeline_that_registration_would_refuse_ends_with_1(world, told):
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"VisibilityTimeout": "29"})
    code, findings = told()
    assert code == 1
    assert findings["visibility-below-timeout"]["level"] == "ERROR"


def test_check_table_says_what_was_found_what_it_means_and_what_to_set(world, capsys):
    assert main(BOTH, Console(width=140)) == 0
    printed = capsys.readouterr().out
    words = " ".join(printed.replace("│", " ").split())
    assert words.startswith(f"orders-target reads from orders by mapping {world.mapping_id} (Enabled)")
    assert "Tripped by the built-in alarm, the mapping is disabled within about 300 s of the first failure." in words
    assert "what was found" in words
    assert "WARNING The dead-letter queue keeps" in words
    assert "[EventCount]." in words  # brackets are no markup
    assert words.endswith("0 errors, 2 warnings, 5 notes. This pipeline can be attached.")


def test_check_table_with_an_error_says_that_registration_would_refuse(world, capsys):
    world.lambda_.update_function_configuration(FunctionName="orders-target", Timeout=841)
    assert main(BOTH, Console(width=140)) == 1
    assert capsys.readouterr().out.endswith("Registration would refuse this pipeline.\n")


def test_check_reads_only(world, monkeypatch):
    seen = []
    for client in (world.lambda_, world.sqs, world.cloudwatch):
        client.meta.events.register("before-call", lambda model, **more: seen.append(model.name), unique_id="seen")
    try:
        main([*BOTH, "--alarm", "orders-error-rate"])
        # The built-in alarm's minimum is compared with the calls there are.
        assert "GetMetricStatistics" not in seen
        main(BOTH)
    finally:
        for client in (world.lambda_, world.sqs, world.cloudwatch):
            client.meta.events.unregister("before-call", unique_id="seen")
    assert set(seen) == {
        "GetFunctionConfiguration",
        "GetFunctionConcurrency",
        "ListEventSourceMappings",
        "GetQueueUrl",
        "GetQueueAttributes",
        "DescribeAlarms",
        "GetMetricStatistics",
    }


def test_check_alias_is_found_by_name(world, capsys):
    version = world.lambda_.publish_version(FunctionName="orders-target")["Version"]
    alias = world.lambda_.create_alias(FunctionName="orders-target", Name="live", FunctionVersion=version)["AliasArn"]
    mapping = world.make_mapping(alias, world.queue_arn)
    assert main(["--function", "orders-target:live", "--queue", "orders", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["function"], document["mapping"]) == (alias, mapping)
    # The mapping of the function itself reads from the same queue.
    assert "other-consumer" in {finding["rule"] for finding in document["findings"]}


def test_check_queue_may_be_an_arn(world, capsys):
    assert main(["--function", world.target_arn, "--queue", world.queue_arn, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queue"] == world.queue_arn


def test_check_alarm_of_ones_own_says_how_long_it_takes(world, capsys):
    world.make_alarm("slow", Period=300, EvaluationPeriods=3, DatapointsToAlarm=2)
    assert main([*BOTH, "--alarm", "slow", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["detection_seconds"] == 3 * 300 + 90 + 30 + PAUSING_SECONDS


def test_check_metric_math_alarm_takes_as_long_as_its_longest_period(world, capsys):
    metric = {"Namespace": "AWS/Lambda", "MetricName": "Errors"}
    world.cloudwatch.put_metric_alarm(
        AlarmName="rate",
        Metrics=[
            {"Id": "rate", "Expression": "errors * 2", "ReturnData": True},
            {"Id": "errors", "MetricStat": {"Stat": "Sum", "Period": 120, "Metric": metric}, "ReturnData": False},
        ],
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    assert main([*BOTH, "--alarm", "rate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["detection_seconds"] == 2 * 120 + 90 + 30 + PAUSING_SECONDS


def test_check_rate_says_how_many_messages_have_no_receive_left(world, told):
    policy = {"deadLetterTargetArn": world.arn_of(world.dlq_url), "maxReceiveCount": "2"}
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"RedrivePolicy": json.dumps(policy)})
    _, findings = told("--rate", "10")
    assert "At a rate of 10 a second, up to 1200 messages have no receive left" in findings["receives-used-up"]["means"]


def test_check_reserved_concurrency_and_dead_letter_queue_are_read(world, told):
    world.lambda_.put_function_concurrency(FunctionName="orders-target", ReservedConcurrentExecutions=0)
    world.send(to=world.dlq_url)
    _, findings = told()
    assert findings["reserved-concurrency-zero"]["level"] == "WARNING"
    assert "about 1 messages" in findings["dead-letters-waiting"]["what"]


def test_check_without_permission_for_what_is_not_needed_goes_on_and_says_so(world, capsys):
    world.refuse(world.lambda_, "get_function_concurrency", "AccessDeniedException")
    world.refuse(world.sqs, "get_queue_attributes", "AccessDenied", when="orders-dlq")
    assert main([*BOTH, "--json"]) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert [(finding["level"], finding["what"]) for finding in findings if finding["rule"] == "not-readable"] == [
        (
            "NOTE",
            f"the reserved concurrency: not readable, needs lambda:GetFunctionConcurrency on {world.target_arn}",
        ),
        (
            "NOTE",
            f"the dead-letter queue: not readable, needs sqs:GetQueueAttributes on {world.arn_of(world.dlq_url)}",
        ),
    ]


def called(world: World, times: int, *, hours_ago: float, function: str = "orders-target") -> None:
    """Have the function been called so often at a moment."""
    world.cloudwatch.put_metric_data(
        Namespace="AWS/Lambda",
        MetricData=[
            {
                "MetricName": "Invocations",
                "Dimensions": [{"Name": "FunctionName", "Value": function}],
                "Timestamp": world.now - timedelta(hours=hours_ago),
                "Value": times,
            }
        ],
    )


def test_check_few_calls_in_the_last_day_are_told(world, told):
    called(world, 1000, hours_ago=1)
    called(world, 440, hours_ago=23)
    called(world, 100_000, hours_ago=25)
    called(world, 100_000, hours_ago=1, function="another")
    _, findings = told()
    assert findings["few-calls"]["what"].startswith("'orders-target' was called 1440 times in the last day, 1 a minute")
    called(world, 5760, hours_ago=2)
    assert "few-calls" not in told()[1]


def test_check_calls_that_may_not_be_read_are_a_note(world, told):
    world.refuse(world.cloudwatch, "get_metric_statistics", "AccessDenied")
    _, findings = told()
    assert "no-calls" not in findings
    assert findings["not-readable"]["what"] == (
        "the function's calls of the last day: not readable, needs cloudwatch:GetMetricStatistics"
    )


def test_check_variables_values_are_not_shown(world, capsys):
    variables = {"PASSWORD": "hunter2", "POWERTOOLS_IDEMPOTENCY_DISABLED": "true"}
    world.lambda_.update_function_configuration(FunctionName="orders-target", Environment={"Variables": variables})
    main([*BOTH, "--json"])
    printed = capsys.readouterr().out
    assert "idempotency-disabled" in printed
    assert "hunter2" not in printed


# Wrong arguments end with 2 and say which


def test_check_unknown_function_is_refused(world, capsys):
    assert refused(capsys, "--function", "nobody") == (
        "FUNCTION: 'nobody' must be a function, alias or version of this account and Region"
    )


def test_check_function_that_is_no_name_is_refused_by_the_settings_rule(world, capsys):
    assert refused(capsys, "--function", "my function").startswith("FUNCTION: 'my function' must match pattern")


def test_check_unknown_queue_is_refused(world, capsys):
    assert refused(capsys, "--queue", "nothing") == "QUEUE: 'nothing' must be a queue of this account and Region"
    arn = world.queue_arn.replace("orders", "nothing")
    assert refused(capsys, "--queue", arn) == f"QUEUE: {arn!r} must be an existing queue"


def test_check_unknown_alarm_is_refused(world, capsys):
    assert refused(capsys, "--alarm", "none") == "ALARM: 'none' must be a metric alarm of this account and Region"


def test_check_without_a_mapping_between_the_two_lists_those_there_are(world, capsys):
    world.make_function("another")
    world.make_queue("refunds")
    first, *rest = refused(capsys, "--function", "another").splitlines()
    assert first.startswith("FUNCTION: 'another': no event source mapping joins ")
    there_is = f"  orders-target reads from orders by mapping {world.mapping_id} (Enabled)"
    assert rest == ["These mappings exist:", there_is]
    assert refused(capsys, "--queue", "refunds").splitlines()[1:] == ["These mappings exist:", there_is]
    neither = refused(capsys, "--function", "another", "--queue", "refunds").splitlines()
    assert neither[1:] == ["Neither has any mapping."]


def test_check_several_mappings_want_a_choice(world, capsys):
    second = world.make_mapping(world.target_arn, world.queue_arn)
    reason = refused(capsys)
    assert reason.startswith("MAPPING: must name one of the mappings where several join")
    assert second in reason
    assert main([*BOTH, "--mapping", second, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mapping"] == second


@pytest.mark.parametrize("error", [NoCredentialsError(), NoRegionError()])
def test_check_without_credentials_or_region_says_so(world, capsys, monkeypatch, error):
    def cannot(**arguments):
        raise error

    monkeypatch.setattr(world.sqs, "get_queue_url", cannot)
    assert refused(capsys) == f"AWS cannot be asked: {error}"


def test_check_without_permission_for_what_is_needed_says_which(world, capsys):
    world.refuse(world.lambda_, "list_event_source_mappings", "AccessDeniedException")
    world.refuse(world.lambda_, "get_function_configuration", "AccessDeniedException")
    assert refused(capsys).startswith("get_function_configuration: AWS answered AccessDeniedException: ")


def test_check_as_a_program_with_wrong_arguments_ends_with_2():
    program = [sys.executable, "-m", "check", "--function", "orders-target"]
    ended = subprocess.run(program, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("python -m check: error: QUEUE: missing; it must be the name or ARN of its queue\n")
