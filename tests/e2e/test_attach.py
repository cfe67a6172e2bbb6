"""Pipelines that know nothing of a breaker: attached, through an outage, side by side, refused, and detached."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from lab.deployment import DeploymentFailed, Stack, runtime_name
from lab.outage import OutagePlan
from lab.session import ALARM_NAME, REPOSITORY, STACK_NAME, Lab
from tests.e2e.steps import circuit_record, ended, failed_probes, send_orders, start, until

pytestmark = pytest.mark.e2e

# A metric period of 2 s and no long delay are what the emulated CloudWatch needs.
_SOON = {"MetricPeriodSeconds": "2", "MetricDelaySeconds": "1"}
_EXAMPLE = {
    "OrdersQueue",
    "OrdersDeadLetterQueue",
    "LedgerTable",
    "ExampleTargetFunction",
    "ExampleTargetFunctionRole",
    "ExampleTargetLogGroup",
    "TargetMapping",
}


@dataclass(frozen=True)
class Attached:
    """A lab with two pipelines of their own stacks, the first protected by the breaker's stack.

    The mapping of the second names an alias of its function.
    """

    lab: Lab
    shop: Stack
    warehouse: Stack


@pytest.fixture(scope="module")
def attached(build_dir: Path) -> Iterator[Attached]:
    with Lab(scale=10, build_dir=build_dir) as lab:
        template = Path(__file__).with_name("pipeline.yaml")
        shop = lab.create_stack("shop", template, {"Runtime": runtime_name()})
        warehouse = lab.create_stack("warehouse", template, {"Runtime": runtime_name(), "Alias": "live"})
        lab.pipeline = shop.outputs
        lab.deploy({**names(shop), **_SOON})
        yield Attached(lab, shop, warehouse)


def names(pipeline: Stack) -> dict[str, str]:
    """The two parameters that attach a pipeline."""
    return {"TargetFunction": pipeline.outputs["TargetFunction"], "QueueName": pipeline.outputs["QueueName"]}


def attach(lab: Lab, stack_name: str, **parameters: str) -> Stack:
    own = {"Breaker": STACK_NAME, "CircuitName": "warehouse", "AlarmName": ALARM_NAME, "FirstProbeSeconds": "10"}
    return lab.create_stack(stack_name, REPOSITORY / "attach.yaml", {**own, **_SOON, **parameters})


def filled_in(attached: Attached, value: str) -> str:
    """A value as it stands, or ``{pipeline.Output}`` with what the pipeline's stack says."""
    if not value.startswith("{"):
        return value
    pipeline, _, output = value.strip("{}").partition(".")
    return str(getattr(attached, pipeline).outputs[output])


def record(lab: Lab, circuit: str) -> dict[str, Any]:
    return circuit_record(lab, lab.stack, circuit)


def mapping_state(lab: Lab, pipeline: Stack) -> str:
    return str(lab.client("lambda").get_event_source_mapping(UUID=pipeline.outputs["MappingId"])["State"])


def open_by_hand(lab: Lab, circuit: str) -> str:
    return start(lab, lab.stack, {"circuit": circuit, "command": "OPEN", "reason": "a test"})


def status(lab: Lab, execution: str) -> str:
    return str(lab.client("stepfunctions").describe_execution(executionArn=execution)["status"])


def send(lab: Lab, pipeline: Stack, *orders: str) -> None:
    send_orders(lab, pipeline.outputs["QueueUrl"], *orders)


def processed(lab: Lab, pipeline: Stack) -> set[str]:
    answer = lab.client("dynamodb").scan(TableName=pipeline.outputs["LedgerTableName"], ConsistentRead=True)
    return {item["order_id"]["S"] for item in answer["Items"]}


