"""RedriveDeadLetters: what the incident dead-lettered goes back, once, at a bounded rate, and only where it is sure."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from breaker import clock, redriving
from breaker.errors import CircuitTakenOver
from breaker.redriving import LONGEST_REDRIVE_SECONDS, LONGEST_RUN_SECONDS
from tests.functions.world import Context, World, binary, string

OUTAGE = "2026-03-01T12:05:00Z"
END, WATCH = "END", "WATCH"


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A circuit that asks for a redrive."""
    world = make_world()
    world.register(Redrive="true", RedrivePerSecond="10")
    return world


def count_minutes(world: World, minutes: int, *, failed: int) -> None:
    """Let minutes pass, in each of which ten calls are counted."""
    for _ in range(minutes):
        world.count_calls(10, failed=failed)
        world.wait(60)


def count_dead_letters(world: World, visible: int, *, hidden: int = 0) -> None:
    """Have CloudWatch see messages in the dead-letter queue."""
    values = {"Visible": visible, "NotVisible": hidden}
    world.publish(
        "AWS/SQS",
        {"QueueName": "orders-dlq"},
        {f"ApproximateNumberOfMessages{kind}": value for kind, value in values.items()},
    )


def dead_letter(world: World, *bodies: str, **more: Any) -> list[str]:
    """Send messages and have them received too often. Returns their ids."""
    ids = [world.send(body, **more) for body in bodies]
    for _ in range(6):
        while world.receive(seconds=1):
            pass
        world.wait(1)
    return ids


def healed(world: World, *bodies: str, **more: Any) -> dict[str, Any]:
    """Go through an outage that begins at 12:05 and dead-letters messages; return the input of the step."""
    count_minutes(world, 5, failed=0)
    count_minutes(world, 3, failed=10)
    dead_letter(world, *bodies, **more)
    return recovered(world)


def recovered(world: World, outcome: str = "HEALED") -> dict[str, Any]:
    """Open now, recover ten minutes later, and return the input of the step."""
    document = world.open(probe={"outcome": outcome, "reason": "test"})
    world.wait(600)
    document["closing"] = world.run("close_circuit", document)
    document["enabled"] = world.run("confirm_enabled", document)
    world.wait(300)
    return document


def redrive(world: World, document: dict[str, Any], **more: Any) -> Any:
    """Run the step once, and return how it goes on."""
    return world.run("redrive_dead_letters", document, **more)["next"]


def dead_bodies(world: World) -> list[str]:
    """Return the bodies in the dead-letter queue."""
    return sorted(message.body for message in world.messages(url=world.dlq_url))


def bodies(world: World) -> list[str]:
    """Return the bodies in the queue."""
    return sorted(message.body for message in world.messages())


def result(world: World) -> str:
    """Return what came of the redrive."""
    return str(world.record().incident["redrive"]["result"])


# Moving


def test_redrive_moves_what_the_incident_dead_lettered_and_ends_when_nothing_is_left(world: World) -> None:
    orders = [f"order {number:02}" for number in range(25)]
    document = healed(world, *orders)
    assert redrive(world, document) == WATCH
    assert (bodies(world), dead_bodies(world)) == (orders, [])
    assert result(world) == ""
    assert redrive(world, document) == END
    incident = world.record().incident
    assert (incident["dead_lettered"], incident["redriven"], incident["duplicated"]) == (25, 25, 0)
    assert result(world) == "done"
    assert redrive(world, document) == END


def test_redrive_copy_keeps_body_attributes_and_group_and_is_not_delayed(world: World) -> None:
    attributes = {"kind": string("gift"), "amount": string("12.5", "Number.eur"), "seal": binary(b"\x00\xff")}
    document = healed(world, '{"order_id": "é"}', MessageAttributes=attributes, MessageGroupId="tenant-1")
    redrive(world, document)
    (copy,) = world.receive()
    assert (copy["Body"], copy["MessageAttributes"]) == ('{"order_id": "é"}', attributes)
    assert copy["Attributes"]["MessageGroupId"] == "tenant-1"
    assert copy["Attributes"]["ApproximateReceiveCount"] == "1"
    assert "DeadLetterQueueSourceArn" not in copy["Attributes"]


