"""The state machine's own file, run in process with the real handlers.

A `World` holds one circuit's surroundings: queue, dead-letter queue, target, mapping, table, alarm, and the machine.
moto interprets the machine and emulates the services; `emulated_cloud` puts right where moto differs from AWS;
`simulated_clock` makes waiting free. The target is a Python callable that the test supplies.
"""

import importlib
import io
import itertools
import json
import logging
import os
import re
import secrets
import sys
import threading
import unittest.mock
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
from emulated_cloud import (
    ACCOUNT,
    REGION,
    AwsError,
    DeployedFunction,
    EmulatedCloud,
    FunctionTimedOut,
    LambdaContext,
    function_arn,
    put_right,
)
from moto import mock_aws
from moto.awslambda.utils import get_backend
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends
from savings import savings
from simulated_clock import SimulatedClock

from tests.schemas.schema_files import check_announcement

REPOSITORY = Path(__file__).resolve().parent.parent.parent
DEFINITION_FILE = REPOSITORY / "statemachine" / "circuit_breaker.asl.json"

# The machine of the release before, as executions that began under it go on with it.
FORMAT_1 = Path(__file__).resolve().parent / "releases" / "format_1.asl.json"

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CIRCUIT = "orders"
TARGET = "OrdersTarget"
TABLE = "CircuitTable"
MACHINE = "CircuitBreaker"
MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:{MACHINE}"
ALARM = "orders-error-rate"
STEP_TIMEOUT_SECONDS = 900

Behaviour = Callable[["World", dict[str, Any]], Any]
"""What the target does with an event: returns its answer or raises."""


def module_of(state: str) -> str:
    """Return the module that a state's function runs: `ProbeTarget` is `probe_target`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", state).lower()


# Behaviours of the target -------------------------------------------------------------------------------------------


def healthy(world: "World", event: dict[str, Any]) -> Any:
    """Process every message."""
    return {"batchItemFailures": []}


def failing(world: "World", event: dict[str, Any]) -> Any:
    """Raise, with what is secret in the error's text."""
    raise RuntimeError(f"the service behind the target is down, said the order {world.secret}")


def reporting_failures(world: "World", event: dict[str, Any]) -> Any:
    """Report every message as failed, as Powertools' batch processor can."""
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}


def timing_out(world: "World", event: dict[str, Any]) -> Any:
    """Run until Lambda stops it."""
    world.clock.sleep(world.cloud.functions[TARGET].timeout_seconds)
    raise FunctionTimedOut


def throttled(world: "World", event: dict[str, Any]) -> Any:
    """Be refused by Lambda before it runs."""
    raise AwsError("TooManyRequestsException", "Rate Exceeded.", status=429)


def after_failures(count: int, *, how: Behaviour | None = None) -> Behaviour:
    """Fail `count` times, then be healthy."""
    failures = iter(range(count))
    fail = how or failing

    def behave(world: "World", event: dict[str, Any]) -> Any:
        return fail(world, event) if next(failures, None) is not None else healthy(world, event)

    return behave


def until(seconds: float, *, how: Behaviour | None = None) -> Behaviour:
    """Fail until `seconds` after the world's start, then be healthy."""
    fail = how or failing

    def behave(world: "World", event: dict[str, Any]) -> Any:
        return fail(world, event) if world.clock.elapsed() < seconds else healthy(world, event)

    return behave


# What a test reads --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """A finished execution."""

    arn: str
    status: str
    output: Any
    error: str | None
    cause: str | None
    states: tuple[str, ...]
    history: Sequence[Mapping[str, Any]]

    def expect(self, status: str, *, last: str | None = None) -> "Ended":
        """Return itself when it ended so, else fail with its history."""
        assert self.status == status, f"ended {self.status}, expected {status}\n{self.story()}"
        assert last is None or self.states[-1] == last, f"ended in {self.states[-1]}, expected {last}\n{self.story()}"
        return self

    def count(self, state: str) -> int:
        """Return how often `state` was entered."""
        return self.states.count(state)

    def transitions(self) -> set[tuple[str, str]]:
        """Return every (state, next state) that was taken."""
        return set(itertools.pairwise(self.states))

    def without_repeats(self) -> list[str]:
        """Return the states in the order of their first visit."""
        return list(dict.fromkeys(self.states))

    def story(self) -> str:
        """Return the end of the history as text, for the message of a failed test."""
        lines = [f"{self.arn} {self.status} {self.error or ''} {self.cause or ''}"]
        for event in self.history[-80:]:
            details = next((value for key, value in event.items() if key.endswith("Details")), {})
            short = {key: str(value)[:300] for key, value in details.items() if not key.endswith("Details")}
            lines.append(f"  {event['id']:>4} {str(event['timestamp'])[11:19]} {event['type']} {short or ''}")
        return "\n".join(lines)


