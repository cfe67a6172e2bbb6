"""ScheduleNextProbe: wait, give up or hand over."""

from typing import Any

import pytest

from tests.functions.world import World

BEGAN = "2026-03-01T12:00:00Z"


def schedule(
    world: World, document: dict[str, Any], outcome: str, failures: int = 0, cycles: int = 0, began: str = BEGAN
) -> Any:
    """Run the step after a probe."""
    before = {**document["schedule"], "failures": failures, "cycles": cycles, "began": began, "wait_seconds": 1}
    probe = {"outcome": outcome, "reason": "test"}
    return world.run("schedule_next_probe", {**document, "schedule": before, "probe": probe})


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    """The input of an OPEN circuit's step, without jitter."""
    world.register(ProbeJitterPercent=0)
    return world.open()


def test_schedule_next_probe_each_failure_doubles_the_wait_up_to_the_cap(world: World, document: Any) -> None:
    waits = [schedule(world, document, "FAILED", failures=done)["wait_seconds"] for done in range(4)]
    assert waits == [60, 120, 120, 120]


def test_schedule_next_probe_counts_failures_and_cycles(world: World, document: Any) -> None:
    answer = schedule(world, document, "FAILED", failures=3, cycles=7)
    assert answer == {
        "next": "WAIT",
        "failures": 4,
        "successes": 0,
        "cycles": 8,
        "began": BEGAN,
        "wait_seconds": 120,
    }


def test_schedule_next_probe_nothing_to_try_is_no_failure(world: World, document: Any) -> None:
    answer = schedule(world, document, "NOTHING_TO_TRY", failures=1, cycles=1)
    assert (answer["next"], answer["failures"], answer["cycles"], answer["wait_seconds"]) == ("WAIT", 1, 2, 60)


def test_schedule_next_probe_writes_down_when(world: World, document: Any) -> None:
    schedule(world, document, "FAILED")
    item = next(item for item in world.items() if item["sk"] == "CIRCUIT")
    assert item["next_probe_at"] == "2026-03-01T12:01:00Z"


def test_schedule_next_probe_twice_is_the_same(world: World, document: Any) -> None:
    first = schedule(world, document, "FAILED", failures=1)
    items = world.items()
    assert schedule(world, document, "FAILED", failures=1) == first
    assert world.items() == items
    assert world.events == []


def test_schedule_next_probe_jitter_stays_within_its_percentage(world: World) -> None:
    world.register(ProbeJitterPercent=50)
    document = world.open()
    waits = {schedule(world, document, "FAILED")["wait_seconds"] for _ in range(20)}
    assert min(waits) >= 30
    assert max(waits) <= 60
    assert len(waits) > 1


@pytest.mark.parametrize(("failures", "expected"), [(0, "WAIT"), (1, "WAIT"), (2, "GIVE_UP"), (7, "GIVE_UP")])
def test_schedule_next_probe_gives_up_after_the_allowed_failures(world: World, failures: int, expected: str) -> None:
    world.register(MaxProbes=3)
    assert schedule(world, world.open(), "FAILED", failures=failures)["next"] == expected


def test_schedule_next_probe_without_limit_never_gives_up(world: World, document: Any) -> None:
    assert schedule(world, document, "FAILED", failures=1_000_000)["next"] == "WAIT"


def test_schedule_next_probe_hands_over_long_before_the_history_is_full(world: World, document: Any) -> None:
    assert schedule(world, document, "NOTHING_TO_TRY", cycles=498)["next"] == "WAIT"
    assert schedule(world, document, "NOTHING_TO_TRY", cycles=499)["next"] == "HAND_OVER"


def test_schedule_next_probe_hands_over_after_a_day(world: World, document: Any) -> None:
    just_short = schedule(world, document, "FAILED", began="2026-02-28T12:00:01Z")
    assert just_short["next"] == "WAIT"
    assert schedule(world, document, "FAILED", began="2026-02-28T12:00:00Z")["next"] == "HAND_OVER"


def test_schedule_next_probe_hands_over_once_a_day(world: World, document: Any) -> None:
    world.wait(24 * 3600 - 1)
    assert schedule(world, document, "FAILED")["next"] == "WAIT"
    world.wait(1)
    assert schedule(world, document, "FAILED")["next"] == "HAND_OVER"


def test_schedule_next_probe_success_that_is_not_believed_yet_is_confirmed_soon(world: World, document: Any) -> None:
    answer = schedule(world, document, "CONFIRMING", failures=7)
    assert (answer["next"], answer["failures"], answer["successes"], answer["wait_seconds"]) == ("WAIT", 7, 1, 30)


@pytest.mark.parametrize(("outcome", "successes"), [("CONFIRMING", 2), ("NOTHING_TO_TRY", 1), ("FAILED", 0)])
def test_schedule_next_probe_counts_successes_in_a_row(
    world: World, document: Any, outcome: str, successes: int
) -> None:
    document["schedule"]["successes"] = 1
    assert schedule(world, document, outcome)["successes"] == successes


def test_schedule_next_probe_document_of_an_earlier_release_has_no_successes(world: World, document: Any) -> None:
    del document["schedule"]["successes"]
    assert schedule(world, document, "CONFIRMING")["successes"] == 1
