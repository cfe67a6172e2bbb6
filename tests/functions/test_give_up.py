"""GiveUp: recorded and announced, and what happens then was chosen."""

import pytest

from breaker.circuit_table import CircuitState
from tests.functions.world import World, failing

SCHEDULE = {"next": "GIVE_UP", "failures": 3, "cycles": 4, "began": "2026-03-01T12:00:00Z", "wait_seconds": 120}


@pytest.mark.parametrize(
    ("then", "what_next"),
    [
        ("STAY_OPEN", "the mapping stays disabled until somebody acts"),
        ("CLOSE", "the mapping is enabled all the same"),
    ],
)
def test_give_up_records_and_announces_what_happens_then(world: World, then: str, what_next: str) -> None:
    world.register(OnGiveUp=then)
    answer = world.run("give_up", world.open(schedule=SCHEDULE))
    assert answer == {"then": then, "reason": f"gave up after 3 failed probes; {what_next}"}
    record = world.record()
    assert record.state is CircuitState.OPEN
    assert record.reason == answer["reason"]
    assert record.incident["outcome"] == "GAVE_UP"
    (event,) = world.events
    assert (event["change"], event["from"], event["to"]) == ("GAVE_UP", "OPEN", "OPEN")
    assert (event["then"], event["reason"]) == (then, answer["reason"])
    assert world.mapping_is() == "Disabled"


def test_give_up_forgets_the_next_probe(world: World) -> None:
    document = world.open(schedule=SCHEDULE, probe={"outcome": "FAILED", "reason": "test"})
    world.send()
    world.target = failing
    document["probe"] = world.run("probe_target", document)
    world.run("give_up", document)
    assert not any("next_probe_at" in item for item in world.items())


def test_give_up_twice_gives_the_same_answer(world: World) -> None:
    document = world.open(schedule=SCHEDULE)
    assert world.run("give_up", document) == world.run("give_up", document)


def test_give_up_reports_on_an_incident_that_stays_open(world: World) -> None:
    world.register(OnGiveUp="STAY_OPEN")
    document = world.open(schedule=SCHEDULE)
    world.wait(1200)
    world.run("give_up", document)
    report = world.events[0]["report"]
    assert (report["outcome"], report["opened_at"], report["closed_at"]) == ("GAVE_UP", "2026-03-01T12:00:00Z", None)
    assert report["duration_seconds"] == 1200


def test_give_up_leaves_the_report_to_the_end_of_the_incident_where_that_comes_soon(world: World) -> None:
    world.register(OnGiveUp="CLOSE")
    world.run("give_up", world.open(schedule=SCHEDULE))
    assert "report" not in world.events[0]