@dataclass(frozen=True)
class QueuedMessage:
    """A message as it lies in a queue, hidden or not."""

    message_id: str
    order_id: str
    body: str
    attributes: Mapping[str, Any]
    receive_count: int
    hidden: bool
    delayed: bool
    group: str | None


class StepBroken(Exception):
    """What a step raises that the test has broken."""


@dataclass
class Target:
    """The protected function.

    Attributes
    ----------
    behaviour
        What it does now.
    received
        Every event it was given.
    processed
        Ids of the orders it processed, in order, with repeats.
    """

    behaviour: Behaviour = healthy
    received: list[dict[str, Any]] = field(default_factory=list)
    processed: list[str] = field(default_factory=list)


class World:
    """One circuit and its surroundings, in an emulated cloud. Use `build_world`, not the constructor."""

    def __init__(self, clock: SimulatedClock, cloud: EmulatedCloud, output: io.StringIO) -> None:
        self.clock = clock
        self.cloud = cloud
        self.target = Target()
        self.sent: list[str] = []
        self.started: list[str] = []
        self.queue_url = ""
        self.queue_arn = ""
        self.dead_letter_queue_arn = ""
        self.mapping_id = ""
        self.answers: list[dict[str, Any]] = []
        self.event_counts = False  # True where the mapping publishes EventCount metrics
        self.secret = secrets.token_hex(8)
        self._output = output

    # Building -------------------------------------------------------------------------------------------------------

    def create(
        self,
        *,
        definition: Mapping[str, Any],
        max_receive_count: int = 5,
        visibility_timeout: int = 180,
        partial_batch_response: bool = True,
        target_timeout: int = 30,
        fifo: bool = False,
        filters: Sequence[Mapping[str, Any]] = (),
        alarm_stays: bool = False,
        steps: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        """Create everything but the circuit's registration."""
        suffix = ".fifo" if fifo else ""
        fifo_attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"} if fifo else {}
        dead = client("sqs").create_queue(QueueName=f"orders-dead{suffix}", Attributes=fifo_attributes)["QueueUrl"]
        self.dead_letter_queue_arn = self._queue_arn(dead)
        redrive = {"deadLetterTargetArn": self.dead_letter_queue_arn, "maxReceiveCount": max_receive_count}
        self.queue_url = client("sqs").create_queue(
            QueueName=f"orders{suffix}",
            Attributes={
                "VisibilityTimeout": str(visibility_timeout),
                "RedrivePolicy": json.dumps(redrive),
                **fifo_attributes,
            },
        )["QueueUrl"]
        self.queue_arn = self._queue_arn(self.queue_url)
        self._filters = filters
        self._create_target(target_timeout)
        self.mapping_id = client("lambda").create_event_source_mapping(
            FunctionName=TARGET,
            EventSourceArn=self.queue_arn,
            BatchSize=10,
            Enabled=True,
            **({"FunctionResponseTypes": ["ReportBatchItemFailures"]} if partial_batch_response else {}),
            **({"FilterCriteria": {"Filters": [{"Pattern": json.dumps(each)} for each in filters]}} if filters else {}),
        )["UUID"]
        # moto would push each message into the target as it is sent. Here the test says when Lambda polls.
        self._moto_queue(self.queue_arn).lambda_event_source_mappings.clear()
        self._create_table()
        client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            Namespace="AWS/Lambda",
            MetricName="Errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        self.set_alarm("ALARM")
        self._alarm_stays = alarm_stays
        if not alarm_stays:
            # Nothing is invoked any more, and missing data is not breaching.
            self.cloud.when_disabled = lambda: self.set_alarm_later("OK", 1)
        self.deploy_machine(definition, steps or {})

    def deploy_machine(self, definition: Mapping[str, Any], steps: Mapping[str, Callable[..., Any]]) -> None:
        """Create the machine, and a function for every Task: the real handler, or the one in `steps`."""
        for name in substitutions(definition):
            state = name.removesuffix("FunctionArn")
            handler = steps.get(state) or _handler_of(module_of(state))
            self.cloud.functions[f"{state}Function"] = DeployedFunction(handler, STEP_TIMEOUT_SECONDS)
        client("stepfunctions").create_state_machine(
            name=MACHINE,
            definition=substitute(definition),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
            type="STANDARD",
        )

    def register(self, request: str = "Create", **settings: Any) -> dict[str, Any]:
        """Register the circuit through the custom resource's handler; return the answer it PUT to CloudFormation."""
        properties = {
            "ServiceToken": function_arn("RegisterCircuitFunction"),
            "CircuitName": CIRCUIT,
            "TargetFunction": TARGET,
            "QueueArn": self.queue_arn,
            "MappingId": self.mapping_id,
            "AlarmNames": [ALARM],
            "ProbeJitterPercent": 0,
        } | settings
        answer = self._ask("RegisterCircuit", "Circuit", properties, request)
        self.answers.append(answer)
        return answer

    def find_pipeline(self, request: str = "Create", **named: Any) -> dict[str, Any]:
        """Have the custom resource's handler find the pipeline; return the answer it PUT to CloudFormation."""
        properties = {
            "ServiceToken": function_arn("FindPipelineFunction"),
            "TargetFunction": TARGET,
            "QueueArn": self.queue_arn,
        } | named
        return self._ask("FindPipeline", "Pipeline", properties, request)

    def _ask(self, task: str, logical_id: str, properties: dict[str, Any], request: str) -> dict[str, Any]:
        with _response_receiver() as (url, answers):
            event = {
                "RequestType": request,
                "ResponseURL": url,
                "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/orders/1",
                "RequestId": f"request-{len(self.answers)}",
                "ResourceType": "AWS::CloudFormation::CustomResource",
                "LogicalResourceId": logical_id,
                # CloudFormation hands every value over as a string, and lists as lists of strings.
                "ResourceProperties": {name: _as_cloudformation_does(value) for name, value in properties.items()},
            }
            if request != "Create":
                event["PhysicalResourceId"] = self.answers[-1]["PhysicalResourceId"]
                event["OldResourceProperties"] = event["ResourceProperties"]
            function = f"{task}Function"
            if function not in self.cloud.functions:
                self.cloud.functions[function] = DeployedFunction(_handler_of(module_of(task)), STEP_TIMEOUT_SECONDS)
            self.invoke(function, event)
        assert len(answers) == 1, f"CloudFormation waits for one answer and got {len(answers)}: {self.log_text()}"
        return answers[0]

    # Acting ---------------------------------------------------------------------------------------------------------

    def invoke(self, function: str, event: Any) -> Any:
        """Invoke a function as Lambda does and return its parsed answer."""
        answer = client("lambda").invoke(FunctionName=function, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def send(self, count: int = 1, *, delay: int = 0, group: str | None = None, **attributes: str) -> list[str]:
        """Send `count` orders, each with what is secret in its body and in an attribute, and return their ids."""
        ids = [f"order-{len(self.sent) + n}" for n in range(count)]
        for order_id in ids:
            body = {"order_id": order_id, "note": self.secret}
            named = {"channel": "web", "token": self.secret, **attributes}
            client("sqs").send_message(
                QueueUrl=self.queue_url,
                MessageBody=json.dumps(body),
                MessageAttributes={name: {"DataType": "String", "StringValue": value} for name, value in named.items()},
                **({"DelaySeconds": delay} if delay else {}),
                **({"MessageGroupId": group} if group else {}),
            )
        self.sent += ids
        return ids

    def hide(self, count: int, seconds: int) -> None:
        """Receive `count` messages and leave them in flight for `seconds`, as a poller that was cut off does."""
        received = client("sqs").receive_message(
            QueueUrl=self.queue_url, MaxNumberOfMessages=count, VisibilityTimeout=seconds
        )["Messages"]
        assert len(received) == count, f"only {len(received)} of {count} messages were visible"

    def dead_letter_the_queue(self) -> None:
        """Receive what is visible until SQS has moved it to the dead-letter queue, as the target's failures would."""
        while (
            client("sqs")
            .receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, VisibilityTimeout=0)
            .get("Messages")
        ):
            pass

    def send_to_the_dead_letter_queue(self) -> None:
        """Send a message there that never was in the circuit's queue, as anybody may."""
        url = client("sqs").get_queue_url(QueueName=self.dead_letter_queue_arn.rpartition(":")[2])["QueueUrl"]
        client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps({"order_id": "never-queued"}))

    def count_dead_letters(self, count: int) -> None:
        """Have CloudWatch see how many messages the dead-letter queue has now."""
        name = self.dead_letter_queue_arn.rpartition(":")[2]
        self._publish("AWS/SQS", {"QueueName": name}, {"ApproximateNumberOfMessagesVisible": count})

    def mapping_settles(self, *, after: float) -> None:
        """Have every change of the mapping take `after` seconds from now on."""
        self.cloud.mapping_settles_after = after

    def set_alarm(self, value: str) -> None:
        """Put the alarm into a state."""
        client("cloudwatch").set_alarm_state(AlarmName=ALARM, StateValue=value, StateReason="by the test")

    def set_alarm_later(self, value: str, seconds: float) -> None:
        """Put the alarm into a state, `seconds` from now."""
        self.clock.after(seconds, lambda: self.set_alarm(value))

    def alarm_event(self, value: str = "ALARM", *, alarm: str = ALARM) -> dict[str, Any]:
        """Return the event that CloudWatch sends when an alarm changes its state."""
        return {
            "version": "0",
            "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": ACCOUNT,
            "time": self.clock.now().isoformat(timespec="seconds").replace("+00:00", "Z"),
            "region": REGION,
            "resources": [f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:{alarm}"],
            "detail": {
                "alarmName": alarm,
                "state": {"value": value, "reason": "Threshold Crossed", "timestamp": "2026-03-01T12:00:00.000+0000"},
                "previousState": {"value": "OK", "reason": "ok", "timestamp": "2026-03-01T11:00:00.000+0000"},
                "configuration": {"metrics": []},
            },
        }

    def custom_event(self, *, age_seconds: float = 0, circuit: str = CIRCUIT) -> dict[str, Any]:
        """Return the event by which code asks for a circuit to be opened."""
        at = self.clock.now() - timedelta(seconds=age_seconds)
        return {
            "version": "0",
            "id": "2b1f9bd2-0000-0000-0000-000000000000",
            "detail-type": "Circuit Trip Requested",
            "source": "shop.payments",
            "account": ACCOUNT,
            "time": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            "region": REGION,
            "resources": [],
            "detail": {"circuit": circuit, "reason": "payments are down"},
        }

    def start(self, document: Any = None) -> str:
        """Start an execution, with the alarm's event unless told otherwise; return its ARN."""
        if document is None:
            document = {"circuit": CIRCUIT, "cause": self.alarm_event()}
            self.set_alarm("ALARM")
            if not self._alarm_stays and self.mapping_state() != "Enabled":
                self.set_alarm_later("OK", 10)
        arn: str = client("stepfunctions").start_execution(
            stateMachineArn=MACHINE_ARN, name=f"execution-{len(self.started)}", input=json.dumps(document)
        )["executionArn"]
        self.started.append(arn)
        return arn

    def finish(self, arn: str | None = None) -> Ended:
        """Let time pass until an execution ends, the last one started unless told otherwise."""
        arn = arn or self.started[-1]
        if not self.clock.wait_for(lambda: self.status(arn) != "RUNNING"):
            raise AssertionError(f"the execution did not end\n{self.ended(arn).story()}")
        ended = self.ended(arn)
        assert not self.cloud.faults, f"not possible on AWS: {self.cloud.faults}\n{ended.story()}"
        assert ended.error != "States.Runtime", f"States.Runtime cannot be caught on AWS\n{ended.story()}"
        return ended

    def run(self, document: Any = None) -> Ended:
        """Start an execution and let time pass until it ends."""
        return self.finish(self.start(document))

    def break_step(self, state: str, *, times: int = 1_000_000, after_its_work: bool = False) -> None:
        """Have a step's function raise, before its work or, so that only its answer is lost, after it."""
        function = self.cloud.functions[f"{state}Function"]
        work, left = function.handler, iter(range(times))

        def broken(event: Any, context: LambdaContext) -> Any:
            breaks = next(left, None) is not None
            if breaks and not after_its_work:
                raise StepBroken("before its work")
            answer = work(event, context)
            if breaks:
                raise StepBroken("after its work")
            return answer

        self.cloud.functions[f"{state}Function"] = replace(function, handler=broken)

    def add_step(self, state: str) -> None:
        """Deploy the function of one more step."""
        self.cloud.functions[f"{state}Function"] = DeployedFunction(_handler_of(module_of(state)), STEP_TIMEOUT_SECONDS)

    def stop_in(self, state: str, *, visit: int = 1) -> None:
        """Stop the execution when a step has done its work, as if a person did."""
        name = f"{state}Function"
        function = self.cloud.functions[name]
        visits = iter(range(1, visit + 1))

        def stopping(event: Any, context: LambdaContext) -> Any:
            answer = function.handler(event, context)
            if next(visits, None) == visit:
                client("stepfunctions").stop_execution(executionArn=event["execution"])
            return answer

        self.cloud.functions[name] = replace(function, handler=stopping)

    def mend_step(self, state: str) -> None:
        """Have a step's function work again."""
        name = f"{state}Function"
        self.cloud.functions[name] = replace(self.cloud.functions[name], handler=_handler_of(module_of(state)))

    def lose_first_switches(self) -> None:
        """Have the first request to disable the mapping, and the first to enable it, come to nothing."""

        def lose_once() -> Callable[[], object]:
            first = iter([True])
            return lambda: next(first, False) and self.cloud.undo_last_switch(self.mapping_id)

        self.cloud.when_disabled, self.cloud.when_enabled = lose_once(), lose_once()

    def notify(self) -> None:
        """Give the breaker a topic to notify."""
        os.environ["NOTIFICATION_TOPIC"] = client("sns").create_topic(Name="told")["TopicArn"]

    def provision_pollers(self) -> None:
        """Put the mapping into provisioned mode."""
        self.cloud.provisioned[self.mapping_id] = {"MinimumPollers": 2, "MaximumPollers": 20}

    def set_mapping(self, *, enabled: bool) -> None:
        """Enable or disable the mapping, as a person or a deployment does."""
        client("lambda").update_event_source_mapping(UUID=self.mapping_id, Enabled=enabled)

    def count_calls(self, calls: int, *, failed: int = 0, began: datetime | None = None) -> None:
        """Have CloudWatch count calls of the target that began now, beside those that the target gets here."""
        counted = {"Invocations": calls, "Errors": failed}
        self._publish("AWS/Lambda", {"FunctionName": TARGET}, counted, at=began)

    def count_durations(self, seconds: float, calls: int) -> None:
        """Have CloudWatch see how long calls of the target took that began now, and that none of them failed."""
        self.count_calls(calls)
        for _ in range(calls):
            self._publish("AWS/Lambda", {"FunctionName": TARGET}, {"Duration": seconds * 1000})

    def count_messages(self, messages: int, *, failed: int = 0) -> None:
        """Have CloudWatch count messages of the mapping, as it does where the mapping publishes EventCount metrics."""
        self._publish(
            "AWS/Lambda",
            {"EventSourceMappingUUID": self.mapping_id},
            {"InvokedEventCount": messages, "FailedInvokeEventCount": failed},
        )

    def count_processed(self, messages: int) -> None:
        """Have CloudWatch count messages that were deleted from the queue now, which it does not by itself here."""
        name = self.queue_arn.rpartition(":")[2]
        self._publish("AWS/SQS", {"QueueName": name}, {"NumberOfMessagesDeleted": messages})

    def age_oldest_message(self, seconds: float) -> None:
        """Have CloudWatch see how old the queue's oldest message is."""
        name = self.queue_arn.rpartition(":")[2]
        self._publish("AWS/SQS", {"QueueName": name}, {"ApproximateAgeOfOldestMessage": seconds})

    def _publish(
        self, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, float], *, at: datetime | None = None
    ) -> None:
        client("cloudwatch").put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    "Timestamp": at or self.clock.now(),
                    "Value": value,
                }
                for name, value in values.items()
            ],
        )

    def poll_every(self, seconds: float) -> None:
        """Have Lambda poll from now on, while the mapping is enabled."""

        def again() -> None:
            self.poll()
            self.clock.after(seconds, again)

        self.clock.after(seconds, again)

    def fail_recoveries(self, times: int, *, after: float = 75) -> None:
        """Have the calls of the first `times` recoveries fail, as CloudWatch sees them.

        `after`: seconds from the request to enable to a moment within the first whole metric period.
        """
        left = iter(range(times))

        def enabled() -> None:
            if next(left, None) is not None:
                self.clock.after(after, lambda: self.count_calls(10, failed=10))

        self.cloud.when_enabled = enabled

    def reconcile(self, event: dict[str, Any] | None = None) -> Any:
        """Run the reconciler once, as its schedule does, and return what it found."""
        if "ReconcileCircuitsFunction" not in self.cloud.functions:
            self.cloud.functions["ReconcileCircuitsFunction"] = DeployedFunction(
                _handler_of("reconcile_circuits"), STEP_TIMEOUT_SECONDS
            )
        return self.invoke("ReconcileCircuitsFunction", event or {"source": "aws.events"})

    def show_circuits(self) -> str:
        """Return the dashboard's widget."""
        if "ShowCircuitsFunction" not in self.cloud.functions:
            self.cloud.functions["ShowCircuitsFunction"] = DeployedFunction(
                _handler_of("show_circuits"), STEP_TIMEOUT_SECONDS
            )
        return str(self.invoke("ShowCircuitsFunction", {"widgetContext": {"theme": "light"}}))

    def reconcile_every(self, seconds: float) -> None:
        """Run the reconciler on a schedule from now on."""

        def again() -> None:
            self.reconcile()
            self.clock.after(seconds, again)

        self.clock.after(seconds, again)

    def stop(self, arn: str | None = None) -> None:
        """Stop an execution, as a person does; the last one started unless told otherwise."""
        client("stepfunctions").stop_execution(executionArn=arn or self.started[-1])
        assert self.clock.wait_for(lambda: self.status(arn or self.started[-1]) != "RUNNING")

    def poll(self, *, batches: int = 1) -> None:
        """Receive, invoke and delete as Lambda's poller does, while the mapping is enabled."""
        for _ in range(batches):
            if self.mapping_state() != "Enabled":
                return
            messages = (
                client("sqs")
                .receive_message(
                    QueueUrl=self.queue_url,
                    MaxNumberOfMessages=10,
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
                .get("Messages", [])
            )
            if not messages:
                return
            records = [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "body": message["Body"],
                    "attributes": message["Attributes"],
                    "messageAttributes": {},
                    "md5OfBody": message["MD5OfBody"],
                    "eventSource": "aws:sqs",
                    "eventSourceARN": self.queue_arn,
                    "awsRegion": REGION,
                }
                for message in messages
            ]
            passing = [record for record in records if self._passes_the_filters(record)]
            kept = self._hand_over(passing) if passing else set()
            for message in messages:
                if message["MessageId"] not in kept:
                    client("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def _hand_over(self, records: list[dict[str, Any]]) -> set[str]:
        """Invoke the target with a batch, and return the ids of the messages that stay in the queue."""
        answer = client("lambda").invoke(FunctionName=TARGET, Payload=json.dumps({"Records": records}).encode())
        kept = {record["messageId"] for record in records}
        if "FunctionError" not in answer:
            failures = json.loads(answer["Payload"].read() or "null") or {}
            kept &= {failure["itemIdentifier"] for failure in failures.get("batchItemFailures", [])}
        if self.event_counts:
            self.count_messages(len(records), failed=len(kept))
        return kept

    def _passes_the_filters(self, record: Mapping[str, Any]) -> bool:
        """Return whether the mapping hands a message over. Knows exact values of the body's own fields only."""
        body = json.loads(record["body"])
        return not self._filters or any(
            all(body.get(field) in values for field, values in each["body"].items()) for each in self._filters
        )

    def drain(self, *, seconds: float = 13 * 3600, step: float = 300) -> None:
        """Let Lambda poll until the queue is empty, for at most `seconds`."""
        passed = 0.0
        while self.queued() and passed < seconds:
            self.poll(batches=20)
            self.clock.sleep(step)
            passed += step

    # Seeing ---------------------------------------------------------------------------------------------------------

    def status(self, arn: str) -> str:
        """Return the status of an execution."""
        return str(_execution(arn).status)

    def ended(self, arn: str) -> Ended:
        """Return what an execution did up to now."""
        described = client("stepfunctions").describe_execution(executionArn=arn)
        history = _execution(arn).to_history_output()["events"]  # the API would take longer than the path
        entered = tuple(
            event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event
        )
        return Ended(
            arn=arn,
            status=described["status"],
            output=json.loads(described["output"]) if "output" in described else None,
            error=described.get("error"),
            cause=described.get("cause"),
            states=entered,
            history=history,
        )

    def executions(self) -> list[str]:
        """Return the ARN of every execution, oldest first, those that the machine started itself included."""
        # Looked up again and again while time passes: the API would take a tenth of a path.
        machine = stepfunctions_parser_backends[ACCOUNT][REGION].describe_state_machine(MACHINE_ARN)
        oldest_first = sorted(machine.executions, key=lambda execution: execution.start_date)
        return [execution.execution_arn for execution in oldest_first]

    def mapping_state(self) -> str:
        """Return the mapping's state."""
        # Looked up with each poll: the API would take a tenth of a path.
        return self.cloud.mapping_state(get_backend(ACCOUNT, REGION).get_event_source_mapping(self.mapping_id))

    def mapping_changes(self) -> list[bool | None]:
        """Return the accepted changes of `Enabled`, in order."""
        return [update.change.get("Enabled") for update in self.cloud.mapping_updates]

    def failed_steps(self) -> list[tuple[str, str]]:
        """Return (function, error name) of every invocation that ended in an error, in order."""
        return self.cloud.failures

    def waits(self, *states: str) -> list[float]:
        """Return how long each visit to Wait states took, in seconds; to those before probes unless told otherwise."""
        states = states or ("WaitBeforeFirstProbe", "WaitBeforeProbe")
        return [wait.seconds for wait in self.cloud.waits if wait.state in states]

    def target_first_received_at(self) -> float:
        """Return the seconds from the start to the target's first invocation."""
        return next(invocation.at for invocation in self.cloud.invocations if invocation.function == TARGET)

    def queued(self, arn: str | None = None) -> list[QueuedMessage]:
        """Return every message of a queue, hidden and delayed ones too; of the circuit's unless told otherwise."""
        return [
            QueuedMessage(
                message_id=message.id,
                order_id=json.loads(message.body)["order_id"],
                body=message.body,
                attributes=message.message_attributes,
                receive_count=message.approximate_receive_count,
                hidden=not message.visible,
                delayed=message.delayed,
                group=message.group_id,
            )
            for message in self._moto_queue(arn or self.queue_arn)._messages
        ]

    def dead_lettered(self) -> list[QueuedMessage]:
        """Return every message of the dead-letter queue."""
        return self.queued(self.dead_letter_queue_arn)

    def lost(self) -> set[str]:
        """Return the orders that are neither processed nor in a queue."""
        kept = {message.order_id for message in self.queued() + self.dead_lettered()}
        return set(self.sent) - set(self.target.processed) - kept

    def exposed(self) -> list[str]:
        """Return where what is secret can be read; the stored contents of held messages may hold it."""
        places: dict[str, Any] = {
            "a log line": self.log_text(),
            "an event": self.cloud.events,
            "a notification": self.notifications(),
            "an item of the table": [item for item in self.items() if not item["sk"].startswith("CONTENT#")],
        }
        for arn in self.executions():
            described = client("stepfunctions").describe_execution(executionArn=arn)
            places[f"the input, output or error of {arn}"] = described
            places[f"the history of {arn}"] = self.ended(arn).history
        return [place for place, content in places.items() if self.secret in json.dumps(content, default=str)]

    def notifications(self) -> list[Any]:
        """Return everything that was published to a topic."""
        return [told for topic in sns_backends[ACCOUNT][REGION].topics.values() for told in topic.sent_notifications]

    def record(self) -> dict[str, Any]:
        """Return the circuit's record, with plain Python values."""
        return next(item for item in self.items() if item["sk"] == "CIRCUIT" and item["pk"] == f"CIRCUIT#{CIRCUIT}")

    def items(self) -> list[dict[str, Any]]:
        """Return every item of the table, with plain Python values."""
        deserialize = boto3.dynamodb.types.TypeDeserializer().deserialize
        scanned = client("dynamodb").scan(TableName=TABLE)["Items"]
        return [{name: deserialize(value) for name, value in item.items()} for item in scanned]

    def held_items(self) -> list[dict[str, Any]]:
        """Return the items of held messages, their contents included."""
        return [item for item in self.items() if item["sk"].startswith(("HELD#", "CONTENT#"))]

    def announced(self) -> list[str]:
        """Return the `change` of every event of this breaker on the bus, in order."""
        return [detail["change"] for detail in self.announcements()]

    def announcements(self) -> list[dict[str, Any]]:
        """Return the detail of every event of this breaker on the bus, in order."""
        return [
            json.loads(event["Detail"])
            for event in self.cloud.events
            if event["Source"] == "sqs-circuit-breaker" and event["DetailType"] == "Circuit State Change"
        ]

    def log_text(self) -> str:
        """Return all that the functions printed, and what the Lambda runtime prints for an exception."""
        return self._output.getvalue() + "\n".join(self.cloud.runtime_log)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the functions' structured log lines; metrics are lines with `_aws`."""
        lines = []
        for line in self._output.getvalue().splitlines():
            try:
                parsed = json.loads(line)
            except ValueError:
                continue
            if isinstance(parsed, dict):
                lines.append(parsed)
        return lines

    # ----------------------------------------------------------------------------------------------------------------

    def _create_target(self, timeout: int) -> None:
        package = io.BytesIO()
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("target.py", "")
        client("lambda").create_function(
            FunctionName=TARGET,
            Runtime="python3.13",
            Handler="target.handler",
            Role=client("iam").create_role(RoleName="target", AssumeRolePolicyDocument="{}")["Role"]["Arn"],
            Code={"ZipFile": package.getvalue()},
            Timeout=timeout,
        )
        self.cloud.others_functions.add(TARGET)
        self.cloud.functions[TARGET] = DeployedFunction(self._run_target, timeout)

    def _run_target(self, event: dict[str, Any], context: LambdaContext) -> Any:
        self.target.received.append(event)
        # Lambda counts a call, a probe's too, in the minute in which it began, and an error of it there as well.
        began = self.clock.now()
        try:
            answer = self.target.behaviour(self, event)
        except AwsError:
            raise  # refused, so it was no call
        except Exception:
            self.count_calls(1, failed=1, began=began)
            raise
        self.count_calls(1, began=began)
        failed = set()
        if isinstance(answer, dict):
            failed = {failure.get("itemIdentifier") for failure in answer.get("batchItemFailures") or []}
        self.target.processed += [
            json.loads(record["body"])["order_id"] for record in event["Records"] if record["messageId"] not in failed
        ]
        return answer

    def _create_table(self) -> None:
        client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )

    def _queue_arn(self, url: str) -> str:
        answer = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _moto_queue(self, arn: str) -> Any:
        return sqs_backends[ACCOUNT][REGION].queues[arn.rsplit(":", 1)[-1]]


