"""Where moto differs from AWS in a way these tests can see, put right.

Each patch names the difference. Everything else is moto's own behaviour.
"""

import dataclasses
import json
import threading
import traceback
import types
import unittest.mock
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import moto.stepfunctions.parser.asl.component.common.retry.jitter_strategy_decl as retry_jitter
from botocore.exceptions import ClientError
from moto.awslambda.models import EventSourceMapping, LambdaBackend
from moto.awslambda.utils import get_backend
from moto.awslambda_simple.models import LambdaSimpleBackend
from moto.core.exceptions import JsonRESTError
from moto.dynamodb.responses import DynamoHandler
from moto.events.models import EventsBackend
from moto.sqs.exceptions import InvalidParameterValue, ReceiptHandleIsInvalid, SQSException
from moto.sqs.models import Message, Queue, SQSBackend
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import (
    FailureEvent,
    FailureEventException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.lambda_eval_utils import (
    LambdaFunctionErrorException,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_lambda import StateTaskLambda
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.asl.eval.environment import Environment
from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication
from moto.stepfunctions.parser.backend.execution_worker import ExecutionWorker
from simulated_clock import SimulatedClock

from tests.dead_letters import sources_told

ACCOUNT = "123456789012"
REGION = "us-east-1"
TWELVE_HOURS = 43_200


class AwsError(JsonRESTError):
    """An error answer of an AWS API, raised inside the emulated service."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(code, message)
        self.code = status


class MessageNotInflight(SQSException):
    """The answer to a change of visibility for a message that is not hidden."""

    def __init__(self) -> None:
        super().__init__("MessageNotInflight", "The specified message isn't in flight.")


class FunctionTimedOut(Exception):
    """Raised by a function under test to say that Lambda stopped it at its timeout."""


class MachineFault(AssertionError):
    """The machine did what AWS would not let it catch: a path that does not exist, a bad definition."""


@dataclasses.dataclass(frozen=True)
class LambdaContext:
    """The part of Lambda's context object that Powertools and the handlers read."""

    function_name: str
    invoked_function_arn: str
    aws_request_id: str
    remaining: Callable[[], int]
    memory_limit_in_mb: int = 256
    function_version: str = "$LATEST"
    log_group_name: str = "/aws/lambda/test"
    log_stream_name: str = "test"

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left before the timeout."""
        return self.remaining()


Handler = Callable[[Any, LambdaContext], Any]


@dataclasses.dataclass
class DeployedFunction:
    """A Python callable that Lambda runs."""

    handler: Handler
    timeout_seconds: int


@dataclasses.dataclass(frozen=True)
class Invocation:
    """One call of a function, as Lambda saw it."""

    function: str
    qualifier: str | None
    event: Any
    at: float


@dataclasses.dataclass(frozen=True)
class MappingUpdate:
    """One accepted UpdateEventSourceMapping."""

    at: float
    uuid: str
    change: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class MachineWait:
    """One wait of a Wait state."""

    state: str
    seconds: float


class EmulatedCloud:
    """The emulated services of one test, with what was seen of them.

    Attributes
    ----------
    mapping_settles_after
        Seconds that a mapping stays Disabling, Enabling or Updating after an update.
    when_disabled, when_enabled, when_scaled
        Called when a mapping begins to be disabled, enabled, or changed without either.
    """

    def __init__(self, clock: SimulatedClock) -> None:
        self.clock = clock
        self.functions: dict[str, DeployedFunction] = {}
        self.others_functions: set[str] = set()
        self.refusals: dict[str, list[Exception]] = {}
        self.invocations: list[Invocation] = []
        self.failures: list[tuple[str, str]] = []
        self.mapping_settles_after = 8.0
        self.mapping_refusals: list[AwsError] = []
        self.mapping_updates: list[MappingUpdate] = []
        self.when_disabled: Callable[[], object] = lambda: None
        self.when_enabled: Callable[[], object] = lambda: None
        self.when_scaled: Callable[[], object] = lambda: None
        self.provisioned: dict[str, dict[str, int]] = {}
        self.events: list[dict[str, Any]] = []
        self.refuse_events = False
        self.waits: list[MachineWait] = []
        self.faults: list[str] = []
        self.runtime_log: list[str] = []
        self._changing: dict[str, tuple[str, datetime]] = {}
        self._requests = 0

    # Lambda ---------------------------------------------------------------------------------------------------------

    def invoke(self, name: str, qualifier: str | None, body: Any, headers: dict[str, str]) -> bytes:
        """Run a function as Lambda does: the event and the answer are JSON, an exception is an answer too."""
        name = name.split(":function:")[-1]
        if ":" in name:
            name, qualifier = name.split(":", 1)
        if self.refusals.get(name):
            raise self.refusals[name].pop(0)
        if name not in self.functions:
            raise AwsError("ResourceNotFoundException", f"Function not found: {name}", status=404)
        function = self.functions[name]
        event = json.loads(body or "{}")
        self.invocations.append(Invocation(name, qualifier, event, self.clock.elapsed()))
        self._requests += 1
        request = f"request-{self._requests}"
        deadline = self.clock.now() + timedelta(seconds=function.timeout_seconds)
        context = LambdaContext(
            function_name=name,
            invoked_function_arn=function_arn(name),
            aws_request_id=request,
            remaining=lambda: int((deadline - self.clock.now()).total_seconds() * 1000),
        )
        try:
            answer = json.dumps(function.handler(event, context), default=_decimal_as_lambda_does)
            if self.clock.now() > deadline:
                raise FunctionTimedOut  # noqa: TRY301 - what the next clause but one answers
            return answer.encode()
        except AwsError:
            raise
        except FunctionTimedOut:
            headers["x-amz-function-error"] = "Unhandled"
            text = f"RequestId: {request} Error: Task timed out after {function.timeout_seconds:.2f} seconds"
            self._log_of_runtime(name, text)
            self.failures.append((name, "Sandbox.Timedout"))
            return json.dumps({"errorType": "Sandbox.Timedout", "errorMessage": text}).encode()
        except Exception as error:  # noqa: BLE001 - as the Lambda runtime does
            headers["x-amz-function-error"] = "Unhandled"
            self.failures.append((name, type(error).__name__))
            self._log_of_runtime(name, traceback.format_exc())
            return json.dumps(
                {
                    "errorMessage": str(error),
                    "errorType": type(error).__name__,
                    "requestId": request,
                    "stackTrace": traceback.format_tb(error.__traceback__),
                }
            ).encode()

    def _log_of_runtime(self, function: str, text: str) -> None:
        """Note what the Lambda runtime prints into a function's log. The target's log is not the breaker's."""
        if function not in self.others_functions:
            self.runtime_log.append(f"[ERROR] {function} {text}")

    # Event source mappings ------------------------------------------------------------------------------------------

    def mapping_state(self, mapping: EventSourceMapping) -> str:
        """Return the state that AWS would show: moto knows only Enabled and Disabled."""
        state, until = self._changing.get(mapping.uuid, ("", self.clock.now()))
        if self.clock.now() < until:
            return state
        return "Enabled" if mapping.enabled else "Disabled"

    def keep_mapping_busy(self, uuid: str, seconds: float) -> None:
        """Have the mapping change state for `seconds`, for example because somebody else has just updated it."""
        self._changing[uuid] = ("Updating", self.clock.now() + timedelta(seconds=seconds))

    def undo_last_switch(self, uuid: str) -> None:
        """Have the last change of the mapping come to nothing."""
        mapping = get_backend(ACCOUNT, REGION).get_event_source_mapping(uuid)
        mapping.enabled = not mapping.enabled
        self._changing.pop(uuid, None)

    def update_mapping(
        self, backend: LambdaBackend, uuid: str, change: dict[str, Any], update: Callable[..., Any]
    ) -> EventSourceMapping:
        """Refuse an update while the mapping is changing, else start a change that takes its time."""
        if self.mapping_refusals:
            raise self.mapping_refusals.pop(0)
        mapping = backend.get_event_source_mapping(uuid)
        if mapping is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", status=404)
        if self.mapping_state(mapping) not in ("Enabled", "Disabled"):
            raise AwsError("ResourceInUseException", "Cannot update the event source mapping because it is in use.")
        was_enabled = mapping.enabled
        update(backend, uuid, change)
        self.mapping_updates.append(MappingUpdate(self.clock.elapsed(), uuid, change))
        changing = "Updating" if mapping.enabled == was_enabled else ("Enabling" if mapping.enabled else "Disabling")
        self._changing[uuid] = (changing, self.clock.now() + timedelta(seconds=self.mapping_settles_after))
        if changing == "Disabling":
            self.when_disabled()
        if changing == "Enabling":
            self.when_enabled()
        if changing == "Updating":
            self.when_scaled()
        return mapping

    # Step Functions -------------------------------------------------------------------------------------------------

    def failure_of_lambda_task(
        self, task: StateTaskLambda, env: Environment, error: Exception, original: Callable[..., FailureEvent]
    ) -> FailureEvent:
        """Name Lambda's own refusals as Step Functions does, and let nothing catch what AWS does not let catch."""
        known = (ClientError, LambdaFunctionErrorException, TimeoutError, FailureEventException)
        if not isinstance(error, known):
            self.faults.append(f"{task.name}: {type(error).__name__}: {error}")
        failure = original(task, env, error)
        if isinstance(error, ClientError):
            name = f"Lambda.{error.response['Error']['Code']}"
            failure = FailureEvent(
                env=env,
                error_name=CustomErrorName(name),
                event_type=failure.event_type,
                event_details=failure.event_details,
            )
            failure.event_details["lambdaFunctionFailedEventDetails"]["error"] = name
        return failure

    def wait(self, env: Environment, seconds: float) -> None:
        """Wait as a Wait state does, in simulated time."""
        self.waits.append(MachineWait(env.states.context_object.context_object_data["State"]["Name"], seconds))
        self.clock.sleep(seconds, owner=env)


def function_arn(name: str) -> str:
    """Return the ARN of the function `name`."""
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


def _decimal_as_lambda_does(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Unable to marshal response: Object of type {type(value).__name__} is not JSON serializable")


@contextmanager
def put_right(cloud: EmulatedCloud) -> Iterator[None]:
    """Patch moto for the time of a test."""
    clock = cloud.clock
    update_mapping = LambdaBackend.update_event_source_mapping
    describe_mapping = EventSourceMapping.get_configuration
    put_events = EventsBackend.put_events
    mark_received = Message.mark_received
    lambda_failure = StateTaskLambda._from_error
    start = ExecutionWorker.start
    terminated = BaseExecutionWorkerCommunication.terminated
    stop = Environment.set_stop
    answer_of_table = DynamoHandler.call_action
    one_at_a_time = threading.RLock()

    def invoke(
        backend: Any,
        function_name: str,
        qualifier: str | None,
        body: Any,
        headers: Any,
        response_headers: dict[str, str],
    ) -> bytes:
        return cloud.invoke(function_name, qualifier, body, response_headers)

    def get_mapping(backend: LambdaBackend, uuid: str) -> EventSourceMapping:
        mapping = backend._event_source_mappings.get(uuid)
        if mapping is None:
            raise AwsError("ResourceNotFoundException", "The resource you requested does not exist.", status=404)
        return mapping

    def list_mappings(backend: LambdaBackend, event_source_arn: str, function_name: str) -> list[EventSourceMapping]:
        # moto finds a mapping by the very spelling of the function it was made with.
        wanted = function_name.split(":function:")[-1] if function_name else ""
        return [
            mapping
            for mapping in backend._event_source_mappings.values()
            if event_source_arn in ("", None, mapping.event_source_arn)
            and wanted in ("", mapping.function_arn.split(":function:")[-1])
        ]

    def receive_and_note_when(message: Message, visibility_timeout: int | None = None) -> None:
        mark_received(message, visibility_timeout=visibility_timeout)
        message.received_at = clock.now().timestamp()

    def change_visibility(backend: SQSBackend, queue_name: str, receipt_handle: str, visibility_timeout: int) -> None:
        # moto counts the 12 hours from the sending, and changes messages that are not hidden.
        for message in backend.get_queue(queue_name)._messages:
            if message.had_receipt_handle(receipt_handle):
                if message.visible:
                    raise MessageNotInflight
                if clock.now().timestamp() + int(visibility_timeout) - message.received_at > TWELVE_HOURS:
                    raise InvalidParameterValue("Total VisibilityTimeout for the message is beyond the limit")
                message.change_visibility(visibility_timeout)
                return
        raise ReceiptHandleIsInvalid

    def change_visibilities(
        backend: SQSBackend, queue_name: str, entries: list[dict[str, Any]]
    ) -> tuple[list[str], list[dict[str, Any]]]:
        changed, failed = [], []
        for entry in entries:
            try:
                change_visibility(backend, queue_name, entry["ReceiptHandle"], entry["VisibilityTimeout"])
                changed.append(entry["Id"])
            except (MessageNotInflight, InvalidParameterValue, ReceiptHandleIsInvalid) as error:
                failed.append(
                    {"Id": entry["Id"], "SenderFault": True, "Code": type(error).__name__, "Message": str(error)}
                )
        return changed, failed

    def remember_events(backend: EventsBackend, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if cloud.refuse_events:
            raise AwsError("InternalException", "by the test", status=500)
        cloud.events.extend(events)
        return put_events(backend, events)

    def start_as_actor(worker: ExecutionWorker) -> None:
        clock.actor_begins()
        start(worker)

    def terminated_as_actor(communication: BaseExecutionWorkerCommunication) -> None:
        try:
            terminated(communication)
        finally:
            clock.actor_ends()

    def stop_and_wake(env: Environment, *arguments: Any, **named: Any) -> None:
        stop(env, *arguments, **named)
        clock.wake(env)

    def answer_alone(handler: DynamoHandler) -> Any:
        # An execution and the reconciler are threads; moto's conditional writes and scans stand no other beside them.
        with one_at_a_time:
            return answer_of_table(handler)

    patches: list[tuple[Any, str, Any]] = [
        (DynamoHandler, "call_action", answer_alone),
        (LambdaSimpleBackend, "invoke", invoke),
        (LambdaBackend, "get_event_source_mapping", get_mapping),
        (LambdaBackend, "list_event_source_mappings", list_mappings),
        (
            LambdaBackend,
            "update_event_source_mapping",
            lambda backend, uuid, spec: cloud.update_mapping(backend, uuid, spec, update_mapping),
        ),
        (
            EventSourceMapping,
            "get_configuration",
            lambda mapping: (
                describe_mapping(mapping)
                | {"State": cloud.mapping_state(mapping)}
                # moto knows no provisioned mode.
                | (
                    {"ProvisionedPollerConfig": cloud.provisioned[mapping.uuid]}
                    if mapping.uuid in cloud.provisioned
                    else {}
                )
            ),
        ),
        (EventsBackend, "put_events", remember_events),
        (Message, "mark_received", receive_and_note_when),
        (SQSBackend, "change_message_visibility", change_visibility),
        (SQSBackend, "change_message_visibility_batch", change_visibilities),
        # With a clock that stands still, "visible again now" must mean now.
        (Message, "visible", property(lambda message: clock.now().timestamp() * 1000 >= message.visible_at)),
        # A long poll on an empty queue takes simulated time.
        (Queue, "wait_for_messages", lambda queue, timeout: clock.sleep(timeout)),
        *sources_told(),
        (WaitFunction, "_wait_interval", lambda wait, env, wait_seconds: cloud.wait(env, wait_seconds)),
        # The longest delay that full jitter can choose: the same in every run.
        (retry_jitter, "random", types.SimpleNamespace(uniform=lambda low, high: high)),
        (
            StateTaskLambda,
            "_from_error",
            lambda task, env, ex: cloud.failure_of_lambda_task(task, env, ex, lambda_failure),
        ),
        (ExecutionWorker, "start", start_as_actor),
        (BaseExecutionWorkerCommunication, "terminated", terminated_as_actor),
        (Environment, "set_stop", stop_and_wake),
    ]
    with ExitStack() as stack:
        for owner, name, replacement in patches:
            stack.enter_context(unittest.mock.patch.object(owner, name, replacement))
        # Retries of the machine and of the SDK.
        stack.enter_context(unittest.mock.patch("time.sleep", clock.sleep))
        yield
