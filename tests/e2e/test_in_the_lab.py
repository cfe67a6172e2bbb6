"""The whole application on one machine: real sam, IAM enforced, functions in processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.deployment import DeploymentFailed, Stack
from lab.outage import Outage, OutagePlan, OutageResult
from lab.session import Lab
from simulator.agreement import compare_on_a_busy_machine
from simulator.lab_runs import LabScenario, Measured, measured_of
from tests.e2e.steps import circuit_record, ended, failed_probes, send_orders, start, until
from tests.schemas.schema_files import check_report

pytestmark = pytest.mark.e2e

# The mapping's own setting. The ramp's first step, 2, is below it. Each batch at once is a process more that a small
# machine has to start.
_OWN_CONCURRENCY = 5
_ALARM_DELAY_SECONDS = 20
# Recovery as by default. A metric period of 2 s and no long delay are what the emulated CloudWatch needs, and the
# reconciler runs as often as it may: every 6 s here.
_SOON = {"MetricPeriodSeconds": "2", "MetricDelaySeconds": "1", "ReconcileMinutes": "1"}


@pytest.fixture(scope="module")
def lab(build_dir: Path) -> Iterator[Lab]:
    with Lab(scale=10, build_dir=build_dir) as running:
        running.deploy({**_SOON, "NotificationTopicArn": make_topic(running)})
        running.client("lambda").update_event_source_mapping(
            UUID=running.places.mapping_id, ScalingConfig={"MaximumConcurrency": _OWN_CONCURRENCY}
        )
        until(lambda: running.mapping_state() == "Enabled")
        yield running


@pytest.fixture(scope="module")
def outage(lab: Lab) -> tuple[OutageResult, Measured]:
    """One outage, and what the simulator has to be told of it."""
    lab.start_alarm(delay_seconds=_ALARM_DELAY_SECONDS)
    lab.start_schedule()
    plan = OutagePlan(healthy=60, outage=170, recovery_limit=3000, after=0)
    staged = Outage(lab, plan)
    result = staged.run()
    lab.stop_alarm()
    lab.stop_schedule()
    scenario = LabScenario(
        "an outage in the tests",
        rate=plan.rate,
        outage=plan.outage,
        recovery="RAMP",
        alarm_delay=_ALARM_DELAY_SECONDS,
        max_concurrency=_OWN_CONCURRENCY,
    )
    return result, measured_of(scenario, staged, result)


def make_topic(lab: Lab) -> str:
    """A topic of the user's own, with a queue that keeps what it is told."""
    sqs, sns = lab.client("sqs"), lab.client("sns")
    queue_url = sqs.create_queue(QueueName="notifications")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = str(sns.create_topic(Name="notifications")["TopicArn"])
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    sqs.set_queue_attributes(QueueUrl=queue_url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes={"RawMessageDelivery": "true"})
    return topic


def notifications(lab: Lab) -> list[str]:
    """Which changes the topic was told of, oldest first."""
    queue_url = lab.client("sqs").get_queue_url(QueueName="notifications")["QueueUrl"]
    messages = lab.emulator.waiting_messages(queue_url)
    fields = [line for message in messages for line in message.body.splitlines() if line.startswith("change: ")]
    return [field.removeprefix("change: ") for field in fields]


def deploy(lab: Lab, stack_name: str, **parameters: str) -> Stack:
    """Attach a breaker of its own to the application's pipeline."""
    outputs = lab.stack.outputs
    pipeline = {"TargetFunction": outputs["TargetFunctionName"], "QueueName": outputs["QueueUrl"].rpartition("/")[2]}
    own = {"FirstProbeSeconds": "10", "CircuitName": "apart"}
    return lab.deploy_beside(stack_name, {**pipeline, **own, **parameters})


def waiting(lab: Lab) -> list[Any]:
    return list(lab.emulator.waiting_messages(lab.places.queue_url))


def own_record(lab: Lab) -> dict[str, Any]:
    """The record of the application's own circuit."""
    return circuit_record(lab, lab.stack, lab.places.circuit)


def concurrency(lab: Lab) -> int:
    mapping = lab.client("lambda").get_event_source_mapping(UUID=lab.places.mapping_id)
    return int(mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0))


