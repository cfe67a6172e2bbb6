"""One circuit's surroundings in moto, for a handler to run in: queue, target, mapping, table, alarm, execution.

Time is the world's own and moves only when a test, or a handler that waits, moves it. Nothing polls the queue: what a
handler does to it stays to be seen.
"""

import base64
import importlib
import io
import json
import logging
import sys
import unittest.mock
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

import boto3
from boto3.dynamodb.types import TypeDeserializer
from botocore.client import BaseClient
from moto import mock_aws
from moto.awslambda.models import EventSourceMapping
from moto.awslambda.utils import get_backend as lambda_backend
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core import models, serialize
from moto.core.exceptions import JsonRESTError
from moto.events.models import EventsBackend
from moto.sqs import models as sqs_models
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from savings import savings

from breaker import clients, clock
from breaker.circuit_table import CircuitTable, Record
from breaker.holding import HeldMessage
from tests.dead_letters import sources_told
from tests.schemas.schema_files import check_announcement

ACCOUNT = "123456789012"
REGION = "us-east-1"
START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TABLE = "circuits"
LEDGER = "ledger"
TARGET = "orders-target"
QUEUE = "orders"
ALARM = "orders-error-rate"
CIRCUIT = "orders"
MACHINE_ARN = f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:CircuitBreaker"
STACK_ID = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/shop/11111111-2222-3333-4444-555555555555"
TWELVE_HOURS = 43_200
DYNAMODB_TYPES = {"S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL"}

Target = Callable[[dict[str, Any]], Any]
"""What the target does with an event: returns its answer or raises."""


class TargetTimedOut(Exception):
    """Raised by a target to say that Lambda stopped it at its timeout."""


class LambdaRefusal(JsonRESTError):
    """Raised by a target to say that Lambda refused to invoke it."""

    def __init__(self, code: str, *, status: int = 400) -> None:
        super().__init__(code, f"refused with {code}")
        self.code = status


@dataclass(frozen=True)
class Context:
    """What Lambda tells a handler about its invocation."""

    remaining_seconds: Callable[[], float] = lambda: 900
    function_name: str = "step"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:step"
    aws_request_id: str = "9f4b0b1e-0000-4000-8000-000000000001"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return int(self.remaining_seconds() * 1000)


def processing(event: dict[str, Any]) -> dict[str, Any]:
    """Process everything."""
    return {"batchItemFailures": []}


def failing(event: dict[str, Any]) -> Any:
    """Raise, as if the service behind the target were down."""
    raise RuntimeError("the service does not answer")


def reporting_failures(event: dict[str, Any]) -> dict[str, Any]:
    """Report every message as failed."""
    return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}


