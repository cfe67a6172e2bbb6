"""The packaged application as a stranger installs it: nested in a template of his own, beside his own pipeline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.deployment import Deployment, Stack, runtime_name
from lab.session import REPOSITORY, Lab
from publish.command import code_of
from publish.packages import package_problems
from publish.packaging import build, package, prepare
from tests.e2e.test_in_the_lab import until

pytestmark = pytest.mark.e2e

_BUCKET = "lab-artifacts"
_EXAMPLE = REPOSITORY / "examples" / "nested" / "template.yaml"


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab(scale=10) as lab:
        yield lab


def package_breaker(lab: Lab, directory: Path) -> Path:
    """The template that would be published, its code uploaded: all that the repository hands out."""
    built = build(prepare(REPOSITORY, directory), runtime_name(), directory / "sam-build.log")
    assert package_problems(code_of(built)) == []
    packaged = directory / "packaged.yaml"
    package(built, packaged, bucket=_BUCKET, env=lab.emulator.client_env())
    return packaged


def deploy_example(lab: Lab, packaged: Path, directory: Path) -> Stack:
    """The example as its README deploys it, but with the packaged application in the checkout's place."""
    directory.mkdir()
    template = directory / "template.yaml"
    template.write_text(_EXAMPLE.read_text().replace("Location: ../../template.yaml", f"Location: {packaged}"))
    deployment = Deployment(template, directory, lab.emulator, lab.client("cloudformation"))
    deployment.build()
    return deployment.deploy("stranger", {"Mode": "ACTIVE", "Runtime": runtime_name()}, _BUCKET)


def test_packaged_application_nested_beside_a_pipeline_protects_it_and_goes_with_it(lab: Lab, tmp_path: Path) -> None:
    stranger = deploy_example(lab, package_breaker(lab, tmp_path / "breaker"), tmp_path / "stranger")

    def mapping_state() -> str:
        state: str = lab.client("lambda").get_event_source_mapping(UUID=stranger.outputs["MappingId"])["State"]
        return state

    def circuit_state() -> str:
        row = lab.client("dynamodb").get_item(
            TableName=stranger.outputs["CircuitTableName"],
            Key={"pk": {"S": "CIRCUIT#parcels"}, "sk": {"S": "CIRCUIT"}},
            ConsistentRead=True,
        )
        return str(row["Item"]["state"]["S"])

    def command(name: str) -> None:
        document: dict[str, Any] = {"circuit": "parcels", "command": name, "reason": "a test"}
        if name == "OPEN":
            document["for_minutes"] = 60  # nothing is tried meanwhile
        lab.client("stepfunctions").start_execution(
            stateMachineArn=stranger.outputs["StateMachineArn"], input=json.dumps(document)
        )

    def send(parcel: str) -> None:
        body = json.dumps({"parcel": parcel})
        lab.client("sqs").send_message(QueueUrl=stranger.outputs["QueueUrl"], MessageBody=body)

    def delivered() -> set[str]:
        rows = lab.client("dynamodb").scan(TableName=stranger.outputs["DeliveriesTableName"], ConsistentRead=True)
        return {row["parcel"]["S"] for row in rows["Items"]}

    assert circuit_state() == "CLOSED"
    send("before")
    until(lambda: delivered() == {"before"})

    command("OPEN")
    until(lambda: mapping_state() == "Disabled")
    send("while open")
    command("CLOSE")
    until(lambda: circuit_state() == "CLOSED" and mapping_state() == "Enabled")
    until(lambda: delivered() == {"before", "while open"})

    command("OPEN")
    until(lambda: circuit_state() == "OPEN")
    tables = set(lab.client("dynamodb").list_tables()["TableNames"])
    assert {stranger.outputs["CircuitTableName"], stranger.outputs["DeliveriesTableName"]} <= tables
    lab.delete_stack("stranger", within_seconds=120)
    assert lab.client("dynamodb").list_tables()["TableNames"] == []
    assert lab.client("lambda").list_functions()["Functions"] == []
