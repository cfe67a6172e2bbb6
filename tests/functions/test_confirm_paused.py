"""ConfirmPaused: not OPEN before the mapping is Disabled."""

import pytest

from breaker import clients
from breaker.circuit_table import CircuitState
from breaker.errors import MappingNotSettled
from tests.functions.world import World


def claimed(world: World) -> dict[str, object]:
    """Claim the circuit and ask Lambda to disable the mapping."""
    document = world.document(world.start_execution())
    document["claim"] = world.run("open_circuit", document)
    return document


def test_confirm_paused_disabled_is_open_and_announced(world: World) -> None:
    document = claimed(world)
    world.wait(8)
    assert world.run("confirm_paused", document) == {"paused_at": "2026-03-01T12:00:08Z"}
    record = world.record()
    assert (record.state, record.since, record.reason) == (CircuitState.OPEN, "2026-03-01T12:00:08Z", "test")
    assert record.intent == ""
    assert world.events == [
        {
            "version": "1",
            "circuit": "orders",
            "incident": record.incident["id"],
            "sequence": 1,
            "change": "OPENED",
            "from": "CLOSED",
            "to": "OPEN",
            "reason": "test",
            "at": "2026-03-01T12:00:08Z",
            "trip": document["trip"],
            "paused_at": "2026-03-01T12:00:08Z",
        }
    ]


@pytest.mark.parametrize("state", ["Disabling", "Updating", "Enabling", "Creating"])
def test_confirm_paused_not_yet_disabled_is_to_be_retried(world: World, state: str) -> None:
    document = claimed(world)
    world.mapping_state = state
    with pytest.raises(MappingNotSettled, match=f"mapping {world.mapping_id} is {state}, not yet Disabled"):
        world.run("confirm_paused", document)
    assert world.record().state is CircuitState.CLOSED
    assert world.record().intent == "DISABLE"
    assert world.changes() == []


def test_confirm_paused_enabled_again_is_disabled_again(world: World) -> None:
    document = claimed(world)
    world.switch_mapping(enabled=True)
    with pytest.raises(MappingNotSettled):
        world.run("confirm_paused", document)
    assert world.mapping_is() == "Disabled"
    assert world.run("confirm_paused", document)


def test_confirm_paused_twice_stays_open(world: World) -> None:
    document = claimed(world)
    first = world.run("confirm_paused", document)
    assert world.run("confirm_paused", document) == first
    assert world.record().state is CircuitState.OPEN
    assert world.record().since == first["paused_at"]


def test_confirm_paused_event_cannot_be_sent_is_open_all_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    document = claimed(world)
    world.refuse(clients.events(), "put_events", "InternalException")
    world.run("confirm_paused", document)
    assert world.record().state is CircuitState.OPEN
    assert '"AnnouncementFailed"' in capsys.readouterr().out


def test_confirm_paused_event_is_not_accepted_is_open_all_the_same(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    monkeypatch.setattr(clients.events(), "put_events", lambda **_: refused)
    world.run("confirm_paused", claimed(world))
    assert world.record().state is CircuitState.OPEN
    assert '"AnnouncementFailed"' in capsys.readouterr().out
