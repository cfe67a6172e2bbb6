"""WatchCircuit: says what would have happened, touches nothing."""

import pytest

from breaker.errors import MappingNotSettled
from tests.functions.world import World


def test_watch_circuit_announces_the_plan_and_touches_nothing(world: World) -> None:
    world.register(Mode="WATCH", Recovery="REJITTER", FirstProbeSeconds=10, MaxProbeIntervalSeconds=60)
    world.send()
    document = world.document(world.start_execution())
    before = world.items()
    plan = world.run("watch_circuit", document)
    assert plan == {
        "circuit": "orders",
        "outcome": "WATCHED",
        "would_disable": world.mapping_id,
        "mapping_state": "Enabled",
        "would_open_at": "2026-03-01T12:00:00Z",
        "would_probe_at": [
            "2026-03-01T12:00:10Z",
            "2026-03-01T12:00:30Z",
            "2026-03-01T12:01:10Z",
            "2026-03-01T12:02:10Z",
            "2026-03-01T12:03:10Z",
        ],
        "would_recover_by": "REJITTER",
    }
    (event,) = world.events
    assert event["change"] == "WOULD_OPEN"
    assert (event["from"], event["to"], event["sequence"]) == ("CLOSED", "CLOSED", 0)
    assert event["reason"] == "test; in WATCH the mapping is left alone"
    assert event["incident"].startswith("orders-")
    assert event["would_probe_at"] == plan["would_probe_at"]
    assert world.items() == before
    assert world.mapping_is() == "Enabled"
    assert world.invocations == []
    assert [message.approximate_receive_count for message in world.messages()] == [0]


def test_watch_circuit_twice_is_the_same_incident(world: World) -> None:
    document = world.document(world.start_execution())
    assert world.run("watch_circuit", document) == world.run("watch_circuit", document)
    assert len({event["incident"] for event in world.events}) == 1


def test_watch_circuit_mapping_cannot_be_read_raises_what_aws_said(world: World) -> None:
    world.refuse(world.lambda_, "get_event_source_mapping", "ServiceException")
    with pytest.raises(MappingNotSettled):
        world.run("watch_circuit", world.document(world.start_execution()))
    assert world.events == []
