"""The whole application on one machine: real sam, IAM enforced, functions in processes of their own."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.deployment import Deployment, DeploymentFailed, Stack, runtime_name
from lab.outage import OutagePlan
from lab.session import ALARM_NAME, REPOSITORY, Lab
from tests.e2e.pipeline_apart import PIPELINE, write_breaker_template

pytestmark = pytest.mark.e2e

_BUCKET = "lab-artifacts"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(scale=10) as running:
        running.deploy()
        yield running


@pytest.fixture(scope="module")
def breaker(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """A breaker without a pipeline of its own, built and ready to be deployed beside the application."""
    resources = lab.stack.resources
    account = resources["CircuitBreaker"].split(":")[4]
    region = resources["CircuitBreaker"].split(":")[3]
    queue = resources["OrdersQueue"].rpartition("/")[2]
    template = write_breaker_template(
        REPOSITORY / "template.yaml",
        tmp_path_factory.mktemp("breaker") / "template.yaml",
        physical_ids={name: resources[name] for name in PIPELINE if name in resources},
        arns={
            "OrdersQueue": f"arn:aws:sqs:{region}:{account}:{queue}",
            "ExampleTargetFunction": f"arn:aws:lambda:{region}:{account}:function:{resources['ExampleTargetFunction']}",
        },
    )
    work_dir = tmp_path_factory.mktemp("breaker-work")
    deployment = Deployment(template, work_dir, lab.emulator, lab.client("cloudformation"))
    deployment.build()
    return deployment


def deploy(breaker: Deployment, stack_name: str, **parameters: str) -> Stack:
    own = {"AlarmName": ALARM_NAME, "Runtime": runtime_name(), "FirstProbeSeconds": "10", "CircuitName": "apart"}
    return breaker.deploy(stack_name, {**own, **parameters}, _BUCKET)


def start(lab: Lab, stack: Stack, document: dict[str, Any]) -> str:
    answer = lab.client("stepfunctions").start_execution(
        stateMachineArn=stack.resources["CircuitBreaker"], input=json.dumps(document)
    )
    return str(answer["executionArn"])


def ended(lab: Lab, execution: str) -> dict[str, Any]:
    def finished() -> dict[str, Any] | None:
        answer = lab.client("stepfunctions").describe_execution(executionArn=execution)
        return answer if answer["status"] != "RUNNING" else None

    return until(finished)


def until(condition: Callable[[], Any], *, within: float = 60) -> Any:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within} s: {condition.__name__}")


def send_orders(lab: Lab, *names: str) -> None:
    for name in names:
        lab.client("sqs").send_message(QueueUrl=lab.places.queue_url, MessageBody=json.dumps({"order_id": name}))


def waiting(lab: Lab) -> list[Any]:
    return list(lab.emulator.waiting_messages(lab.places.queue_url))


def circuit_record(lab: Lab, stack: Stack) -> dict[str, Any] | None:
    answer = lab.client("dynamodb").get_item(
        TableName=stack.resources["CircuitTable"],
        Key={"pk": {"S": "CIRCUIT#apart"}, "sk": {"S": "CIRCUIT"}},
        ConsistentRead=True,
    )
    item: dict[str, Any] | None = answer.get("Item")
    return item


def test_an_outage_opens_the_circuit_loses_nothing_and_closes_it_again(lab: Lab) -> None:
    lab.start_alarm()
    result = lab.run_outage(OutagePlan(healthy=30, outage=240, after=20))
    lab.stop_alarm()

    assert result.broken_promises() == []
    assert result.circuit_at_end == "CLOSED"
    assert result.account.lost == set()
    (execution,) = [report for report in result.executions if "ProbeTarget" in report.states_entered]
    assert execution.status == "SUCCEEDED"
    assert execution.output is not None
    summary = json.loads(execution.output)
    assert summary["outcome"] == "HEALED"
    # A probe that found all messages hidden tried none.
    assert 1 <= summary["probes"] <= execution.states_entered.count("ProbeTarget")


def test_a_refused_start_fails_by_name_and_leaves_the_mapping_alone(lab: Lab) -> None:
    unknown = ended(lab, start(lab, lab.stack, {"circuit": "nobody", "command": "OPEN", "reason": "a test"}))

    assert (unknown["status"], unknown["error"]) == ("FAILED", "UnknownCircuit")
    assert "circuit: 'nobody' is not registered" in unknown["cause"]
    assert lab.mapping_state() == "Enabled"


def test_a_registration_that_cannot_work_fails_the_stack_with_its_reason(lab: Lab, breaker: Deployment) -> None:
    with pytest.raises(DeploymentFailed, match="AlarmName: 'no-such-alarm' must be a metric alarm"):
        deploy(breaker, "refused", AlarmName="no-such-alarm")

    assert lab.mapping_state() == "Enabled"


def test_watch_touches_nothing_and_deleting_the_stack_while_open_leaves_the_mapping_enabled(
    lab: Lab, breaker: Deployment
) -> None:
    watching = deploy(breaker, "apart", Mode="WATCH")
    watched = ended(lab, start(lab, watching, {"circuit": "apart", "command": "OPEN", "reason": "what would happen?"}))
    assert json.loads(watched["output"])["outcome"] == "WATCHED"
    assert lab.mapping_state() == "Enabled"

    stack = deploy(breaker, "apart", Mode="ACTIVE")
    lab.set_should_error(True)
    execution = start(lab, stack, {"circuit": "apart", "command": "OPEN", "reason": "a test"})
    until(lambda: lab.mapping_state() == "Disabled")
    send_orders(lab, "held-1", "held-2")
    until(lambda: int((circuit_record(lab, stack) or {})["incident"]["M"]["failed_probes"]["N"]) > 0)
    assert any(not message.visible for message in waiting(lab))

    delete_stack(lab, "apart")

    assert lab.mapping_state() == "Enabled"
    stopped = lab.client("stepfunctions").describe_execution(executionArn=execution)
    assert stopped["status"] == "ABORTED"
    lab.set_should_error(False)
    until(lambda: not waiting(lab))


def delete_stack(lab: Lab, name: str) -> None:
    cloudformation = lab.client("cloudformation")
    stack_id = cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
    cloudformation.delete_stack(StackName=name)
    until(lambda: cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE")