def test_an_outage_opens_the_circuit_loses_nothing_and_closes_it_step_by_step(
    lab: Lab, outage: tuple[OutageResult, Measured]
) -> None:
    result, _ = outage

    assert result.broken_promises() == []
    assert result.circuit_at_end == "CLOSED"
    assert result.account.lost == set()
    (execution,) = [report for report in result.executions if "ProbeTarget" in report.states_entered]
    assert execution.status == "SUCCEEDED"
    assert execution.output is not None
    report = json.loads(execution.output)
    check_report(report)
    assert report["outcome"] == "HEALED"
    # A probe that found all messages hidden tried none.
    assert 1 <= report["probes"] <= execution.states_entered.count("ProbeTarget")
    limits = [sample.limit for sample in result.samples]
    in_turn = [limit for limit, _ in groupby(limits)]
    # What comes between is up to the backlog.
    assert (in_turn[:2], in_turn[-1]) == ([_OWN_CONCURRENCY, 2], _OWN_CONCURRENCY)
    assert max(in_turn) == _OWN_CONCURRENCY
    states = [sample.circuit for sample in result.samples if sample.circuit != "-"]
    assert [state for state, _ in groupby(states)] == ["CLOSED", "OPEN", "HALF_OPEN", "CLOSED"]
    assert notifications(lab) == ["OPENED", "CLOSED"]


def test_the_simulator_says_of_that_outage_what_the_lab_has_shown(outage: tuple[OutageResult, Measured]) -> None:
    _, measured = outage
    # Failed calls within 15 %, time to flowing within a probe interval, as everywhere. What is not taken for exact is
    # how long processes take to start: other tests run beside this one, and each start meets another load.
    assert compare_on_a_busy_machine(measured).disagreements() == [], measured


def test_a_stopped_execution_is_resumed_by_the_schedule_and_a_person_who_enables_the_mapping_is_respected(
    lab: Lab,
) -> None:
    # EventBridge may lose the event that tells of the execution's end. What is relied on is the schedule.
    lab.client("events").disable_rule(Name=lab.stack.resources["ExecutionDiedRule"])
    schedule = lab.start_schedule()
    lab.set_should_error(True)
    execution = start(lab, lab.stack, {"circuit": lab.places.circuit, "command": "OPEN", "reason": "a test"})
    until(lambda: own_record(lab).get("state") == "OPEN")
    send_orders(lab, lab.places.queue_url, *(f"waiting-{n}" for n in range(6)))

    lab.client("stepfunctions").stop_execution(executionArn=execution, error="Test", cause="somebody stopped it")

    def resumed() -> str | None:
        owner = own_record(lab).get("owner")
        return str(owner) if owner not in (None, execution) else None

    successor = until(resumed, within=2 * schedule.period_seconds)
    lab.stop_schedule()
    assert lab.mapping_state() == "Disabled"

    lab.set_should_error(False)
    lab.client("lambda").update_event_source_mapping(UUID=lab.places.mapping_id, Enabled=True)
    outcome = ended(lab, successor)

    assert outcome["status"] == "SUCCEEDED"
    assert json.loads(outcome["output"])["outcome"] == "OVERRIDDEN"
    assert (own_record(lab)["state"], "owner" in own_record(lab)) == ("CLOSED", False)
    assert (lab.mapping_state(), concurrency(lab)) == ("Enabled", _OWN_CONCURRENCY)
    until(lambda: not [message for message in waiting(lab) if message.visible])


