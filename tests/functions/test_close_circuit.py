"""CloseCircuit: write down the intent, ask for the mapping."""

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import BadStateDocument, MappingNotSettled
from breaker.mapping import read_mapping
from breaker.recovery import current
from tests.functions.world import World

HEALED = {"outcome": "HEALED", "reason": "the target answered PROCESSED to a message"}


def test_close_circuit_healed_is_half_open_with_the_mapping_asked_for(world: World) -> None:
    document = world.open(probe=HEALED)
    assert world.run("close_circuit", document) == {"outcome": "HEALED", "judged": True}
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
    assert world.run("close_circuit", document) == {"outcome": "GAVE_UP", "judged": False}
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
    assert world.run("close_circuit", document) == {"outcome": "HEALED", "judged": True}
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
    assert world.run("close_circuit", document) == {"outcome": "OVERRIDDEN", "judged": False}
    assert world.changes() == ["OVERRIDDEN"]


def test_close_circuit_without_a_probe_is_refused(world: World) -> None:
    with pytest.raises(BadStateDocument, match="probe: None must be an object"):
        world.run("close_circuit", world.open())
    assert world.mapping_is() == "Disabled"


def limit(world: World) -> int:
    """Return the mapping's maximum concurrency, 0 for none."""
    return read_mapping(world.lambda_, world.mapping_id).maximum_concurrency


@pytest.mark.parametrize(
    ("recovery", "outcome", "own", "steps"),
    [
        ("RAMP", "HEALED", 0, [2, 10, 0]),
        ("RAMP", "HEALED", 5, [2, 5]),
        ("RAMP", "HEALED", 2, [2]),
        ("RAMP", "HEALED", 100, [2, 10, 100]),
        ("IMMEDIATE", "HEALED", 0, [0]),
        ("IMMEDIATE", "QUEUE_EMPTY", 0, [2, 0]),
        ("REJITTER", "TRIAL", 7, [2, 7]),
        ("RAMP", "OVERRIDDEN", 7, [7]),
        ("RAMP", "GAVE_UP", 7, [7]),
    ],
)
def test_close_circuit_begins_with_the_first_step(
    world: World, recovery: str, outcome: str, own: int, steps: list[int]
) -> None:
    world.register(Recovery=recovery, RampConcurrency="2,10")
    world.limit_mapping(own)
    gave_up = {"give_up": {"reason": "x"}} if outcome == "GAVE_UP" else {}
    document = world.open(probe={"outcome": outcome, "reason": "x"}, **gave_up)
    world.run("close_circuit", document)
    recovery_now = current(world.record())
    assert recovery_now is not None
    assert (recovery_now.steps, recovery_now.step, recovery_now.began) == (steps, 0, "")
    if outcome != "OVERRIDDEN":
        assert limit(world) == steps[0]


def test_close_circuit_again_by_a_successor_goes_on_where_it_stood(world: World) -> None:
    world.register(Recovery="RAMP")
    world.run("close_circuit", world.open(probe=HEALED))
    successor = world.start_execution("second")
    world.stop_execution(world.record().owner)
    document = world.document(successor)
    document["claim"] = world.run("open_circuit", document)
    assert document["claim"]["stands"] == "HALF_OPEN"
    world.events.clear()
    assert world.run("close_circuit", document) == {"outcome": "HEALED", "judged": True}
    assert world.events == []
    assert limit(world) == 2


def test_close_circuit_mapping_gone_is_not_touched(world: World) -> None:
    document = world.open(probe={"outcome": "MAPPING_GONE", "reason": "x"})
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    assert world.run("close_circuit", document) == {"outcome": "MAPPING_GONE", "judged": False}


def test_close_circuit_of_the_format_before_has_no_steps(world: World) -> None:
    world.register(Recovery="RAMP")
    document = world.open(probe=HEALED) | {"format": 1}
    world.run("close_circuit", document)
    assert limit(world) == 0
