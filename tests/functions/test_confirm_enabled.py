"""ConfirmEnabled: a step begins when the mapping is Enabled, not before."""

from typing import Any

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import CircuitTakenOver, MappingNotSettled
from tests.functions.world import World


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """The input of the step, after an outage of ten minutes."""
    world.register(Recovery="RAMP")
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    world.wait(600)
    document["closing"] = world.run("close_circuit", document)
    world.events.clear()
    return document


def test_confirm_enabled_notes_when_the_step_began(world: World, document: Any) -> None:
    # The minute that begins now ends in 60 s, and its figures are expected 90 s later.
    answer = {"at": "2026-03-01T12:10:00Z", "concurrency": 2, "wait_seconds": 150}
    assert world.run("confirm_enabled", document) == answer
    record = world.record()
    assert (record.state, record.intent, record.owner) == (CircuitState.HALF_OPEN, "", document["execution"])
    recovery = record.incident["recovery"]
    assert (recovery["steps"], recovery["step"], recovery["began"]) == ([2, 0], 0, "2026-03-01T12:10:00Z")
    assert world.events == []


def test_confirm_enabled_twice_keeps_the_begin(world: World, document: Any) -> None:
    world.run("confirm_enabled", document)
    world.wait(60)
    world.run("confirm_enabled", document)
    assert world.record().incident["recovery"]["began"] == "2026-03-01T12:10:00Z"


@pytest.mark.parametrize(("later", "wait"), [(60, 90), (149, 1), (160, 1), (3600, 1)])
def test_confirm_enabled_step_taken_over_is_looked_at_when_it_would_have_been_or_at_once(
    world: World, document: Any, later: int, wait: int
) -> None:
    world.run("confirm_enabled", document)
    world.wait(later)
    assert world.run("confirm_enabled", document)["wait_seconds"] == wait


@pytest.mark.parametrize("state", ["Enabling", "Updating", "Creating"])
def test_confirm_enabled_not_yet_enabled_is_to_be_retried(world: World, document: Any, state: str) -> None:
    world.mapping_state = state
    with pytest.raises(MappingNotSettled, match=f"mapping {world.mapping_id} is {state}, not yet Enabled"):
        world.run("confirm_enabled", document)
    assert world.record().state is CircuitState.HALF_OPEN
    assert world.record().owner
    assert world.events == []


def test_confirm_enabled_disabled_again_is_enabled_again(world: World, document: Any) -> None:
    world.switch_mapping(enabled=False)
    with pytest.raises(MappingNotSettled):
        world.run("confirm_enabled", document)
    assert world.mapping_is() == "Enabled"
    assert world.run("confirm_enabled", document)["concurrency"] == 2


@pytest.mark.parametrize("state", ["Disabled", "Enabled"])
def test_confirm_enabled_what_somebody_else_has_decided_is_only_waited_for(
    world: World, document: Any, state: str
) -> None:
    world.run("confirm_enabled", document)
    world.mapping_state = state
    world.refuse(world.lambda_, "update_event_source_mapping", "InvalidParameterValueException")
    world.run("confirm_enabled", document)


def test_confirm_enabled_mapping_gone_is_not_waited_for(world: World, document: Any) -> None:
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    assert world.run("confirm_enabled", document)["concurrency"] == 0


def test_confirm_enabled_of_the_format_before_ends_the_incident_once(world: World, document: Any) -> None:
    document |= {"format": 1}
    summary = world.run("confirm_enabled", document)
    assert summary["outcome"] == "HEALED"
    assert world.run("confirm_enabled", document) == summary
    assert world.record().state is CircuitState.CLOSED


def test_confirm_enabled_claim_lost_changes_nothing(world: World, document: Any) -> None:
    world.stop_execution(document["execution"])
    second = world.document(world.start_execution("second"))
    world.run("open_circuit", second)
    before = world.items()
    with pytest.raises(CircuitTakenOver):
        world.run("confirm_enabled", document)
    assert world.items() == before