def test_redrive_is_no_faster_than_its_rate(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.register(Redrive="true", RedrivePerSecond="2")
    document = healed(world, *(f"order {number:02}" for number in range(20)))
    began = world.now.timestamp()
    redrive(world, document)
    sent = sorted(message.sent_timestamp / 1000 - began for message in world.messages())
    assert len(sent) == 20
    assert all(at >= number // 2 for number, at in enumerate(sent))


def test_redrive_piece_is_bounded_and_judged_before_the_next(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 2)
    document = healed(world, *(f"order {number:02}" for number in range(25)))
    before = world.record().incident["recovery"]["began"]
    assert redrive(world, document) == WATCH
    assert len(dead_bodies(world)) == 5
    began = world.record().incident["recovery"]["began"]
    assert before < began == clock.iso(world.now)
    assert redrive(world, document) == WATCH
    assert dead_bodies(world) == []


def test_redrive_is_watched_when_the_metrics_of_the_piece_are_expected(world: World) -> None:
    document = healed(world, "order")
    answer = world.run("redrive_dead_letters", document)
    # The piece ends at 12:23:07: the first whole minute after it at 12:25:00, and 90 s is CloudWatch's delay.
    assert clock.iso(world.now + timedelta(seconds=answer["wait_seconds"])) == "2026-03-01T12:26:30Z"


def test_redrive_that_has_moved_nothing_yet_is_gone_on_with_within_a_metric_period(world: World) -> None:
    document = healed(world, "order")
    world.refuse(world.sqs, "receive_message", "RequestThrottled")
    with pytest.raises(Exception, match="RequestThrottled"):
        redrive(world, document)
    assert len(world.receive(url=world.dlq_url)) == 1, "as a piece that was killed leaves it"
    world.wait(1)
    assert redrive(world, document) == WATCH, "what the killed piece may have moved is watched"
    world.wait(240)
    for _ in range(3):
        answer = world.run("redrive_dead_letters", document)
        assert answer["next"] == WATCH
        assert 1 <= answer["wait_seconds"] <= 60
        world.wait(answer["wait_seconds"])


def test_redrive_time_of_the_handler_runs_out_goes_on_in_the_next_visit(world: World) -> None:
    document = healed(world, *(f"order {number:02}" for number in range(15)))
    left = iter([900, 30])
    assert redrive(world, document, context=Context(lambda: next(left))) == WATCH
    assert world.record().incident["redriven"] == 10
    assert redrive(world, document) == WATCH
    assert world.record().incident["redriven"] == 15


def test_redrive_nothing_was_dead_lettered_ends_at_once_without_another_watch(world: World) -> None:
    document = healed(world)
    before = world.record().incident["recovery"]
    assert redrive(world, document) == END
    incident = world.record().incident
    assert (incident["dead_lettered"], incident["redriven"], incident["recovery"]) == (0, 0, before)
    assert result(world) == "done"


# What stays


def test_redrive_message_that_is_dead_lettered_again_is_not_moved_again(world: World) -> None:
    document = healed(world, "poison", "fine")
    assert redrive(world, document) == WATCH
    # The poison fails again; the other is processed.
    for message in world.receive(seconds=1):
        if message["Body"] == "fine":
            world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=message["ReceiptHandle"])
    dead_letter(world)
    assert dead_bodies(world) == ["poison"]
    for _ in range(3):
        assert redrive(world, document) == END
    assert (bodies(world), dead_bodies(world)) == ([], ["poison"])
    assert world.record().incident["redriven"] == 2
    assert result(world).startswith("done; 1 stay")


def test_redrive_message_that_stays_is_shown_again(world: World) -> None:
    document = healed(world, "order")
    sent_there = world.send("sent there by somebody", to=world.dlq_url)
    assert redrive(world, document) == WATCH
    assert dead_bodies(world) == ["sent there by somebody"]
    (message,) = world.messages(url=world.dlq_url)
    assert message.id == sent_there
    assert message.visible


def test_redrive_message_of_another_queue_that_shares_the_dead_letter_queue_stays(world: World) -> None:
    document = healed(world, "ours")
    policy = f'{{"deadLetterTargetArn": "{world.arn_of(world.dlq_url)}", "maxReceiveCount": "1"}}'
    other = world.make_queue("others", RedrivePolicy=policy)
    world.send("theirs", to=other)
    world.receive_times(2, url=other)
    assert dead_bodies(world) == ["ours", "theirs"]
    redrive(world, document)
    assert (bodies(world), dead_bodies(world)) == (["ours"], ["theirs"])


def test_redrive_copy_that_is_refused_keeps_its_original(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    document = healed(world, "bad", "good")
    send = world.sqs.send_message_batch

    def partly(*, QueueUrl: str, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803
        good = [entry for entry in Entries if entry["MessageBody"] != "bad"]
        answer = send(QueueUrl=QueueUrl, Entries=good) if good else {}
        return {**answer, "Failed": [{"Id": entry["Id"], "Code": "x"} for entry in Entries if entry not in good]}

    monkeypatch.setattr(world.sqs, "send_message_batch", partly)
    assert redrive(world, document) == WATCH
    assert (bodies(world), dead_bodies(world)) == (["good"], ["bad"])
    assert redrive(world, document) == END
    assert result(world).startswith("done; 1 stay")


def test_redrive_original_that_cannot_be_deleted_counts_a_duplicate(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = healed(world, "order")
    monkeypatch.setattr(world.sqs, "delete_message_batch", lambda **_: {"Failed": [{"Id": "0", "Code": "x"}]})
    redrive(world, document)
    assert (bodies(world), dead_bodies(world)) == (["order"], ["order"])
    assert world.record().incident["duplicated"] == 1


# Whether it is certain


def test_redrive_queue_that_was_empty_is_certain_whatever_was_seen_since(world: World) -> None:
    count_minutes(world, 4, failed=0)
    count_dead_letters(world, 0)
    count_minutes(world, 1, failed=0)
    count_dead_letters(world, 1)
    count_minutes(world, 3, failed=10)
    dead_letter(world, "order")
    document = recovered(world)
    assert redrive(world, document) == WATCH
    assert bodies(world) == ["order"]


@pytest.mark.parametrize(("visible", "hidden"), [(3, 0), (1, 2)])
def test_redrive_queue_that_was_not_empty_before_the_first_bad_minute_is_left_alone(
    world: World, visible: int, hidden: int
) -> None:
    count_minutes(world, 4, failed=0)
    count_dead_letters(world, visible, hidden=hidden)
    count_minutes(world, 1, failed=0)
    count_minutes(world, 3, failed=10)
    dead_letter(world, "order")
    document = recovered(world)
    assert redrive(world, document) == END
    assert dead_bodies(world) == ["order"]
    assert result(world) == f"no: 3 messages were in the dead-letter queue before the errors began at {OUTAGE}"
    assert "dead_lettered" not in world.record().incident


def test_redrive_old_dead_letters_that_nobody_has_looked_at_for_days_are_known(world: World) -> None:
    count_dead_letters(world, 2)
    world.wait(5 * 24 * 3600)
    document = healed(world, "order")
    assert redrive(world, document) == END
    assert result(world).startswith("no: 2 messages were in the dead-letter queue")


def test_redrive_old_dead_letters_that_are_gone_do_not_count(world: World) -> None:
    count_dead_letters(world, 2)
    world.wait(2 * 3600)
    count_dead_letters(world, 0)
    world.wait(24 * 3600)
    document = healed(world, "order")
    assert redrive(world, document) == WATCH


def test_redrive_opening_that_no_metric_explains_asks_for_a_queue_that_was_empty_until_then(world: World) -> None:
    count_minutes(world, 8, failed=0)
    dead_letter(world, "order")
    count_dead_letters(world, 1)
    world.wait(60)
    document = recovered(world)
    assert redrive(world, document) == END
    assert "before the errors began at" in result(world)


def test_redrive_incident_too_old_for_the_metrics_is_not_certain(world: World) -> None:
    document = healed(world, "order")
    world.wait(14 * 24 * 3600)
    assert redrive(world, document) == END
    assert result(world).startswith("no: the incident is too old")


def test_redrive_metrics_that_cloudwatch_does_not_answer_are_not_certain(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = healed(world, "order")
    page = {"MetricDataResults": [{"Id": "visible", "StatusCode": "InternalError", "Timestamps": [], "Values": []}]}

    class Paginator:
        def paginate(self, **_: Any) -> list[Any]:
            return [page]

    monkeypatch.setattr(world.cloudwatch, "get_paginator", lambda _: Paginator())
    assert redrive(world, document) == END
    assert result(world) == "no: visible: CloudWatch answered InternalError"
    assert dead_bodies(world) == ["order"]


# When it stops


@pytest.mark.parametrize("outcome", ["DISABLED_BY_OTHERS", "MAPPING_GONE", "OVERRIDDEN", "GAVE_UP"])
def test_redrive_recovery_that_nobody_judged_moves_nothing(world: World, outcome: str) -> None:
    document = healed(world, "order")
    world.table.write("orders", owner=document["execution"], sets={"incident.outcome": outcome})
    assert redrive(world, document) == END
    assert dead_bodies(world) == ["order"]
    assert result(world) == f"no: {outcome}"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"incident.reopened": 1}, "stopped: the circuit was opened again meanwhile"),
        ({"incident.outcome": "DISABLED_BY_OTHERS"}, "stopped: DISABLED_BY_OTHERS"),
    ],
)
def test_redrive_stops_where_things_have_changed(
    world: World, changes: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 1)
    document = healed(world, *(f"order {number:02}" for number in range(25)))
    assert redrive(world, document) == WATCH
    left = dead_bodies(world)
    assert left
    world.table.write("orders", owner=document["execution"], sets=changes)
    assert redrive(world, document) == END
    assert dead_bodies(world) == left
    assert result(world) == why


def test_redrive_as_a_whole_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redriving, "LONGEST_RUN_SECONDS", 1)
    document = healed(world, *(f"order {number:02}" for number in range(25)))
    assert redrive(world, document) == WATCH
    world.wait(LONGEST_REDRIVE_SECONDS)
    assert redrive(world, document) == END
    assert result(world) == "stopped: it took 6 hours"