def test_pipeline_attached_with_two_parameters_loses_nothing_in_an_outage(attached: Attached) -> None:
    lab = attached.lab
    assert set(lab.stack.resources) & _EXAMPLE == set()

    lab.start_alarm(delay_seconds=20)
    result = lab.run_outage(OutagePlan(healthy=10, outage=130, recovery_limit=3000, after=0))
    lab.stop_alarm()

    assert result.broken_promises() == []
    assert (result.circuit_at_end, result.mapping_at_end) == ("CLOSED", "Enabled")
    assert (result.account.lost, result.account.dead_lettered) == (set(), set())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"TargetFunction": "nobody"}, "TargetFunction: 'nobody' must be a function, alias or version"),
        ({"QueueName": "nothing"}, "QueueArn: '.*:nothing' must be an existing queue"),
        ({"QueueName": "{shop.QueueName}"}, "TargetFunction: '.*': no event source mapping joins"),
        (
            {"TargetFunction": "{warehouse.FunctionName}"},
            "TargetFunction: '.*': no event source mapping joins .*; the queue is read by .*:live",
        ),
        ({"MappingId": "{shop.MappingId}"}, "MappingId: '.*' must be the id of an event source mapping that joins"),
        ({"DeadLetterQueueName": "{shop.DeadLetterQueueName}"}, "DeadLetterQueueArn: '.*' must be where .* moves"),
        ({"AlarmName": "no-such-alarm"}, "AlarmNames: 'no-such-alarm' must be a metric alarm"),
        ({"CircuitName": "orders"}, "CircuitName: 'orders' must not be a circuit of another stack"),
        (
            {"TargetFunction": "{shop.TargetFunction}", "QueueName": "{shop.QueueName}"},
            "MappingId: '.*' is protected by the circuit 'orders' already",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_wrong_attachment_rolls_back_with_its_reason(attached: Attached, wrong: dict[str, str], reason: str) -> None:
    lab = attached.lab
    filled = {name: filled_in(attached, value) for name, value in wrong.items()}
    with pytest.raises(DeploymentFailed, match="ROLLBACK_COMPLETE") as failed:
        attach(lab, "refused", **{**names(attached.warehouse), **filled})
    lab.delete_stack("refused")

    failed.match(reason)
    assert record(lab, "warehouse") == {}
    assert record(lab, "orders")["state"] == "CLOSED"
    assert {mapping_state(lab, pipeline) for pipeline in (attached.shop, attached.warehouse)} == {"Enabled"}


def test_one_parameter_without_the_other_is_refused(attached: Attached) -> None:
    with pytest.raises(DeploymentFailed, match="QueueArn: missing; a pipeline is named by both"):
        attached.lab.deploy_beside("half", {"TargetFunction": attached.shop.outputs["TargetFunction"]})


def test_incidents_of_two_pipelines_are_apart_and_detaching_one_hands_its_messages_back(attached: Attached) -> None:
    lab, shop, warehouse = attached.lab, attached.shop, attached.warehouse
    attach(lab, "warehouse-circuit", **names(warehouse))
    for pipeline in (shop, warehouse):
        lab.set_should_error(True, pipeline.outputs["FunctionName"])

    theirs = open_by_hand(lab, "warehouse")
    until(lambda: mapping_state(lab, warehouse) == "Disabled")
    assert (record(lab, "orders")["state"], mapping_state(lab, shop)) == ("CLOSED", "Enabled")

    ours = open_by_hand(lab, "orders")
    until(lambda: mapping_state(lab, shop) == "Disabled")
    send(lab, shop, "shop-1", "shop-2")
    send(lab, warehouse, "warehouse-1", "warehouse-2")
    until(lambda: failed_probes(lab, lab.stack, "orders") and failed_probes(lab, lab.stack, "warehouse"))
    assert (record(lab, "orders")["owner"], record(lab, "warehouse")["owner"]) == (ours, theirs)

    with pytest.raises(ClientError, match="is imported by stack warehouse-circuit"):
        lab.delete_stack()
    lab.set_should_error(False, warehouse.outputs["FunctionName"])
    lab.delete_stack("warehouse-circuit")

    assert (mapping_state(lab, warehouse), status(lab, theirs), record(lab, "warehouse")) == ("Enabled", "ABORTED", {})
    until(lambda: processed(lab, warehouse) >= {"warehouse-1", "warehouse-2"})
    assert (record(lab, "orders")["owner"], mapping_state(lab, shop)) == (ours, "Disabled")

    lab.set_should_error(False)
    assert ended(lab, ours, within=120)["status"] == "SUCCEEDED"
    until(lambda: processed(lab, shop) >= {"shop-1", "shop-2"})
    assert (record(lab, "orders")["state"], mapping_state(lab, shop)) == ("CLOSED", "Enabled")


def test_what_an_incident_dead_lettered_goes_back_to_its_queue_after_it(attached: Attached) -> None:
    lab, warehouse = attached.lab, attached.warehouse
    attach(
        lab,
        "warehouse-circuit",
        **names(warehouse),
        DeadLetterQueueName=warehouse.outputs["DeadLetterQueueName"],
        Redrive="true",
        Recovery="IMMEDIATE",
    )
    queue, dead_letters = warehouse.outputs["QueueUrl"], warehouse.outputs["DeadLetterQueueUrl"]
    lab.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "3"})
    lab.set_should_error(True, warehouse.outputs["FunctionName"])
    orders = [f"late-{n}" for n in range(4)]
    send(lab, warehouse, *orders)
    until(lambda: len(lab.emulator.waiting_messages(dead_letters)) == len(orders))

    execution = open_by_hand(lab, "warehouse")
    until(lambda: mapping_state(lab, warehouse) == "Disabled")
    lab.set_should_error(False, warehouse.outputs["FunctionName"])
    summary = json.loads(ended(lab, execution, within=120)["output"])

    assert (summary["dead_lettered"], summary["redriven"]) == (len(orders), len(orders))
    assert lab.emulator.waiting_messages(dead_letters) == []
    until(lambda: processed(lab, warehouse) >= set(orders))
    lab.delete_stack("warehouse-circuit")
