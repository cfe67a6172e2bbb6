"""The world that every handler's test runs in."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.functions.world import World, new_world


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Make a world with a pipeline of the test's choice, see `World.build`."""
    with ExitStack() as stack:

        def make(**build: Any) -> World:
            return stack.enter_context(new_world(**build))

        yield make


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A pipeline with its circuit registered, CLOSED."""
    world = make_world()
    world.register()
    return world
