"""Moving back what an incident dead-lettered: through the machine, with what may get in its way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from harness import CIRCUIT, Ended, World, after_failures, build_world, failing, healthy

from breaker import redriving


@contextmanager
def dead_lettering(
    orders: int = 30, *, before: int | None = None, surroundings: dict[str, Any] | None = None, **settings: Any
) -> Iterator[World]:
    """Yield a world in which the target fails since five minutes and orders were dead-lettered; check the end.

    `before`: what CloudWatch saw in the dead-letter queue in the minute before the errors began.
    """
    with build_world(**(surroundings or {})) as world:
        plain = {"Recovery": "IMMEDIATE", "FirstProbeSeconds": 10, "Redrive": True}
        assert world.register(**plain | settings)["Status"] == "SUCCESS"
        world.count_calls(10)
        if before is not None:
            world.count_dead_letters(before)
        world.clock.sleep(60)
        for _ in range(4):
            world.count_calls(10, failed=10)
            world.clock.sleep(60)
        world.send(orders)
        world.dead_letter_the_queue()
        assert len(world.dead_lettered()) == orders
        world.count_dead_letters(orders)
        world.clock.sleep(60)
        world.send(3)
        world.target.behaviour = after_failures(1)
        yield world
        assert world.lost() == set()
        assert world.exposed() == []


def closed(world: World, ended: Ended) -> dict[str, Any]:
    """Assert that the incident is over and return its summary."""
    ended.expect("SUCCEEDED", last="CircuitClosed")
    assert world.record()["state"] == "CLOSED"
    assert world.announced()[-1] == "CLOSED"
    assert world.announcements()[-1]["report"] == ended.output
    assert isinstance(ended.output, dict)
    return ended.output


def test_redrive_brings_back_what_the_incident_dead_lettered_and_says_so() -> None:
    with dead_lettering(30, before=0) as world:
        world.poll_every(5)
        summary = closed(world, world.run())
        assert (summary["dead_lettered"], summary["redriven"], summary["redrive"]) == (30, 30, "done")
        assert world.dead_lettered() == []
        world.drain()
        assert set(world.target.processed) == set(world.sent)


def test_redrive_that_is_not_asked_for_is_not_visited() -> None:
    with dead_lettering(3, Redrive=False) as world:
        ended = world.run()
        summary = closed(world, ended)
        assert (summary["redrive"], summary["redriven"]) == (None, 0)
        assert ended.count("RedriveDeadLetters") == 0
        assert len(world.dead_lettered()) == 3


def test_redrive_of_a_queue_that_was_not_empty_is_left_to_people() -> None:
    with dead_lettering(3, before=2) as world:
        summary = closed(world, world.run())
        assert summary["redrive"].startswith("no: 2 messages were in the dead-letter queue before the errors began at ")
        assert summary["redriven"] == 0
        assert len(world.dead_lettered()) == 3


@pytest.mark.parametrize("recovery", ["RAMP", "IMMEDIATE", "REJITTER"])
def test_redrive_waits_for_a_recovery_that_was_judged_good(recovery: str) -> None:
    with dead_lettering(5, Recovery=recovery, RejitterSeconds=0) as world:
        world.poll_every(5)
        ended = world.run()
        closed(world, ended)
        first = ended.states.index("RedriveDeadLetters")
        assert ended.states[first - 2 : first] == ("JudgeRecovery", "HowDoesItGoOn?")
        assert ended.states.count("RaiseConcurrency") == (1 if recovery == "RAMP" else 0)
        assert world.dead_lettered() == []


def test_redrive_that_does_harm_ends_with_the_circuit_open_and_is_not_taken_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 2)
    # Batches of ten; the visibility timeout spares the messages their last receive until the pause.
    with dead_lettering(60, surroundings={"max_receive_count": 5}) as world:
        world.poll_every(5)
        redrive = world.cloud.functions["RedriveDeadLettersFunction"].handler

        def harmful(event: Any, context: Any) -> Any:
            answer = redrive(event, context)
            if answer["next"] == "WATCH":
                world.target.behaviour = failing
                world.clock.after(75, lambda: world.count_calls(10, failed=10))
                world.clock.after(400, lambda: setattr(world.target, "behaviour", healthy))
            return answer

        world.cloud.functions["RedriveDeadLettersFunction"].handler = harmful
        summary = closed(world, world.run())
        assert summary["reopened"] == 1
        assert summary["redrive"] == "stopped: the circuit was opened again meanwhile"
        assert 0 < summary["redriven"] < 60
        stayed = {message.order_id for message in world.dead_lettered()}
        assert len(stayed) >= 60 - summary["redriven"]
        world.drain()
        assert set(world.target.processed) | stayed == set(world.sent)


def test_redrive_of_poison_moves_it_once() -> None:
    with dead_lettering(4, surroundings={"visibility_timeout": 5, "target_timeout": 5}) as world:
        poison = world.dead_lettered()[0].order_id

        def poisoned(world: World, event: dict[str, Any]) -> Any:
            failures = [each for each in event["Records"] if f'"{poison}"' in each["body"]]
            return {"batchItemFailures": [{"itemIdentifier": each["messageId"]} for each in failures]}

        world.target.behaviour = poisoned
        world.poll_every(2)
        ended = world.run()
        summary = closed(world, ended)
        assert (summary["redriven"], summary["reopened"]) == (4, 0)
        assert summary["redrive"].startswith("done; 1 stay")
        assert [message.order_id for message in world.dead_lettered()] == [poison]
        assert ended.count("RedriveDeadLetters") == 2


@pytest.mark.parametrize("visit", [1, 2])
def test_redrive_whose_execution_is_stopped_is_gone_on_with_by_the_successor(
    visit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 1)
    with dead_lettering(30) as world:
        world.poll_every(5)
        world.stop_in("RedriveDeadLetters", visit=visit)
        first = world.start()
        assert world.clock.wait_for(lambda: world.status(first) == "ABORTED")
        assert world.dead_lettered()
        assert world.record()["state"] == "HALF_OPEN"
        assert world.reconcile() == {CIRCUIT: "RESUMED"}
        summary = closed(world, world.finish(world.executions()[-1]))
        assert (summary["redriven"], summary["redrive"]) == (30, "done")
        assert world.dead_lettered() == []


def test_redrive_during_which_somebody_disables_the_mapping_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 1)
    with dead_lettering(30) as world:
        redrive = world.cloud.functions["RedriveDeadLettersFunction"].handler

        def and_disabled(event: Any, context: Any) -> Any:
            answer = redrive(event, context)
            if world.mapping_state() == "Enabled":
                world.set_mapping(enabled=False)
            return answer

        world.cloud.functions["RedriveDeadLettersFunction"].handler = and_disabled
        summary = closed(world, world.run())
        assert summary["redrive"] == "stopped: DISABLED_BY_OTHERS"
        assert len(world.dead_lettered()) == 30 - summary["redriven"]


def test_redrive_after_an_override_is_none() -> None:
    with dead_lettering(3) as world:
        world.target.behaviour = failing
        world.clock.after(60, lambda: world.set_mapping(enabled=True))
        summary = closed(world, world.run())
        assert (summary["outcome"], summary["redrive"]) == ("OVERRIDDEN", "no: the recovery was not judged")
        assert len(world.dead_lettered()) == 3


def test_redrive_of_an_incident_that_dead_lettered_everything_goes_by_a_trial() -> None:
    with dead_lettering(10) as world:
        world.dead_letter_the_queue()
        world.target.behaviour = healthy
        world.poll_every(5)
        summary = closed(world, world.run())
        assert (summary["outcome"], summary["redriven"]) == ("QUEUE_EMPTY", 13)
        assert set(world.target.processed) == set(world.sent)
