"""The example's consumer and the breaker, with a real service that is really stopped: two breakers working together."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.deployment import Deployment, Stack, runtime_name
from lab.session import REPOSITORY, Lab
from tests.e2e.order_service import OrderService
from tests.e2e.steps import circuit_record, ended, failed_probes, until

pytestmark = pytest.mark.e2e

_BUCKET = "lab-artifacts"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[OrderService]:
    service = OrderService(tmp_path / "orders.db")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def lab(build_dir: Path) -> Iterator[Lab]:
    with Lab(scale=10, build_dir=build_dir) as lab:
        lab.build()
        lab.make_alarm()
        yield lab


def deploy_consumer(lab: Lab, service: OrderService, work_dir: Path) -> Stack:
    """The example as its own README deploys it. Durations that Lambda and SQS hold are those of the lab."""
    template = REPOSITORY / "examples" / "powertools_consumer" / "template.yaml"
    deployment = Deployment(template, work_dir, lab.emulator, lab.client("cloudformation"))
    deployment.build()
    parameters = {
        "ServiceUrl": service.url,
        "RetryAfterSeconds": "2",
        "TimeoutSeconds": "5",
        "VisibilityTimeoutSeconds": "5",
        "Runtime": runtime_name(),
    }
    return deployment.deploy("consumer", parameters, _BUCKET)


def attach_breaker(lab: Lab, consumer: Stack) -> Stack:
    """A breaker for the consumer, which knows nothing of it but the circuit's name."""
    return lab.deploy_beside(
        "breaker",
        {
            "TargetFunction": consumer.outputs["FunctionName"],
            "QueueName": consumer.outputs["QueueName"],
            "FirstProbeSeconds": "10",
            "MaxProbeIntervalSeconds": "20",
            "Recovery": "IMMEDIATE",
            "MetricPeriodSeconds": "2",
            "MetricDelaySeconds": "1",
        },
    )


def send(lab: Lab, consumer: Stack, *orders: str) -> None:
    for order in orders:
        lab.client("sqs").send_message(
            QueueUrl=consumer.outputs["QueueUrl"], MessageBody=json.dumps({"order_id": order, "note": "gift wrap"})
        )


def test_two_breakers_trip_fast_lose_nothing_and_place_every_order_once(
    lab: Lab, service: OrderService, tmp_path: Path
) -> None:
    consumer = deploy_consumer(lab, service, tmp_path)
    breaker = attach_breaker(lab, consumer)

    def mapping_state() -> str:
        state: str = lab.client("lambda").get_event_source_mapping(UUID=consumer.outputs["MappingId"])["State"]
        return state

    def circuit() -> dict[str, Any]:
        return circuit_record(lab, breaker, "orders")

    before = [f"before-{n}" for n in range(12)]
    send(lab, consumer, *before, *before[:4])
    until(lambda: set(service.calls()) == set(before))
    until(lambda: not lab.emulator.waiting_messages(consumer.outputs["QueueUrl"]))

    service.stop()
    during = [f"during-{n}" for n in range(20)]
    send(lab, consumer, *during)
    until(lambda: mapping_state() == "Disabled")

    # Two environments of the function may trip at once. One event's execution owns the circuit, the other ends.
    first = str(circuit()["owner"])
    given = json.loads(lab.client("stepfunctions").describe_execution(executionArn=first)["input"])
    assert given["cause"]["source"] == "shop.orders"
    assert "gift wrap" not in json.dumps(given)

    # The breaker probes, and fails at least once while the service is down.
    until(lambda: failed_probes(lab, breaker, "orders"))
    send(lab, consumer, "while-paused", "while-paused")
    assert mapping_state() == "Disabled"
    service.start()

    outcome = ended(lab, first)
    assert outcome["status"] == "SUCCEEDED"
    assert json.loads(outcome["output"])["outcome"] == "HEALED"
    everything = {*before, *during, "while-paused"}
    until(lambda: set(service.calls()) == everything)
    until(lambda: not lab.emulator.waiting_messages(consumer.outputs["QueueUrl"]))
    assert lab.emulator.waiting_messages(consumer.outputs["DeadLetterQueueUrl"]) == []
    # A call that failed never reached the service, and what it has taken is not placed again.
    assert service.calls() == dict.fromkeys(everything, 1)
    assert mapping_state() == "Enabled"
    assert circuit()["state"] == "CLOSED"
