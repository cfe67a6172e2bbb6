"""What the lab's tests do and read, whichever stack they look at."""

import json
import time
from collections.abc import Callable
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from lab.deployment import Stack
from lab.session import Lab


def until(condition: Callable[[], Any], *, within: float = 60) -> Any:
    """Wait for a condition and return what it found."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {within} s: {condition.__name__}")


def start(lab: Lab, stack: Stack, document: dict[str, Any]) -> str:
    """Start the breaker of a stack; return the execution."""
    answer = lab.client("stepfunctions").start_execution(
        stateMachineArn=stack.resources["CircuitBreaker"], input=json.dumps(document)
    )
    return str(answer["executionArn"])


def ended(lab: Lab, execution: str, *, within: float = 60) -> dict[str, Any]:
    """Wait for an execution's end and return its description."""

    def finished() -> dict[str, Any] | None:
        answer = lab.client("stepfunctions").describe_execution(executionArn=execution)
        return answer if answer["status"] != "RUNNING" else None

    return dict(until(finished, within=within))


def circuit_record(lab: Lab, stack: Stack, circuit: str) -> dict[str, Any]:
    """The record of a circuit, as plain values; empty if there is none."""
    answer = lab.client("dynamodb").get_item(
        TableName=stack.resources["CircuitTable"],
        Key={"pk": {"S": f"CIRCUIT#{circuit}"}, "sk": {"S": "CIRCUIT"}},
        ConsistentRead=True,
    )
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in answer.get("Item", {}).items()}


def failed_probes(lab: Lab, stack: Stack, circuit: str) -> int:
    """How many probes of the circuit's incident have failed."""
    incident = circuit_record(lab, stack, circuit).get("incident") or {}
    return int(incident.get("failed_probes", 0))


def send_orders(lab: Lab, queue_url: str, *names: str) -> None:
    """Send an order for each name."""
    for name in names:
        lab.client("sqs").send_message(QueueUrl=queue_url, MessageBody=json.dumps({"order_id": name}))
