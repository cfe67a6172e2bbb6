"""ReopenCircuit: what stands in place of the last probe, and when the next is. More of it: tests/statemachine."""

from typing import Any

import pytest

from tests.functions.world import World


def reopened(world: World, **last_probe: Any) -> dict[str, Any]:
    """Run the step after a recovery that was looked at three times and judged bad."""
    document = world.open()
    document["probe"] = {**document["schedule"], "outcome": "HEALED", "next": "WAIT", **last_probe}
    document["recovery"] = {"next": "REOPEN", "reason": "9 of 10 calls failed", "step": 0, "checks": 3}
    return dict(world.run("reopen_circuit", document))


def test_reopen_circuit_counts_as_a_failed_probe_and_its_looks_as_cycles(world: World) -> None:
    world.register(ProbeJitterPercent=0)
    answer = reopened(world, failures=1, successes=2, cycles=5)
    assert answer == {
        "outcome": "REOPENED",
        "reason": "9 of 10 calls failed",
        "checks": 3,
        "next": "WAIT",
        "failures": 2,
        "successes": 0,
        "cycles": 9,
        "began": answer["began"],
        "wait_seconds": 120,
    }


@pytest.mark.parametrize(("allowed", "cycles", "expected"), [(2, 0, "GIVE_UP"), (3, 0, "WAIT"), (0, 496, "HAND_OVER")])
def test_reopen_circuit_may_be_the_last_that_is_allowed(world: World, allowed: int, cycles: int, expected: str) -> None:
    world.register(MaxProbes=allowed)
    assert reopened(world, failures=1, cycles=cycles)["next"] == expected


def test_reopen_circuit_twice_is_counted_once(world: World) -> None:
    world.register(ProbeJitterPercent=0)
    document = world.open()
    document["recovery"] = {"next": "REOPEN", "reason": "bad", "step": 0, "checks": 1}
    first = world.run("reopen_circuit", document)
    items = world.items()
    assert world.run("reopen_circuit", document) == first
    assert world.items() == items
