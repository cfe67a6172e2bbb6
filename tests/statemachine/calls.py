"""The AWS calls that each step makes: seen as they are made, and made to fail.

Hooks on the handlers' own clients, below the SDK's validation and beside its retries: a fault is what a step sees after
the SDK has given up.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ReadTimeoutError
from emulated_cloud import DeployedFunction, LambdaContext
from harness import TARGET, World, client

from breaker import clients

CLIENTS = (
    "cloudwatch",
    "cloudwatch_soon",
    "dynamodb",
    "events",
    "lambda_control",
    "lambda_invoke",
    "sns",
    "sqs",
    "stepfunctions",
)
THROTTLES = {
    "dynamodb": "ProvisionedThroughputExceededException",
    "events": "ThrottlingException",
    "lambda": "TooManyRequestsException",
    "sqs": "RequestThrottled",
    "sfn": "ThrottlingException",
    "cloudwatch": "Throttling",
    "sns": "Throttled",
}
SERVICE_ERRORS = {"lambda": "ServiceException"}
KILLED_AFTER = "killed after"


class Killed(BaseException):
    """The function's process is gone. No handler can catch it."""


class ProcessEnded(Exception):
    """What Lambda answers for a process that is gone."""


@dataclass(frozen=True)
class Call:
    """One AWS call of a step.

    Attributes
    ----------
    number
        Which call of this operation within one invocation of the step, from 1 on.
    """

    step: str
    service: str
    operation: str
    number: int

    def __str__(self) -> str:
        return f"{self.step} {self.operation}#{self.number}"


@dataclass(frozen=True)
class Made:
    """A call as it was made, with what it was made on."""

    call: Call
    parameters: dict[str, Any]


@dataclass(eq=False)
class Fault:
    """What happens to a call.

    Attributes
    ----------
    kinds
        throttle, service error, denied, timeout, killed before, killed after, stopped. Each happens once, one at each
        time the call is made.
    lasts
        Seconds from its first time on in which the only kind happens again.
    fired
        The kinds that have happened.
    """

    kinds: tuple[str, ...]
    call: Call
    lasts: float = 0.0
    fired: list[str] = field(default_factory=list)
    until: float = field(default=0.0)

    @property
    def left(self) -> tuple[str, ...]:
        """The kinds that have not happened."""
        return tuple(kind for kind in self.kinds if kind not in self.fired)


class Calls:
    """What the steps of one world call.

    Parameters
    ----------
    faults
        What happens to these calls, for each call one at most. A step that goes on after one of them may meet the next.
    """

    def __init__(self, world: World, faults: Sequence[Fault] = ()) -> None:
        self._world = world
        self._faults = {fault.call: fault for fault in faults}
        self._local = threading.local()
        self.made: list[Made] = []

    # Steps ----------------------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Have every function of the breaker say which step it is."""
        for name, function in list(self._world.cloud.functions.items()):
            if name != TARGET:
                self._world.cloud.functions[name] = self._watched(name.removesuffix("Function"), function)

    def _watched(self, step: str, function: DeployedFunction) -> DeployedFunction:
        def handler(event: Any, context: LambdaContext) -> Any:
            outer = [getattr(self._local, name, None) for name in ("step", "numbers")]
            self._local.step, self._local.numbers, self._local.event = step, {}, event
            try:
                return function.handler(event, context)
            except Killed:
                raise ProcessEnded(f"{step} was killed") from None
            finally:
                self._local.step, self._local.numbers = outer

        return DeployedFunction(handler, function.timeout_seconds)

    # Calls ----------------------------------------------------------------------------------------------------------

    def building(self, params: Any, **_: Any) -> None:
        """Note the parameters of the call that comes next."""
        self._local.parameters = dict(params)

    def before(self, params: Any, model: Any, **_: Any) -> Any:
        """Note a call, and let its fault happen if that is before it has any effect."""
        step = getattr(self._local, "step", None)
        if step is None:
            return None
        service, operation = str(model.service_model.service_id.hyphenize()), str(model.name)
        numbers = self._local.numbers
        numbers[operation] = numbers.get(operation, 0) + 1
        call = Call(step, service, operation, numbers[operation])
        self.made.append(Made(call, self._local.parameters))
        fault = self._faults.get(call)
        kind = self._next(fault)
        self._local.killing = fault if kind == KILLED_AFTER else None
        return self._happen(fault, kind) if fault and kind and kind != KILLED_AFTER else None

    def after(self, **_: Any) -> None:
        """Let the fault happen that comes after the call had its effect."""
        fault = getattr(self._local, "killing", None)
        if fault is not None:
            self._local.killing = None
            self._fire(fault, KILLED_AFTER)
            raise Killed

    def _next(self, fault: Fault | None) -> str | None:
        """Return what happens to a call that is made now, which `fault` is for."""
        if fault is None:
            return None
        if fault.fired and self._world.clock.elapsed() < fault.until:
            return fault.fired[-1]
        return next(iter(fault.left), None)

    def _happen(self, fault: Fault, kind: str) -> Any:
        self._fire(fault, kind)
        service = fault.call.service
        match kind:
            case "throttle":
                return _refusal(THROTTLES[service], 400)
            case "service error":
                return _refusal(SERVICE_ERRORS.get(service, "InternalFailure"), 500)
            case "denied":
                return _refusal("AccessDeniedException", 403)
            case "timeout":
                raise ReadTimeoutError(endpoint_url=service)
            case "killed before":
                raise Killed
            case "stopped":
                self._stop()
        return None

    def _fire(self, fault: Fault, kind: str) -> None:
        if not fault.fired:
            fault.until = self._world.clock.elapsed() + fault.lasts
        if kind not in fault.fired:
            fault.fired.append(kind)

    def _stop(self) -> None:
        """Stop the execution while its step runs. The step itself goes on, as on AWS."""
        execution = self._local.event.get("execution")
        if execution is not None and self._world.status(execution) == "RUNNING":
            step, self._local.step = self._local.step, None
            client("stepfunctions").stop_execution(executionArn=execution)
            self._local.step = step


def _refusal(code: str, status: int) -> Any:
    parsed = {"Error": {"Code": code, "Message": "by the fault matrix"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return SimpleNamespace(status_code=status), parsed


@contextlib.contextmanager
def hooked(calls: Calls) -> Iterator[Calls]:
    """Hook the handlers' clients for the time of a run."""
    hooks: list[tuple[Any, str, Callable[..., Any]]] = []
    for name in CLIENTS:
        events = getattr(clients, name)().meta.events
        for event, function in (
            ("before-parameter-build", calls.building),
            ("before-call", calls.before),
            ("after-call", calls.after),
        ):
            events.register_first(event, function)
            hooks.append((events, event, function))
    try:
        yield calls
    finally:
        for events, event, function in hooks:
            events.unregister(event, function)
