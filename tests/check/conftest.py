"""The world that the handlers' tests run in, without a circuit: the check looks at a pipeline before there is one."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from tests.functions.world import World, new_world


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A pipeline. The check gets the world's own clients, so that a test can have them refuse."""
    with new_world() as world:
        made: dict[str, Any] = {"lambda": world.lambda_, "sqs": world.sqs, "cloudwatch": world.cloudwatch}
        session = SimpleNamespace(client=lambda service, config: made[service])
        monkeypatch.setattr(boto3, "Session", lambda: session)
        yield world
