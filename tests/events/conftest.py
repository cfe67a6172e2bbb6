"""A world with the names that a deployed stack would have."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from events.fill import Stack, fill, read_event
from tests.functions.world import ALARM, CIRCUIT, MACHINE_ARN, STACK_ID, TARGET, World, new_world


@dataclass(frozen=True)
class Events:
    """The events of the folder, filled for a world."""

    values: dict[str, str]

    def __getitem__(self, name: str) -> Any:
        return fill(read_event(name), self.values)


@pytest.fixture
def world() -> Iterator[World]:
    """A pipeline with its circuit registered, CLOSED."""
    with new_world() as world:
        world.register(Revision="1 30 180 5")
        yield world


@pytest.fixture
def events(world: World) -> Events:
    """The events, filled for the world."""
    return events_of(world)


def events_of(world: World) -> Events:
    """Return the events, filled for a world, with its time."""
    settings = world.record().circuit.settings
    names = {
        **{name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in settings.items()},
        "TargetTimeoutSeconds": "30",
        "QueueVisibilityTimeoutSeconds": "180",
        "MaxReceiveCount": "5",
        "QueueUrl": world.queue_url,
        "DeadLetterQueueUrl": world.dlq_url,
        "TargetFunctionName": TARGET,
        "TargetFunctionArn": world.target_arn,
        "MappingId": world.mapping_id,
        "StateMachineArn": MACHINE_ARN,
        "CircuitName": CIRCUIT,
        "AlarmName": ALARM,
        "RegisterCircuitFunction": "register",
        "FindPipelineFunction": "find",
        "ReconcileRule": "reconcile",
    }
    return Events(Stack(STACK_ID, names).values(now=world.now))