def test_commands_by_hand_open_hold_close_and_tell(lab: Lab) -> None:
    def tell(command: str, **fields: Any) -> str:
        given = {"circuit": lab.places.circuit, "command": command, "reason": "a test", **fields}
        return start(lab, lab.stack, given)

    def standing() -> str:
        return str(json.loads(ended(lab, tell("STATUS"))["output"])["status"]["standing"])

    lab.set_should_error(False)
    assert standing() == "FLOWING"
    first = tell("OPEN", for_minutes=60)
    until(lambda: own_record(lab).get("state") == "OPEN")
    assert standing() == "HELD_OPEN"
    looked = subprocess.run(
        [sys.executable, "-m", "oncall.status", "--json", lab.stack.name],
        env=lab.emulator.client_env(),
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert looked.returncode == 0, looked.stderr
    assert [circuit["standing"] for circuit in json.loads(looked.stdout)["circuits"]] == ["HELD_OPEN"]

    send_orders(lab, lab.places.queue_url, "by-hand")
    closing = ended(lab, tell("CLOSE"))
    assert json.loads(closing["output"])["outcome"] == "CLOSED_BY_HAND"
    assert (own_record(lab)["state"], "owner" in own_record(lab)) == ("CLOSED", False)
    assert (lab.mapping_state(), concurrency(lab)) == ("Enabled", _OWN_CONCURRENCY)
    assert json.loads(ended(lab, tell("OFF"))["output"])["status"]["mode"] == "OFF"
    assert json.loads(ended(lab, tell("ACTIVE"))["output"])["status"]["mode"] == "ACTIVE"
    until(lambda: not waiting(lab))
    # It waits for its next look, or has found already that it is not its circuit any more.
    with suppress(ClientError):
        lab.client("stepfunctions").stop_execution(executionArn=first)


def test_the_dashboard_is_there_and_its_widget_shows_the_circuit_with_no_more_than_its_own_permissions(
    lab: Lab,
) -> None:
    name = lab.stack.resources["CircuitsDashboard"]
    body = json.loads(lab.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    (widget,) = [widget["properties"] for widget in body["widgets"] if widget["type"] == "custom"]
    assert name.startswith(lab.stack.name)
    assert lab.stack.outputs["DashboardUrl"].endswith(f"#dashboards/dashboard/{name}")
    assert "${PROP('Dim.circuit')}" in json.dumps(body)

    event = {"widgetContext": {"theme": "dark"}}
    answer = lab.client("lambda").invoke(FunctionName=widget["endpoint"], Payload=json.dumps(event).encode())
    shown = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, shown
    assert lab.places.circuit in shown
    # All that it asked for was granted: nothing is missing.
    assert "CLOSED (flowing)" in shown
    assert "trouble" not in shown


def test_an_event_from_code_opens_the_circuit_that_it_names_and_no_word_of_it_is_repeated(lab: Lab) -> None:
    states, machine = lab.client("stepfunctions"), lab.stack.resources["CircuitBreaker"]
    known = {each["executionArn"] for each in states.list_executions(stateMachineArn=machine)["executions"]}
    detail = {"circuit": lab.places.circuit, "reason": "a customer's secret"}
    entry = {"Source": "shop.orders", "DetailType": "Circuit Trip Requested", "Detail": json.dumps(detail)}
    other = {**entry, "Detail": json.dumps({"circuit": "another"})}
    assert lab.client("events").put_events(Entries=[entry, other])["FailedEntryCount"] == 0
    until(lambda: lab.mapping_state() == "Disabled")

    new = {each["executionArn"] for each in states.list_executions(stateMachineArn=machine)["executions"]} - known
    (execution,) = new
    assert "secret" not in states.describe_execution(executionArn=execution)["input"]

    until(lambda: own_record(lab).get("state") == "OPEN")
    lab.client("lambda").update_event_source_mapping(UUID=lab.places.mapping_id, Enabled=True)
    assert json.loads(ended(lab, execution)["output"])["outcome"] == "OVERRIDDEN"


def test_a_refused_start_fails_by_name_and_leaves_the_mapping_alone(lab: Lab) -> None:
    unknown = ended(lab, start(lab, lab.stack, {"circuit": "nobody", "command": "OPEN", "reason": "a test"}))

    assert (unknown["status"], unknown["error"]) == ("FAILED", "UnknownCircuit")
    assert "circuit: 'nobody' is not registered" in unknown["cause"]
    assert lab.mapping_state() == "Enabled"


def test_a_registration_that_cannot_work_fails_the_stack_with_its_reason(lab: Lab) -> None:
    with pytest.raises(DeploymentFailed, match="AlarmNames: 'no-such-alarm' must be a metric alarm"):
        deploy(lab, "refused", AlarmName="no-such-alarm")

    assert lab.mapping_state() == "Enabled"


def test_watch_touches_nothing_and_deleting_the_stack_while_open_leaves_the_mapping_enabled(lab: Lab) -> None:
    watching = deploy(lab, "apart", Mode="WATCH")
    watched = ended(lab, start(lab, watching, {"circuit": "apart", "command": "OPEN", "reason": "what would happen?"}))
    assert json.loads(watched["output"])["outcome"] == "WATCHED"
    assert lab.mapping_state() == "Enabled"

    stack = deploy(lab, "apart", Mode="ACTIVE")
    lab.set_should_error(True)
    execution = start(lab, stack, {"circuit": "apart", "command": "OPEN", "reason": "a test"})
    until(lambda: lab.mapping_state() == "Disabled")
    send_orders(lab, lab.places.queue_url, "held-1", "held-2")
    until(lambda: failed_probes(lab, stack, "apart"))
    assert any(not message.visible for message in waiting(lab))

    lab.delete_stack("apart")

    assert lab.mapping_state() == "Enabled"
    stopped = lab.client("stepfunctions").describe_execution(executionArn=execution)
    assert stopped["status"] == "ABORTED"
    lab.set_should_error(False)
    until(lambda: not waiting(lab))
