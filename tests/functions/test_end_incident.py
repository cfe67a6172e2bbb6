"""EndIncident: the claim is released, once, and the incident summed up."""

from typing import Any

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import CircuitTakenOver
from tests.functions.world import World


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """The input of the step, after an outage of ten minutes."""
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    world.wait(600)
    document["closing"] = world.run("close_circuit", document)
    document["enabled"] = world.run("confirm_enabled", document)
    world.events.clear()
    return document


def test_end_incident_closes_releases_the_claim_and_sums_up(world: World, document: Any) -> None:
    incident = world.record().incident
    report = world.run("end_incident", document)
    assert report == {
        "version": "1",
        "circuit": "orders",
        "incident": incident["id"],
        "outcome": "HEALED",
        "cause": document["trip"],
        "errors_began_at": None,
        "opened_at": "2026-03-01T12:00:00Z",
        "closed_at": "2026-03-01T12:10:00Z",
        "duration_seconds": 600,
        "probes": 0,
        "failed_probes": 0,
        "receives": 0,
        "holds_ended": 0,
        "handed_back": 0,
        "processed_by_breaker": 0,
        "rejittered": 0,
        "duplicated": 0,
        "left_alone": 0,
        "hand_overs": 0,
        "reopened": 0,
        "redriven": 0,
        "most_held": 0,
        # Nothing was called, and CloudWatch has seen nothing of the queues.
        "most_waiting": None,
        "oldest_message_seconds": None,
        "failed_calls": 0,
        "failed_messages": None,
        "receives_burnt": 0,
        "receives_burnt_from": "CALLS",
        "dead_lettered": None,
        "redrive": None,
    }
    record = world.record()
    assert (record.state, record.owner, record.incident, record.intent) == (CircuitState.CLOSED, "", {}, "")
    assert record.last_incident == {"execution": document["execution"], "summary": report}
    (event,) = world.events
    assert (event["change"], event["from"], event["to"]) == ("CLOSED", "HALF_OPEN", "CLOSED")
    assert (event["report"], event["incident"]) == (report, incident["id"])


def test_end_incident_report_is_in_the_log(world: World, document: Any, caplog: pytest.LogCaptureFixture) -> None:
    report = world.run("end_incident", document)
    (line,) = [line for line in caplog.records if line.message.startswith("CLOSED: messages flow again")]
    assert line.__dict__["report"] == report


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        ("MAPPING_GONE", "messages flow again: MAPPING_GONE"),
        ("DISABLED_BY_OTHERS", "somebody else has disabled the mapping: DISABLED_BY_OTHERS"),
    ],
)
def test_end_incident_says_how_it_ended(world: World, document: Any, outcome: str, reason: str) -> None:
    world.table.write("orders", owner=document["execution"], sets={"incident.outcome": outcome})
    assert world.run("end_incident", document)["outcome"] == outcome
    assert world.events[0]["reason"] == reason


def test_end_incident_answer_lost_repeats_report_and_announcement(world: World, document: Any) -> None:
    first = world.run("end_incident", document)
    items = world.items()
    world.wait(60)
    assert world.run("end_incident", document) == first
    assert world.items() == items
    assert world.changes() == ["CLOSED", "CLOSED"]
    assert len({event["sequence"] for event in world.events}) == 1


def test_end_incident_write_repeated_by_the_sdk_is_known_as_its_own(
    world: World, document: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = world.dynamodb.update_item

    def answer_lost(**arguments: Any) -> Any:
        update(**arguments)
        return update(**arguments)

    monkeypatch.setattr(world.dynamodb, "update_item", answer_lost)
    assert world.run("end_incident", document)["outcome"] == "HEALED"
    assert world.record().state is CircuitState.CLOSED
    assert world.changes() == ["CLOSED"]


def test_end_incident_claim_lost_at_the_last_moment_stops_it(world: World, document: Any) -> None:
    world.refuse(world.dynamodb, "update_item", "ConditionalCheckFailedException")
    with pytest.raises(CircuitTakenOver):
        world.run("end_incident", document)
    assert world.record().state is CircuitState.HALF_OPEN
    assert world.changes() == []


def test_end_incident_next_incident_begun_meanwhile_is_left_alone(world: World, document: Any) -> None:
    world.run("end_incident", document)
    second = world.open("second")
    with pytest.raises(CircuitTakenOver):
        world.run("end_incident", document)
    assert world.record().owner == second["execution"]
    assert world.mapping_is() == "Disabled"


def test_end_incident_next_trip_is_a_new_incident(world: World, document: Any) -> None:
    first = world.run("end_incident", document)
    second = world.open("second")
    assert second["claim"]["incident"] != first["incident"]
    assert world.record().incident["probes"] == 0