@contextmanager
def build_world(
    *,
    definition: Mapping[str, Any] | None = None,
    steps: Mapping[str, Callable[..., Any]] | None = None,
    **surroundings: Any,
) -> Iterator[World]:
    """Yield a world with everything created and nothing registered; stop what still runs in it at the end."""
    environment = {
        "CIRCUIT_TABLE": TABLE,
        "STATE_MACHINE_ARN": MACHINE_ARN,
        "NOTIFICATION_TOPIC": "",
        "MOTO_ALLOW_NONEXISTENT_REGION": "false",
    }
    services = {"stepfunctions": {"execute_state_machine": True}, "lambda": {"use_docker": False}}
    output = io.StringIO()
    with ExitStack() as stack:
        stack.enter_context(unittest.mock.patch.dict(os.environ, environment))
        stack.enter_context(savings())
        stack.enter_context(mock_aws(config=services))  # type: ignore[arg-type]
        clock = stack.enter_context(SimulatedClock(START))
        # The real monotonic clock stands still beside this one.
        stack.enter_context(unittest.mock.patch("breaker.clock.monotonic", side_effect=lambda: clock.now().timestamp()))
        cloud = EmulatedCloud(clock)
        stack.enter_context(put_right(cloud))
        world = World(clock, cloud, output)
        world.create(definition=definition or machine_definition(), steps=steps, **surroundings)
        stack.enter_context(unittest.mock.patch.object(sys, "stdout", output))
        stack.enter_context(_loggers_print_to(output))
        try:
            yield world
            for detail in world.announcements():
                check_announcement(detail)
        finally:
            clock.forget_actions()  # or they would go on in the next world
            clock.sleep(1)  # until every execution waits: moto cannot stop one that is just starting
            for arn in world.executions():
                if world.status(arn) == "RUNNING":
                    client("stepfunctions").stop_execution(executionArn=arn)
            clock.wait_for(lambda: all(world.status(arn) != "RUNNING" for arn in world.executions()))