class World:
    """The surroundings of the circuit `orders`.

    Attributes
    ----------
    now
        The time, for the handlers and for the queue.
    target
        What the protected function does.
    invocations
        The events it was invoked with, and the function's name as it was given.
    mapping_state
        A state that Lambda shows instead of Enabled or Disabled, None for those two.
    events
        Details of the events put on the default bus.
    """

    def __init__(self) -> None:
        self.now = START
        self.target: Target = processing
        self.invocations: list[tuple[str, dict[str, Any]]] = []
        self.mapping_state: str | None = None
        self.events: list[dict[str, Any]] = []
        self.refusals: list[Any] = []

    # Making it

    def build(
        self,
        *,
        max_receive_count: int | None = 5,
        fifo: bool = False,
        alias: str | None = None,
        target_timeout: int = 30,
        response_types: tuple[str, ...] = ("ReportBatchItemFailures",),
        **queue_attributes: str,
    ) -> None:
        """Create the pipeline, the alarm, the table and the state machine."""
        trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}
        _iam().create_role(RoleName="target", AssumeRolePolicyDocument=json.dumps(trust))
        self.sqs, self.lambda_, self.dynamodb = clients.sqs(), clients.lambda_control(), clients.dynamodb()
        self.cloudwatch, self.stepfunctions = clients.cloudwatch(), clients.stepfunctions()
        self.dlq_url = self.make_queue("orders-dlq" + (".fifo" if fifo else ""))
        redrive = {"deadLetterTargetArn": self.arn_of(self.dlq_url), "maxReceiveCount": str(max_receive_count)}
        self.queue_url = self.make_queue(
            QUEUE + (".fifo" if fifo else ""),
            VisibilityTimeout="180",
            **({"RedrivePolicy": json.dumps(redrive)} if max_receive_count else {}),
            **queue_attributes,
        )
        self.queue_arn = self.arn_of(self.queue_url)
        self.target_arn = self.make_function(TARGET, timeout=target_timeout)
        if alias:
            version = self.lambda_.publish_version(FunctionName=TARGET)["Version"]
            self.target_arn = self.lambda_.create_alias(FunctionName=TARGET, Name=alias, FunctionVersion=version)[
                "AliasArn"
            ]
        self.mapping_id = self.make_mapping(self.target_arn, self.queue_arn, FunctionResponseTypes=[*response_types])
        self.make_alarm(ALARM)
        self.set_alarm("ALARM")
        for table, keys in ((TABLE, ("pk", "sk")), (LEDGER, ("message_id",))):
            self.dynamodb.create_table(
                TableName=table,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
                KeySchema=[
                    {"AttributeName": key, "KeyType": kind} for key, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        self.stepfunctions.create_state_machine(
            name="CircuitBreaker",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
        )
        self.table = CircuitTable(self.dynamodb, TABLE)

    def make_queue(self, name: str, **attributes: str) -> str:
        """Create a queue and return its URL."""
        if name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def make_function(self, name: str, *, timeout: int = 30) -> str:
        """Create a function and return its ARN."""
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as package:
            package.writestr("app.py", "def handler(event, context): ...")
        return self.lambda_.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Role=f"arn:aws:iam::{ACCOUNT}:role/target",
            Handler="app.handler",
            Code={"ZipFile": code.getvalue()},
            Timeout=timeout,
        )["FunctionArn"]

    def make_mapping(self, function: str, queue_arn: str, **more: Any) -> str:
        """Create an event source mapping that never polls, and return its id."""
        mapping = self.lambda_.create_event_source_mapping(EventSourceArn=queue_arn, FunctionName=function, **more)
        for queue in sqs_backends[ACCOUNT][REGION].queues.values():
            queue.lambda_event_source_mappings.clear()
        # moto would name the version that an alias stands for.
        lambda_backend(ACCOUNT, REGION)._event_source_mappings[mapping["UUID"]].function_arn = function
        return mapping["UUID"]

    def make_alarm(self, name: str, **changes: Any) -> None:
        """Create a metric alarm."""
        alarm: Any = {
            "Namespace": "AWS/Lambda",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        }
        self.cloudwatch.put_metric_alarm(AlarmName=name, **alarm | changes)

    def set_alarm(self, state: str, name: str = ALARM) -> None:
        """Put the alarm into a state."""
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="test")

    # Moving it

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)

    def start_execution(self, name: str = "first") -> str:
        """Start an execution, which then is RUNNING until `stop_execution`, and return its ARN."""
        return self.stepfunctions.start_execution(stateMachineArn=MACHINE_ARN, name=name, input="{}")["executionArn"]

    def stop_execution(self, arn: str) -> None:
        """End an execution."""
        self.stepfunctions.stop_execution(executionArn=arn)

    def execution_status(self, arn: str) -> str:
        """Return RUNNING, ABORTED and so on."""
        return self.stepfunctions.describe_execution(executionArn=arn)["status"]

    def switch_mapping(self, *, enabled: bool) -> None:
        """Switch the mapping, as its owner or some deployment might."""
        self.lambda_.update_event_source_mapping(UUID=self.mapping_id, Enabled=enabled)

    def limit_mapping(self, maximum: int) -> None:
        """Set the mapping's maximum concurrency, 0 for none, as its owner might."""
        self.lambda_.update_event_source_mapping(
            UUID=self.mapping_id, ScalingConfig={"MaximumConcurrency": maximum} if maximum else {}
        )

    def count_calls(self, calls: int, *, failed: int = 0) -> None:
        """Have CloudWatch count calls of the target that began now."""
        self.publish("AWS/Lambda", {"FunctionName": TARGET}, {"Invocations": calls, "Errors": failed})

    def publish(self, namespace: str, dimensions: dict[str, str], values: dict[str, float]) -> None:
        """Publish metrics with the world's time."""
        self.cloudwatch.put_metric_data(
            Namespace=namespace,
            MetricData=[
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
                    "Timestamp": self.now,
                    "Value": value,
                }
                for name, value in values.items()
            ],
        )

    def mapping_is(self) -> str:
        """Return the state that Lambda shows."""
        return self.lambda_.get_event_source_mapping(UUID=self.mapping_id)["State"]

    def send(self, body: str = "{}", *, to: str | None = None, **more: Any) -> str:
        """Send a message and return its id."""
        return self.sqs.send_message(QueueUrl=to or self.queue_url, MessageBody=body, **more)["MessageId"]

    def receive(self, *, url: str | None = None, seconds: int = 0) -> list[dict[str, Any]]:
        """Receive up to ten messages with everything there is to know, as some other consumer would."""
        return self.sqs.receive_message(
            QueueUrl=url or self.queue_url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=seconds,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        ).get("Messages", [])

    def receive_times(self, count: int, *, url: str | None = None) -> None:
        """Have everything in the queue received `count` times, and shown again."""
        for _ in range(count):
            self.receive(url=url, seconds=1)
            self.wait(1)

    def refuse(self, client: Any, operation: str, code: str, *, times: int = 1, when: str = "") -> None:
        """Have the next calls of a client's operation refused with an error code, as AWS words it.

        `when`: only calls whose arguments mention this text.
        """
        # The client itself: its paginators do not ask what stands for it.
        client = client._made() if hasattr(client, "_made") else client
        method = getattr(client, operation)
        left = [times]

        def refusing(**arguments: Any) -> Any:
            if left[0] and when in repr(arguments):
                left[0] -= 1
                error = client.exceptions.from_code(code)
                raise error({"Error": {"Code": code, "Message": "refused by the test"}}, operation)
            return method(**arguments)

        patch = unittest.mock.patch.object(client, operation, refusing)
        patch.start()
        self.refusals.append(patch)

    # Looking at it

    def arn_of(self, queue_url: str) -> str:
        """Return a queue's ARN."""
        return self.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def record(self, name: str = CIRCUIT) -> Record:
        """Return the circuit's record, which must be there."""
        record = self.table.load(name)
        assert record is not None, f"{name} is not registered"
        return record

    def held(self, name: str = CIRCUIT) -> list[HeldMessage]:
        """Return the held messages."""
        return self.table.held(name)

    def items(self) -> list[dict[str, Any]]:
        """Return all items of the breaker's table."""
        read = TypeDeserializer().deserialize
        return [
            {name: read(value) for name, value in item.items()}
            for page in self.dynamodb.get_paginator("scan").paginate(TableName=TABLE)
            for item in page["Items"]
        ]

    def sort_keys(self) -> set[str]:
        """Return the sort keys of all items of the breaker's table."""
        return {item["sk"] for item in self.items()}

    def messages(self, *, url: str | None = None) -> list[Message]:
        """Return what is in a queue, hidden or not, without receiving it."""
        name = (url or self.queue_url).rsplit("/", 1)[1]
        return list(sqs_backends[ACCOUNT][REGION].queues[name]._messages)

    def message(self, message_id: str) -> Message | None:
        """Return a message of the queue, None if it is gone."""
        return next((message for message in self.messages() if message.id == message_id), None)

    def hidden_for(self, message_id: str) -> float:
        """Return for how many seconds a message stays hidden."""
        message = self.message(message_id)
        assert message is not None, "the message is gone"
        return max(0.0, message.visible_at / 1000 - self.now.timestamp())

    def changes(self) -> list[str]:
        """Return what was announced on the bus, in order."""
        return [event["change"] for event in self.events]

    # Running handlers

    def run(self, step: str, event: dict[str, Any], *, context: Context | None = None) -> Any:
        """Run a step's handler as Lambda would: its event and its answer are JSON."""
        answer = handler_of(step)(json.loads(json.dumps(event)), context or Context())
        return json.loads(json.dumps(answer))

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Return the settings of a registration, as the strings that CloudFormation sends."""
        settings = {
            "CircuitName": CIRCUIT,
            "TargetFunction": self.target_arn,
            "QueueArn": self.queue_arn,
            "MappingId": self.mapping_id,
            "AlarmNames": [ALARM],
            **changes,
        }
        return {
            name: value if isinstance(value, str | list) else json.dumps(value)
            for name, value in settings.items()
            if value is not None
        }

    def request(self, kind: str = "Create", *, stack: str = STACK_ID, **changes: Any) -> dict[str, Any]:
        """Return a custom resource request."""
        request = {
            "RequestType": kind,
            "RequestId": "request-1",
            "StackId": stack,
            "LogicalResourceId": "Circuit",
            "ResourceType": "AWS::CloudFormation::CustomResource",
            "ResponseURL": "http://127.0.0.1:9/",
            "ResourceProperties": {"ServiceToken": "arn:aws:lambda:::function:register", **self.settings(**changes)},
        }
        return request if kind == "Create" else {**request, "PhysicalResourceId": CIRCUIT}

    def register(self, **changes: Any) -> None:
        """Register the circuit the way a stack does."""
        with unittest.mock.patch("breaker.custom_resource.send"):
            answer = self.run("register_circuit", self.request(**changes))
        assert answer["reason"] == ""

    def document(self, execution: str, **results: Any) -> dict[str, Any]:
        """Return a step's input: what LoadCircuit makes for an execution, with the results of earlier steps."""
        start = {"circuit": CIRCUIT, "command": "OPEN", "reason": "test"}
        event = {"execution": execution, "state_machine": MACHINE_ARN, "input": start}
        return {**self.run("load_circuit", event), **results}

    def open(self, name: str = "first", **results: Any) -> dict[str, Any]:
        """Bring the circuit to OPEN, owned by a new execution, and return the input of its next step.

        The alarm has left ALARM by then: nothing is invoked any more.
        """
        document = self.document(self.start_execution(name), **results)
        document["claim"] = self.run("open_circuit", document)
        assert document["claim"]["ours"]
        document["paused"] = self.run("confirm_paused", document)
        self.set_alarm("OK")
        self.events.clear()
        return document

    def take_over(self) -> None:
        """Make another execution the owner."""
        owner = self.record().owner
        assert self.table.claim(
            CIRCUIT, execution=self.start_execution("usurper"), instead_of=owner, incident=self.record().incident
        )


