"""RaiseConcurrency: the step that was decided on, written down before the mapping is touched."""

from typing import Any

import pytest

from breaker.mapping import read_mapping
from breaker.ramp import Recovery
from breaker.recovery import current
from tests.functions.world import World


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """The input of the step, with a first step that went well."""
    world.register(Recovery="RAMP", RampConcurrency="5,10")
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    document["closing"] = world.run("close_circuit", document)
    document["enabled"] = world.run("confirm_enabled", document)
    document["recovery"] = {"next": "RAISE", "reason": "0 of 120 calls failed", "step": 0, "checks": 8}
    world.events.clear()
    return document


def followed_by(recovery: Recovery) -> dict[str, Any]:
    return {"following": recovery.as_dict()}


@pytest.mark.parametrize(
    ("following", "limit", "change"),
    [
        (Recovery([5, 8, 0], 1, too_much=9), 8, "RAISED"),
        (Recovery([5, 0], 1), 0, "RAISED"),
        (Recovery([5, 3, 0], 1, too_much=5), 3, "LOWERED"),
    ],
)
def test_raise_concurrency_goes_on_as_was_decided(
    world: World, document: Any, following: Recovery, limit: int, change: str
) -> None:
    document["recovery"] |= followed_by(following)
    assert world.run("raise_concurrency", document) == {"concurrency": limit}
    assert read_mapping(world.lambda_, world.mapping_id).maximum_concurrency == limit
    assert (world.record().intent, current(world.record())) == ("ENABLE", following)
    (event,) = world.events
    assert (event["change"], event["concurrency"], event["step"]) == (change, limit, 1)
    if change == "LOWERED":
        assert event["reason"] == "maximum concurrency 3: 5 was more than the target takes"


def test_raise_concurrency_twice_announces_once(world: World, document: Any) -> None:
    document["recovery"] |= followed_by(Recovery([5, 8, 0], 1))
    first = world.run("raise_concurrency", document)
    assert world.run("raise_concurrency", document) == first
    assert world.changes() == ["RAISED"]


def test_raise_concurrency_for_a_release_that_did_not_say_how_it_goes_on_takes_the_next_step(
    world: World, document: Any
) -> None:
    before = {"steps": [5, 10, 0], "step": 0, "began": "2026-03-01T12:10:00Z"}
    world.table.write(document["circuit"]["name"], owner=document["execution"], sets={"incident.recovery": before})
    assert world.run("raise_concurrency", document) == {"concurrency": 10}
    recovery = current(world.record())
    assert recovery is not None
    assert (recovery.steps, recovery.step, recovery.began) == ([5, 10, 0], 1, "")


def test_raise_concurrency_that_somebody_else_has_set_is_left_and_is_the_last_step(world: World, document: Any) -> None:
    document["recovery"] |= followed_by(Recovery([5, 8, 0], 1))
    world.limit_mapping(33)
    assert world.run("raise_concurrency", document) == {"concurrency": 33}
    recovery = current(world.record())
    assert recovery is not None
    assert recovery.is_last
    assert world.changes() == ["OVERRIDDEN"]