def in_format_1(load_circuit: DeployedFunction) -> DeployedFunction:
    """Return LoadCircuit as the release before had it: it wrote the format before, without the settings of today."""
    unknown = {
        "RampConcurrency",
        "HealthPeriods",
        "MetricPeriodSeconds",
        "MetricDelaySeconds",
        "ErrorRatePercent",
        "MinimumInvocations",
        "Redrive",
        "RedrivePerSecond",
        "SlowTargetSeconds",
        "AlarmNames",
    }
    later = {"filters", "visibility_timeout_seconds", "dead_letter_queue_arn", "dead_letter_queue_url"}

    def handler(event: Any, context: LambdaContext) -> Any:
        document = load_circuit.handler(event, context)
        circuit = document["circuit"]
        settings = {name: value for name, value in circuit["settings"].items() if name not in unknown}
        settings["AlarmName"] = circuit["settings"]["AlarmNames"][0]
        older = {name: circuit[name] for name in circuit if name not in later}
        return document | {"format": 1, "circuit": older | {"settings": settings}}

    return DeployedFunction(handler, load_circuit.timeout_seconds)


def machine_definition() -> dict[str, Any]:
    """Return the product's state machine, before substitution."""
    definition = json.loads(DEFINITION_FILE.read_text())
    assert isinstance(definition, dict)
    return definition


