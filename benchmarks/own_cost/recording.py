"""Each function run once in moto on its sample event, to learn which AWS calls it makes and what AWS answers."""

import contextlib
import copy
import unittest.mock
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from botocore import xform_name
from botocore.client import BaseClient
from moto.core.botocore_stubber import BotocoreStubber

from tests.events.conftest import events_of
from tests.events.machine_paths import module_of
from tests.events.test_events import BEFORE
from tests.functions.world import new_world


@dataclass(frozen=True)
class Call:
    """One AWS call, as its caller made it."""

    service: str
    operation: str
    parameters: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True)
class Answer:
    """What AWS answered to a request that is known by `key`."""

    key: str
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Recording:
    """One invocation.

    Attributes
    ----------
    module
        The function's module.
    event
        What it was invoked with.
    at
        When, epoch seconds.
    """

    module: str
    event: dict[str, Any]
    at: float
    calls: list[Call]
    answers: list[Answer]


def key_of(method: str, url: str, headers: Any, body: bytes | str | None) -> str:
    """Return what tells one operation on one resource from another, whatever AWS protocol it is written in."""
    target = headers.get("X-Amz-Target", "")
    target = target.decode() if isinstance(target, bytes) else target
    form = body.decode(errors="replace") if isinstance(body, bytes) else body or ""
    action = parse_qs(form).get("Action", [""])[0] if form.startswith(("Action=", "Version=")) else ""
    return " ".join(filter(None, (method, urlsplit(url).path or "/", target, action)))


@contextlib.contextmanager
def calls_made() -> Iterator[list[Call]]:
    """Yield the list of the AWS calls that are made by whatever client of this process meanwhile."""
    calls: list[Call] = []
    call = BaseClient._make_api_call

    def watched(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        calls.append(
            Call(str(client.meta.service_model.service_name), xform_name(operation), copy.deepcopy(parameters))
        )
        return call(client, operation, parameters)

    with unittest.mock.patch.object(BaseClient, "_make_api_call", watched):
        yield calls


@contextlib.contextmanager
def _answers_given() -> Iterator[list[Answer]]:
    answers: list[Answer] = []
    answer = BotocoreStubber.__call__

    def watched(stubber: Any, event_name: str, request: Any, **more: Any) -> Any:
        response = answer(stubber, event_name, request, **more)
        if response is not None:
            body = response.raw.read()
            response.raw.seek(0)
            headers = {name: value for name, value in response.headers.items() if name.lower() not in _OUR_OWN}
            key = key_of(request.method, request.url, request.headers, request.body)
            answers.append(Answer(key, response.status_code, headers, body))
        return response

    with unittest.mock.patch.object(BotocoreStubber, "__call__", watched):
        yield answers


# The replaying server writes its own.
_OUR_OWN = {"content-length", "date", "server", "connection", "transfer-encoding"}


def record(module: str) -> Recording:
    """Run a function on its sample event, in the surroundings in which that is its turn."""
    with new_world() as world:
        world.register(Revision="1 30 180 5")
        events = events_of(world)
        for task, prepare in BEFORE.items():
            if module_of(task) == module:
                prepare(world, events)
        event, at = events[module], world.now.timestamp()
        with unittest.mock.patch("breaker.custom_resource.send"), calls_made() as calls, _answers_given() as answers:
            world.run(module, event)
    return Recording(module, event, at, calls, answers)