def handler_of(step: str) -> Callable[[Any, Context], Any]:
    """Return the handler of a step's module."""
    handler: Callable[[Any, Context], Any] = importlib.import_module(step).handler
    return handler


def as_json(value: object) -> str:
    """Write anything that a test looks through as text, binary content decoded."""

    def decoded(part: object) -> Any:
        if isinstance(part, Decimal):
            return float(part)
        return bytes(part).decode("utf-8", "replace")  # type: ignore[call-overload]

    return json.dumps(value, default=decoded)


@contextmanager
def new_world(**build: Any) -> Iterator[World]:
    """Build a world in moto, and have Lambda, SQS and the clock behave as on AWS where moto does not."""
    world = World()

    def invoke(
        backend: Any, function_name: str, qualifier: str | None, body: Any, headers: Any, response_headers: Any
    ) -> bytes:
        event = json.loads(body)
        world.invocations.append((":".join(filter(None, (function_name, qualifier))), event))
        try:
            answer = world.target(event)
            return answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        except JsonRESTError:
            raise
        except TargetTimedOut:
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorMessage": "2026-03-01 f00 Task timed out after 30.00 seconds"}).encode()
        except Exception as error:  # noqa: BLE001 - whatever a target raises, Lambda answers it
            response_headers["x-amz-function-error"] = "Unhandled"
            return json.dumps({"errorMessage": str(error), "errorType": type(error).__name__}).encode()

    def put_events(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        world.events.extend(json.loads(event["Detail"]) for event in events)
        announced.extend(world.events[-len(events) :])
        return original_put_events(backend, events)

    def change_visibility(backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        # moto counts the 12 hours from the send, not the receive, and takes handles of messages that are visible again.
        queue = backend.get_queue(queue_name)
        message = next((m for m in queue._messages if m.had_receipt_handle(receipt_handle)), None)
        if message is None or message.visible:
            raise ReceiptHandleIsInvalid
        end = world.now.timestamp() + int(visibility_timeout)
        if end - received_at[message.id] > TWELVE_HOURS:
            raise ReceiptHandleIsInvalid
        message.change_visibility(visibility_timeout)
        if message.visible:
            queue.pending_messages.discard(message)

    def mark_received(message: Message, visibility_timeout: int | None = None) -> None:
        received_at[message.id] = world.now.timestamp()
        original_mark_received(message, visibility_timeout)

    announced: list[dict[str, Any]] = []
    received_at: dict[str, float] = {}
    original_mark_received = Message.mark_received

    def pick(picker: Any, context: Any) -> Any:
        # moto looks for ten spellings of each of the ten kinds of value of each attribute; there is one.
        if context.key in DYNAMODB_TYPES and isinstance(context.obj, dict):
            return context.obj.get(context.key)
        return original_pick(picker, context)

    def call_unmeasured(client: Any, operation: str, arguments: Any) -> Any:
        # Measuring the coverage of boto3 and moto, which nobody reads, would double the time that the tests take.
        measure = sys.gettrace()
        sys.settrace(None)
        try:
            return original_call(client, operation, arguments)
        finally:
            sys.settrace(measure)

    original_call = BaseClient._make_api_call
    original_pick = serialize.AttributePicker.__call__
    original_put_events = EventsBackend.put_events
    describe_mapping = EventSourceMapping.get_configuration
    patches: list[tuple[Any, str, Any]] = [
        (clock, "now", lambda: world.now),
        (clock, "monotonic", lambda: world.now.timestamp()),
        (clock, "sleep", world.wait),
        (sqs_models, "unix_time", lambda: world.now.timestamp()),
        (sqs_models, "unix_time_millis", lambda: world.now.timestamp() * 1000),
        # Hidden for 0 seconds means visible now, also with a clock that stands still.
        (Message, "visible", property(lambda message: world.now.timestamp() * 1000 >= message.visible_at)),
        (Message, "mark_received", mark_received),
        (Queue, "wait_for_messages", lambda queue, timeout: world.wait(timeout)),
        *sources_told(),
        (SQSBackend, "change_message_visibility", change_visibility),
        (LambdaSimpleBackend, "invoke", invoke),
        (
            EventSourceMapping,
            "get_configuration",
            lambda mapping: describe_mapping(mapping) | ({"State": world.mapping_state} if world.mapping_state else {}),
        ),
        (EventsBackend, "put_events", put_events),
        (BaseClient, "_make_api_call", call_unmeasured),
        (serialize.AttributePicker, "__call__", pick),
    ]
    with ExitStack() as stack:
        stack.enter_context(
            unittest.mock.patch.dict(
                "os.environ", {"CIRCUIT_TABLE": TABLE, "LEDGER_TABLE": LEDGER, "STATE_MACHINE_ARN": MACHINE_ARN}
            )
        )
        # Nothing here asks AWS by the library `requests`, and preparing for it takes as long as a test.
        stack.enter_context(unittest.mock.patch.object(models, "RESPONSES_METHODS", []))
        stack.enter_context(savings())
        stack.enter_context(mock_aws(config={"lambda": {"use_docker": False}}))
        for owner, name, replacement in [*patches, *_clients_as_made()]:
            stack.enter_context(unittest.mock.patch.object(owner, name, replacement))
        try:
            world.build(**build)
            yield world
            for detail in announced:
                check_announcement(detail)
        finally:
            for patch in reversed(world.refusals):
                patch.stop()


@cache
def _iam() -> Any:
    return boto3.client("iam")


@cache
def _lasting_clients() -> list[tuple[Any, str, Any]]:
    """Return the breaker's clients for all worlds: making them takes longer than a test. They keep no state of AWS."""
    return [
        (clients, name, cache(make.__wrapped__)) for name, make in vars(clients).items() if hasattr(make, "cache_clear")
    ]


def _clients_as_made() -> list[tuple[Any, str, Any]]:
    """Return the lasting clients without what earlier tests left on them.

    pytest's `monkeypatch` undoes a change of a client's stand-in by giving it the method as an attribute of its own.
    What a later test sets on the client behind it would then not be seen.
    """
    lasting = _lasting_clients()
    for _, _, make in lasting:
        if isinstance(client := make(), clients._Client):
            for left in vars(client).keys() - {"_made"}:
                delattr(client, left)
    return lasting


@contextmanager
def log_to(stream: io.TextIOBase) -> Iterator[None]:
    """Send what the handlers log to `stream`: their loggers keep the standard output they found when imported."""
    handlers = [
        handler
        for logger in logging.Logger.manager.loggerDict.values()
        if isinstance(logger, logging.Logger)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and "aws_lambda_powertools" in type(handler.formatter).__module__
    ]
    before = [handler.setStream(stream) for handler in handlers]
    try:
        yield
    finally:
        for handler, old in zip(handlers, before, strict=True):
            if old is not None:
                handler.setStream(old)


def binary(data: bytes) -> dict[str, Any]:
    """Return a binary message attribute."""
    return {"DataType": "Binary", "BinaryValue": data}


def string(value: str, kind: str = "String") -> dict[str, Any]:
    """Return a message attribute."""
    return {"DataType": kind, "StringValue": value}


def base64_of(data: bytes) -> str:
    """Return bytes as JSON holds them."""
    return base64.b64encode(data).decode()