def test_redrive_reopened_circuit_at_its_beginning_is_no_reason_to_stop(world: World) -> None:
    document = healed(world, "order")
    world.table.write("orders", owner=document["execution"], sets={"incident.reopened": 2})
    assert redrive(world, document) == WATCH
    assert redrive(world, document) == END
    assert result(world) == "done"


# Interrupted


@pytest.mark.parametrize("operation", ["receive_message", "send_message_batch", "delete_message_batch"])
@pytest.mark.parametrize("nth", [1, 2])
def test_redrive_cut_off_anywhere_moves_the_rest_later_and_loses_nothing(
    world: World, operation: str, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [f"order {number:02}" for number in range(15)]
    document = healed(world, *orders)
    call, calls = getattr(world.sqs, operation), iter(range(1, 1000))

    class Killed(BaseException):
        """The process is gone."""

    def dying(**arguments: Any) -> Any:
        if next(calls) == nth:
            raise Killed
        return call(**arguments)

    monkeypatch.setattr(world.sqs, operation, dying)
    with pytest.raises(Killed):
        redrive(world, document)
    assert set(bodies(world)) | set(dead_bodies(world)) == set(orders)
    assert redrive(world, document) == WATCH
    for _ in range(100):
        world.wait(30)
        if redrive(world, document) == END:
            break
    else:
        pytest.fail("it does not end")
    assert dead_bodies(world) == []
    assert set(bodies(world)) == set(orders)
    assert len(bodies(world)) <= len(orders) + (10 if operation == "delete_message_batch" else 0)
    assert result(world) == "done"


def test_redrive_process_that_died_is_watched_although_nothing_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = healed(world, "order")
    write, calls = world.dynamodb.update_item, iter([False, True])

    def lost(**arguments: Any) -> Any:
        if next(calls, False):
            raise OSError
        return write(**arguments)

    monkeypatch.setattr(world.dynamodb, "update_item", lost)
    with pytest.raises(OSError):
        redrive(world, document)
    assert dead_bodies(world) == []
    world.wait(10)
    assert redrive(world, document) == WATCH
    assert world.record().incident["recovery"]["began"] == clock.iso(world.now)


def test_redrive_throttled_before_anything_was_moved_is_tried_again(world: World) -> None:
    document = healed(world, "order")
    world.refuse(world.sqs, "receive_message", "RequestThrottled")
    with pytest.raises(Exception, match="RequestThrottled"):
        redrive(world, document)
    assert redrive(world, document) == WATCH
    assert bodies(world) == ["order"]


def test_redrive_throttled_in_the_middle_writes_down_what_was_moved_and_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = healed(world, *(f"order {number:02}" for number in range(15)))
    receive, calls = world.sqs.receive_message, iter([1, 2])

    def second_refused(**arguments: Any) -> Any:
        if next(calls, 0) == 2:
            error = world.sqs.exceptions.from_code("RequestThrottled")
            raise error({"Error": {"Code": "RequestThrottled", "Message": ""}}, "ReceiveMessage")
        return receive(**arguments)

    monkeypatch.setattr(world.sqs, "receive_message", second_refused)
    assert redrive(world, document) == WATCH
    assert world.record().incident["redriven"] == 10
    assert redrive(world, document) == WATCH
    assert world.record().incident["redriven"] == 15


@pytest.mark.parametrize("code", ["AccessDenied", "KmsDisabled", "AWS.SimpleQueueService.NonExistentQueue"])
def test_redrive_that_is_not_permitted_ends_and_says_so(world: World, code: str) -> None:
    document = healed(world, "order")
    world.refuse(world.sqs, "receive_message", code)
    assert redrive(world, document) == END
    assert result(world) == f"stopped: {code}"
    assert dead_bodies(world) == ["order"]
    assert redrive(world, document) == END


@pytest.mark.parametrize("operation", ["get_queue_attributes"])
def test_redrive_that_may_not_look_ends_and_says_so(world: World, operation: str) -> None:
    document = healed(world, "order")
    world.refuse(world.sqs, operation, "AccessDenied")
    assert redrive(world, document) == END
    assert result(world) == "no: AccessDenied"


def test_redrive_claim_lost_during_a_piece_stops_and_loses_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = healed(world, "order")
    receive = world.sqs.receive_message

    def taken_over(**arguments: Any) -> Any:
        world.take_over()
        monkeypatch.setattr(world.sqs, "receive_message", receive)
        return receive(**arguments)

    monkeypatch.setattr(world.sqs, "receive_message", taken_over)
    with pytest.raises(CircuitTakenOver):
        redrive(world, document)
    assert bodies(world) == ["order"]
    assert "redriven" not in world.record().incident


# The report


def test_redrive_is_in_the_incidents_report_and_announced(world: World) -> None:
    document = healed(world, "one", "two")
    while redrive(world, document) != END:
        pass
    world.events.clear()
    report = world.run("end_incident", document)
    assert (report["dead_lettered"], report["redriven"], report["redrive"]) == (2, 2, "done")
    (event,) = world.events
    assert event["report"] == report
    assert event["reason"] == "messages flow again: HEALED; redrive: done"


def test_redrive_asked_for_and_not_reached_is_in_the_report_too(world: World) -> None:
    document = healed(world, "order")
    assert world.run("end_incident", document)["redrive"] == "no: the recovery was not judged"


def test_redrive_piece_is_shorter_than_messages_stay_hidden() -> None:
    assert LONGEST_RUN_SECONDS < redriving._VISIBILITY_SECONDS
