"""The reference policy's state machine, run in process: what the sample does, and what is wrong with it, on purpose."""

import importlib.util
import json
import re
import unittest.mock
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from emulated_cloud import ACCOUNT, REGION, AwsError, DeployedFunction, EmulatedCloud, function_arn, put_right
from moto import mock_aws
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.utils import json_path
from simulated_clock import SimulatedClock

REFERENCE = Path(__file__).resolve().parents[2] / "benchmarks" / "reference"
WAITS = [10, 20, 40, 80, 160, 320, 640, 1280, 2560]


def load_function(name: str) -> Any:
    """The deployed file itself: it is no package."""
    spec = importlib.util.spec_from_file_location(name, REFERENCE / "functions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def one_of_one(path: str, data: Any) -> Any:
    """What a definite path selects. moto takes ``$.Messages[0].Body`` for a choice of several; AWS does not."""
    found = json_path.extract_json(path, data)
    return found[0] if re.search(r"\[\d+\]\.", path) and isinstance(found, list) else found


@dataclass
class Sample:
    """The pipeline and the machine over it."""

    clock: SimulatedClock
    cloud: EmulatedCloud
    queue_url: str
    mapping: str
    rejitter_mapping: str
    machine: str
    events: list[Any]
    answer: Any = None

    def client(self, service: str) -> Any:
        return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]

    def send(self, *bodies: str) -> None:
        for body in bodies:
            self.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body)

    def target(self, event: Any, context: Any) -> Any:
        self.events.append((self.clock.elapsed(), event))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def run(self) -> dict[str, Any]:
        states = self.client("stepfunctions")
        arn = states.start_execution(stateMachineArn=self.machine, name="run", input="{}")["executionArn"]
        assert self.clock.wait_for(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        return dict(states.describe_execution(executionArn=arn))

    def is_enabled(self) -> bool:
        found = self.client("lambda").get_event_source_mapping(UUID=self.mapping)
        return bool(found["State"] in ("Enabled", "Enabling"))

    def waiting(self) -> list[str]:
        self.clock.sleep(60)
        answer = self.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
        return [message["Body"] for message in answer.get("Messages", [])]


@pytest.fixture
def sample() -> Iterator[Sample]:
    with ExitStack() as stack:
        stack.enter_context(unittest.mock.patch.dict("os.environ", {"AWS_REGION": REGION}))
        services: Any = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
        stack.enter_context(mock_aws(config=services))
        clock = stack.enter_context(SimulatedClock(datetime(2026, 3, 1, 12, 0, tzinfo=UTC)))
        cloud = EmulatedCloud(clock)
        stack.enter_context(put_right(cloud))
        stack.enter_context(unittest.mock.patch.object(string_expression, "extract_json", one_of_one))
        yield build(clock, cloud)


def build(clock: SimulatedClock, cloud: EmulatedCloud) -> Sample:
    iam, sqs, functions = (boto3.client(name, region_name=REGION) for name in ("iam", "sqs", "lambda"))
    role = iam.create_role(RoleName="all", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    queue = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    # moto hands over at once what is sent. Of the mappings only their states count, so they read from another queue.
    unused = sqs.create_queue(QueueName="unused")["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=unused, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    made = Sample(clock, cloud, queue, "", "", "", [])
    handlers = {
        "Target": made.target,
        "Rejitter": lambda event, context: None,
        "CallAws": load_function("call_aws").handler,
    }
    for name, handler in handlers.items():
        cloud.functions[name] = DeployedFunction(handler, 900)
        functions.create_function(
            FunctionName=name, Runtime="python3.13", Role=role, Handler="x.handler", Code={"ZipFile": b"x"}
        )
    made.mapping, made.rejitter_mapping = (
        functions.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=name, Enabled=on)["UUID"]
        for name, on in (("Target", True), ("Rejitter", False))
    )
    values = {
        "CallAwsFunctionArn": function_arn("CallAws"),
        "TargetFunctionName": "Target",
        "QueueUrl": queue,
        "MappingId": made.mapping,
        "RejitterMappingId": made.rejitter_mapping,
    }
    text = (REFERENCE / "statemachine.asl.json").read_text()
    definition = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], text)
    machine = boto3.client("stepfunctions", region_name=REGION).create_state_machine(
        name="Reference", definition=definition, roleArn=f"arn:aws:iam::{ACCOUNT}:role/all"
    )
    made.machine = machine["stateMachineArn"]
    return made


