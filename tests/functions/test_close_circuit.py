"""CloseCircuit: write down the intent, ask for the mapping."""

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import BadStateDocument, MappingNotSettled
from tests.functions.world import World

HEALED = {"outcome": "HEALED", "reason": "the target answered PROCESSED to a message"}


def test_close_circuit_healed_is_half_open_with_the_mapping_asked_for(world: World) -> None:
    document = world.open(probe=HEALED)
    assert world.run("close_circuit", document) == {"outcome": "HEALED"}
    record = world.record()
    assert (record.state, record.intent) == (CircuitState.HALF_OPEN, "ENABLE")
    assert record.incident["outcome"] == "HEALED"
    assert record.owner == document["execution"]
    assert world.mapping_is() == "Enabled"
    (event,) = world.events
    assert (event["change"], event["from"], event["to"]) == ("HALF_OPEN", "OPEN", "HALF_OPEN")
    assert event["reason"] == HEALED["reason"]


def test_close_circuit_gave_up_says_so(world: World) -> None:
    given_up = {"then": "CLOSE", "reason": "gave up after 3 failed probes"}
    document = world.open(probe={"outcome": "FAILED", "reason": "x"}, give_up=given_up)
    assert world.run("close_circuit", document) == {"outcome": "GAVE_UP"}
    assert world.events[0]["reason"] == given_up["reason"]


def test_close_circuit_intent_is_written_before_the_mapping_is_touched(world: World) -> None:
    document = world.open(probe=HEALED)
    world.refuse(world.lambda_, "update_event_source_mapping", "InvalidParameterValueException")
    with pytest.raises(world.lambda_.exceptions.InvalidParameterValueException):
        world.run("close_circuit", document)
    assert world.record().intent == "ENABLE"
    assert world.mapping_is() == "Disabled"


def test_close_circuit_mapping_busy_is_to_be_retried(world: World) -> None:
    document = world.open(probe=HEALED)
    world.refuse(world.lambda_, "update_event_source_mapping", "ResourceInUseException")
    with pytest.raises(MappingNotSettled):
        world.run("close_circuit", document)
    assert world.run("close_circuit", document) == {"outcome": "HEALED"}
    assert world.changes() == ["HALF_OPEN"]


def test_close_circuit_twice_announces_once(world: World) -> None:
    document = world.open(probe=HEALED)
    first = world.run("close_circuit", document)
    record = world.record()
    assert world.run("close_circuit", document) == first
    assert world.record() == record
    assert world.changes() == ["HALF_OPEN"]


def test_close_circuit_mapping_enabled_by_somebody_else_is_not_touched(world: World) -> None:
    document = world.open(probe={"outcome": "OVERRIDDEN", "reason": "somebody else has enabled the mapping"})
    world.switch_mapping(enabled=True)
    world.refuse(world.lambda_, "update_event_source_mapping", "InvalidParameterValueException")
    assert world.run("close_circuit", document) == {"outcome": "OVERRIDDEN"}


def test_close_circuit_without_a_probe_is_refused(world: World) -> None:
    with pytest.raises(BadStateDocument, match="probe: None must be an object"):
        world.run("close_circuit", world.open())
    assert world.mapping_is() == "Disabled"