def substitutions(definition: Mapping[str, Any]) -> list[str]:
    """Return the names of the `${...}` of a definition, in order, once each."""
    return list(dict.fromkeys(re.findall(r"\$\{(\w+)\}", json.dumps(definition))))


def substitute(definition: Mapping[str, Any]) -> str:
    """Return the definition as the deployment makes it: every `${<State>FunctionArn}` is its function's ARN."""
    text = json.dumps(definition)
    for name in substitutions(definition):
        assert name.endswith("FunctionArn"), f"the harness knows no value for ${{{name}}}"
        text = text.replace(f"${{{name}}}", function_arn(name.removesuffix("Arn")))
    return text


@cache
def client(service: str) -> Any:
    """Return the harness's own client for a service."""
    return boto3.client(service, region_name=REGION)  # type: ignore[call-overload]


def _execution(arn: str) -> Any:
    return stepfunctions_parser_backends[ACCOUNT][REGION].describe_execution(arn)


def _handler_of(module: str) -> Callable[..., Any]:
    importlib.import_module(module)

    def handler(event: Any, context: LambdaContext) -> Any:
        return importlib.import_module(module).handler(event, context)

    return handler


def _as_cloudformation_does(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_cloudformation_does(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


@contextmanager
def _loggers_print_to(output: io.StringIO) -> Iterator[None]:
    """Point the stream of every logger that exists at `output`: Powertools keeps the stdout of its import."""
    loggers = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    streams = [
        (handler, handler.stream)
        for logger in loggers
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler)
    ]
    for handler, _ in streams:
        handler.setStream(output)
    try:
        yield
    finally:
        for handler, stream in streams:
            handler.setStream(stream)


@contextmanager
def _response_receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Listen, as CloudFormation's pre-signed URL does, for the PUT that ends a custom resource's request."""
    answers: list[dict[str, Any]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/response?signature=1", answers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