def test_outage_that_goes_on_is_probed_nine_times_with_one_message_and_leaves_the_mapping_disabled(
    sample: Sample,
) -> None:
    sample.send("first", "second")
    sample.answer = RuntimeError("down")
    ended = sample.run()
    assert ended["status"] == "FAILED"
    assert [wait.seconds for wait in sample.cloud.waits] == WAITS
    bodies = [event["Records"][0]["body"] for _, event in sample.events]
    assert len(bodies) == 9
    assert set(bodies) == {"first"}
    assert sample.events[-1][0] == pytest.approx(5110, abs=30)
    assert not sample.is_enabled()


def test_receive_that_finds_nothing_ends_the_execution_and_leaves_the_mapping_disabled(sample: Sample) -> None:
    ended = sample.run()
    assert ended["status"] == "FAILED"
    # moto has a name of its own for what is States.Runtime on AWS, and retries it there.
    assert "'$.Messages' could not be found" in ended["cause"]
    assert sample.events == []
    assert not sample.is_enabled()


def test_call_that_is_refused_ends_the_execution(sample: Sample) -> None:
    sample.send("first")
    sample.cloud.mapping_refusals.append(
        AwsError("ResourceInUseException", "Cannot update the event source mapping because it is in use.")
    )
    assert sample.run()["status"] == "FAILED"


def test_message_that_is_reported_as_failed_counts_as_processed_and_is_deleted(sample: Sample) -> None:
    sample.send("first")
    sample.answer = {"batchItemFailures": [{"itemIdentifier": "any"}]}
    assert sample.run()["status"] == "SUCCEEDED"
    assert sample.waiting() == []


def test_poison_message_keeps_a_healthy_target_from_being_found(sample: Sample) -> None:
    sample.send("poison", "good")

    def only_good(event: Any, context: Any) -> Any:
        sample.events.append((sample.clock.elapsed(), event))
        if event["Records"][0]["body"] == "poison":
            raise ValueError("poison")

    sample.cloud.functions["Target"].handler = only_good
    assert sample.run()["status"] == "FAILED"
    assert not sample.is_enabled()


def test_one_success_deletes_the_message_and_enables_whole_after_a_minute_of_rejitter(sample: Sample) -> None:
    sample.send("first", "second")
    assert sample.run()["status"] == "SUCCEEDED"
    changes = [(update.uuid, update.change["Enabled"]) for update in sample.cloud.mapping_updates]
    mapping, rejitter = sample.mapping, sample.rejitter_mapping
    assert changes == [(mapping, False), (rejitter, True), (rejitter, False), (mapping, True)]
    started, stopped = (update.at for update in sample.cloud.mapping_updates[1:3])
    assert stopped - started == pytest.approx(60, abs=2)
    assert sample.waiting() == ["second"]


def test_second_execution_is_excluded_by_nothing(sample: Sample) -> None:
    sample.send("first", "second")
    sample.answer = RuntimeError("down")
    states = sample.client("stepfunctions")
    first = states.start_execution(stateMachineArn=sample.machine, name="first", input="{}")["executionArn"]
    sample.clock.sleep(60)
    assert sample.run()["status"] == "FAILED"
    assert states.describe_execution(executionArn=first)["status"] == "FAILED"
    assert len(sample.events) == 18


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 60), (0.5, 119), (0.999999, 178)])
def test_rejitter_delays_by_60_to_178_seconds(chance: float, delay: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", REGION)
    assert load_function("rejitter").delay_seconds(chance, 60, 120) == delay


def test_rejitter_puts_back_the_body_alone_with_the_scaled_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_REGION": REGION, "QUEUE_URL": "q", "INITIAL_DELAY": "60", "JITTER_DELAY": "1", "SCALE": "10",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    function = load_function("rejitter")
    monkeypatch.setattr(function, "sqs", unittest.mock.Mock())
    function.handler({"Records": [{"body": "one", "messageAttributes": {"a": {}}}]}, None)
    function.sqs.send_message.assert_called_once_with(QueueUrl="q", MessageBody="one", DelaySeconds=6)


def test_machine_file_is_json_and_has_a_comment_everywhere() -> None:
    machine = json.loads((REFERENCE / "statemachine.asl.json").read_text())
    assert all(state["Comment"].endswith(".") for state in machine["States"].values())
