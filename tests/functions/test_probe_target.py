"""ProbeTarget: one real message tried, held or deleted, and never received twice without need."""

import base64
import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, IncompleteReadError, ReadTimeoutError

from breaker import clients, clock
from breaker.circuit_table import CircuitState
from breaker.holding import MAX_HOLD_SECONDS
from tests.functions.world import (
    ALARM,
    LambdaRefusal,
    TargetTimedOut,
    World,
    binary,
    failing,
    processing,
    reporting_failures,
    string,
)

# Longest wait 120 s, target timeout 30 s, margin 300 s.
HIDDEN_SECONDS = 450


SCHEDULE = {"next", "failures", "successes", "cycles", "began", "wait_seconds"}


def probe(world: World, document: dict[str, Any], *, after: float = 60) -> Any:
    """Let time pass and probe; return the verdict, without how the incident goes on."""
    world.wait(after)
    return verdict_of(world.run("probe_target", document))


def verdict_of(answer: dict[str, Any]) -> dict[str, Any]:
    """Return a probe's verdict, without how the incident goes on, which every answer has."""
    assert set(answer) >= SCHEDULE
    return {name: value for name, value in answer.items() if name not in SCHEDULE}


def counters(world: World) -> dict[str, int]:
    """Return the incident's counters that are not 0."""
    incident = world.record().incident
    return {name: value for name, value in incident.items() if isinstance(value, int) and value and name != "most_held"}


# Verdicts: a message is deleted only when the target processed it


def test_probe_target_processed_deletes_the_message_and_heals(world: World) -> None:
    world.send()
    document = world.open()
    assert probe(world, document) == {
        "outcome": "HEALED",
        "reason": "the target answered PROCESSED to a message",
        "at": "2026-03-01T12:01:00Z",
    }
    assert world.messages() == []
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert counters(world) == {"probes": 1, "receives": 1, "processed_by_breaker": 1}
    (event,) = world.events
    assert (event["change"], event["from"], event["to"]) == ("PROBED", "OPEN", "OPEN")
    assert event["probe"]["outcome"] == "HEALED"


def test_probe_target_processed_while_the_alarm_is_on_is_believed_after_three_in_a_row(world: World) -> None:
    for number in range(3):
        world.send(f"order {number}")
    document = world.open()
    world.set_alarm("ALARM")
    for _ in range(2):
        world.wait(60)
        document["probe"] = world.run("probe_target", document)
        assert verdict_of(document["probe"]) == {
            "outcome": "CONFIRMING",
            "reason": "the target answered PROCESSED to a message; an alarm is still in ALARM",
            "at": document["probe"]["at"],
        }
    assert probe(world, document)["outcome"] == "HEALED"
    assert world.messages() == []
    assert counters(world) == {"probes": 3, "receives": 3, "processed_by_breaker": 3}


def test_probe_target_any_of_the_circuits_alarms_keeps_one_message_from_being_enough(world: World) -> None:
    world.make_alarm("slow")
    world.register(AlarmNames=[ALARM, "slow"])
    world.send("one")
    world.send("two")
    document = world.open()
    world.set_alarm("OK", "slow")
    assert probe(world, document)["outcome"] == "HEALED"
    world.set_alarm("ALARM", "slow")
    assert probe(world, document)["outcome"] == "CONFIRMING"


def taking(world: World, seconds: float, answer: Any = processing) -> Any:
    """Return a target that takes its time."""

    def target(event: dict[str, Any]) -> Any:
        world.wait(seconds)
        return answer(event)

    return target


def test_probe_target_processed_too_slowly_deletes_the_message_and_does_not_heal(world: World) -> None:
    world.register(SlowTargetSeconds=2.5)
    world.send()
    document = world.open()
    world.target = taking(world, 2.6)
    assert probe(world, document) == {
        "outcome": "FAILED",
        "reason": "the target answered PROCESSED to a message, but took longer than 2.5 s",
    }
    assert world.messages() == []
    assert world.held() == []
    assert counters(world) == {"probes": 1, "failed_probes": 1, "receives": 1, "processed_by_breaker": 1}


@pytest.mark.parametrize(("bound", "seconds"), [(2.5, 2.5), (0, 29)])
def test_probe_target_processed_within_the_bound_heals(world: World, bound: float, seconds: float) -> None:
    world.register(SlowTargetSeconds=bound)
    world.send()
    document = world.open()
    world.target = taking(world, seconds)
    assert probe(world, document)["outcome"] == "HEALED"


def test_probe_target_failed_slowly_stays_a_failure(world: World) -> None:
    world.register(SlowTargetSeconds=2)
    message = world.send()
    document = world.open()
    world.target = taking(world, 20, failing)
    assert probe(world, document)["reason"] == "the target answered FUNCTION_ERROR to a message"
    assert world.message(message) is not None
    assert counters(world)["failed_probes"] == 1


@pytest.mark.parametrize(
    ("target", "verdict"),
    [
        pytest.param(failing, "FUNCTION_ERROR", id="raises"),
        pytest.param(reporting_failures, "BATCH_ITEM_FAILURE", id="reports the message"),
        pytest.param(lambda event: b"{not json", "BAD_BATCH_RESPONSE", id="answers rubbish"),
        pytest.param(
            lambda event: {"batchItemFailures": [{"itemIdentifier": ""}]}, "BAD_BATCH_RESPONSE", id="reports nobody"
        ),
        pytest.param(lambda event: raised(TargetTimedOut()), "TIMEOUT", id="times out"),
        # So does a reserved concurrency of 0, with the reason ReservedFunctionConcurrentInvocationLimitExceeded.
        pytest.param(
            lambda event: raised(LambdaRefusal("TooManyRequestsException", status=429)), "THROTTLED", id="throttled"
        ),
        pytest.param(
            lambda event: raised(LambdaRefusal("ResourceNotFoundException", status=404)), "TARGET_NOT_FOUND", id="gone"
        ),
        pytest.param(lambda event: raised(LambdaRefusal("KMSDisabledException")), "INVOKE_REFUSED", id="refused"),
        pytest.param(
            lambda event: raised(LambdaRefusal("ResourceConflictException", status=409)), "INVOKE_REFUSED", id="updated"
        ),
        pytest.param(
            lambda event: raised(LambdaRefusal("RequestTooLargeException", status=413)),
            "INVOKE_REFUSED",
            id="payload too large",
        ),
    ],
)
def test_probe_target_anything_but_processed_keeps_the_message(
    world: World, target: Callable[[Any], Any], verdict: str
) -> None:
    message_id = world.send("an order")
    world.target = target
    document = world.open()
    assert probe(world, document) == {"outcome": "FAILED", "reason": f"the target answered {verdict} to a message"}
    assert world.hidden_for(message_id) == HIDDEN_SECONDS
    (held,) = world.held()
    assert (held.message_id, held.tries, held.last_tried) == (message_id, 1, int(world.now.timestamp()))
    assert counters(world) == {"probes": 1, "failed_probes": 1, "receives": 1}
    assert world.record().state is CircuitState.OPEN


def raised(error: Exception) -> None:
    """Raise, as an expression."""
    raise error


ANSWERS_LOST = [
    ReadTimeoutError(endpoint_url="https://lambda"),
    ConnectionClosedError(endpoint_url="https://lambda"),
    IncompleteReadError(actual_bytes=1, expected_bytes=2),
]


@pytest.mark.parametrize("error", ANSWERS_LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("while_reading", [True, False])
def test_probe_target_answer_lost_keeps_the_message(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, while_reading: bool
) -> None:
    world.send()
    document = world.open()

    def lose(**_: Any) -> Any:
        raise error

    answer = {"Payload": SimpleNamespace(read=lose)}
    monkeypatch.setattr(clients.lambda_invoke(), "invoke", (lambda **_: answer) if while_reading else lose)
    assert probe(world, document)["reason"] == "the target answered TIMEOUT to a message"
    assert len(world.messages()) == len(world.held()) == 1


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException", "UnrecognizedClientException"])
def test_probe_target_breaker_may_not_invoke_is_no_verdict_and_keeps_the_message(world: World, code: str) -> None:
    world.send()
    document = world.open()
    world.target = lambda event: raised(LambdaRefusal(code, status=403))
    with pytest.raises(Exception, match=code):
        probe(world, document)
    assert len(world.messages()) == len(world.held()) == 1
    assert counters(world) == {}


def test_probe_target_without_report_batch_item_failures_the_answer_is_ignored(
    make_world: Callable[..., World],
) -> None:
    world = make_world(response_types=())
    world.register()
    world.send()
    world.target = reporting_failures
    assert probe(world, world.open())["outcome"] == "HEALED"
    assert world.messages() == []


def test_probe_target_delete_refused_keeps_the_message_for_another_try(world: World) -> None:
    world.send()
    document = world.open()
    world.refuse(world.sqs, "delete_message", "RequestThrottled")
    with pytest.raises(Exception, match="RequestThrottled"):
        probe(world, document)
    assert len(world.messages()) == len(world.held()) == 1
    assert probe(world, document)["outcome"] == "HEALED"
    assert world.messages() == []


@pytest.mark.parametrize("code", ["ReceiptHandleIsInvalid", "InvalidParameterValue"])
def test_probe_target_handle_expired_while_the_target_worked_is_healed_all_the_same(world: World, code: str) -> None:
    world.send()
    document = world.open()
    world.refuse(world.sqs, "delete_message", code)
    assert probe(world, document)["outcome"] == "HEALED"
    assert world.held() == []


# The event is exactly Lambda's


def test_probe_target_event_is_what_lambda_would_send(make_world: Callable[..., World]) -> None:
    world = make_world(alias="live")
    world.register()
    attributes = {"kind": string("gift"), "amount": string("12.5", "Number"), "seal": binary(b"\x00\xff")}
    message_id = world.send('{"order_id": 1}', MessageAttributes=attributes, MessageGroupId="tenant-1")
    world.wait(5)
    probe(world, world.open())
    ((function, event),) = world.invocations
    assert function.endswith(":function:orders-target:live")
    (record,) = event["Records"]
    assert record.pop("receiptHandle")
    assert record.pop("md5OfMessageAttributes")
    assert record == {
        "messageId": message_id,
        "body": '{"order_id": 1}',
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1772366400000",
            "SenderId": record["attributes"]["SenderId"],
            "ApproximateFirstReceiveTimestamp": "1772366465000",
            "MessageGroupId": "tenant-1",
        },
        "messageAttributes": {
            "kind": {"stringValue": "gift", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "amount": {"stringValue": "12.5", "stringListValues": [], "binaryListValues": [], "dataType": "Number"},
            "seal": {"binaryValue": "AP8=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
        },
        "md5OfBody": hashlib.md5(b'{"order_id": 1}').hexdigest(),
        "eventSource": "aws:sqs",
        "eventSourceARN": world.queue_arn,
        "awsRegion": "us-east-1",
    }


# One receive, then held


def test_probe_target_lone_message_is_received_once_and_tried_every_time(world: World) -> None:
    message_id = world.send("an order", MessageAttributes={"seal": binary(b"\x00\xff")})
    world.target = failing
    document = world.open()
    for _ in range(4):
        assert probe(world, document, after=120)["reason"].startswith("the target answered FUNCTION_ERROR")
        assert world.hidden_for(message_id) == HIDDEN_SECONDS
    message = world.message(message_id)
    assert message is not None
    assert message.approximate_receive_count == 1
    assert counters(world) == {"probes": 4, "failed_probes": 4, "receives": 1}
    events = [event for _, event in world.invocations]
    assert events == [events[0]] * 4  # attributes and all, each time
    world.target = processing
    assert probe(world, document, after=120)["outcome"] == "HEALED"
    assert world.messages() == []
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}


def test_probe_target_prefers_messages_not_tried_yet_then_takes_turns(world: World) -> None:
    world.register(MaxHeldMessages=3)
    ids = {world.send(f"order {number}") for number in range(4)}
    world.target = failing
    document = world.open()
    for _ in range(9):
        assert probe(world, document, after=100)["outcome"] == "FAILED"
    tried = [event["Records"][0]["messageId"] for _, event in world.invocations]
    assert len(set(tried[:3])) == 3
    assert tried[3:] == tried[:3] * 2
    assert [world.hidden_for(name) for name in tried[:3]] == [HIDDEN_SECONDS] * 3
    (untouched,) = ids - set(tried)
    message = world.message(untouched)
    assert message is not None
    assert message.approximate_receive_count == 0


def test_probe_target_hold_that_ended_is_counted_and_the_message_received_anew(world: World) -> None:
    message_id = world.send()
    world.target = failing
    document = world.open()
    probe(world, document)
    (held,) = world.held()
    assert held.hold_ends == int(world.now.timestamp()) + MAX_HOLD_SECONDS
    probe(world, document, after=MAX_HOLD_SECONDS)
    assert [held.message_id for held in world.held()] == [message_id]
    assert counters(world) == {"probes": 2, "failed_probes": 2, "receives": 2, "holds_ended": 1}


def test_probe_target_over_12_hours_receives_a_message_once(world: World) -> None:
    world.register(MaxProbeIntervalSeconds=3600)
    message_id = world.send()
    world.target = failing
    document = world.open()
    for _ in range(12):
        assert probe(world, document, after=3550)["outcome"] in ("FAILED", "TRIAL")
    message = world.message(message_id)
    assert message is not None
    assert message.approximate_receive_count == 1
    assert counters(world) == {"probes": 12, "failed_probes": 12, "receives": 1}


def test_probe_target_last_seconds_of_a_hold_hide_no_longer_than_it(world: World) -> None:
    message_id = world.send()
    world.target = failing
    document = world.open()
    probe(world, document, after=0)
    (held,) = world.held()
    world.sqs.change_message_visibility(
        QueueUrl=world.queue_url, ReceiptHandle=held.receipt_handle, VisibilityTimeout=MAX_HOLD_SECONDS
    )
    probe(world, document, after=MAX_HOLD_SECONDS - 100)
    assert world.hidden_for(message_id) == held.hold_ends - world.now.timestamp() <= 100


def test_probe_target_message_visible_again_is_forgotten_and_received_anew(world: World) -> None:
    world.register(MaxHeldMessages=3)
    first = world.send("order 0")
    world.target = failing
    document = world.open()
    probe(world, document)
    for number in (1, 2):
        world.send(f"order {number}")
        probe(world, document)
    # The breaker was away for longer than it had hidden the messages; the first is tried from the table once more.
    probe(world, document, after=HIDDEN_SECONDS + 1)
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    probe(world, document)
    assert world.message(first) is not None
    assert counters(world) == {"probes": 5, "failed_probes": 5, "receives": 4}


def test_probe_target_message_received_although_it_was_held_is_held_once(world: World) -> None:
    message_id = world.send()
    world.target = failing
    document = world.open()
    probe(world, document)
    probe(world, document, after=HIDDEN_SECONDS + 1)
    (held,) = world.held()
    assert (held.message_id, held.receive_count) == (message_id, 2)
    assert world.hidden_for(message_id) == HIDDEN_SECONDS


def test_probe_target_at_max_receive_count_is_held_and_tried(world: World) -> None:
    message_id = world.send()
    world.receive_times(4)
    world.target = failing
    document = world.open()
    for _ in range(3):
        probe(world, document)
    (held,) = world.held()
    assert (held.message_id, held.receive_count, held.tries) == (message_id, 5, 3)
    # Not shown before the end of its hold, even if the breaker cannot work for hours.
    assert world.hidden_for(message_id) == held.hold_ends - world.now.timestamp()
    assert world.messages(url=world.dlq_url) == []


@pytest.mark.parametrize("most", [1, 2, 3])
def test_probe_target_lone_message_over_11_hours_is_received_once_whatever_its_queue_allows(
    make_world: Callable[..., World], most: int
) -> None:
    world = make_world(max_receive_count=most)
    world.register(MaxProbeIntervalSeconds=900)
    message_id = world.send()
    world.target = failing
    document = world.open()
    began = world.now
    while (world.now - began).total_seconds() < 11 * 3600:
        # A message at its last receive never leads to a trial, which would cost it that receive.
        assert probe(world, document, after=880)["outcome"] in (["FAILED"] if most == 1 else ["FAILED", "TRIAL"])
    message = world.message(message_id)
    assert message is not None
    assert message.approximate_receive_count == 1
    assert world.messages(url=world.dlq_url) == []
    assert len(world.invocations) == counters(world)["probes"] > 40


def test_probe_target_at_max_receive_count_is_hidden_to_its_end_before_it_is_tried(world: World) -> None:
    message_id = world.send()
    world.receive_times(4)
    document = world.open()
    hidden_for = []

    def killed(event: dict[str, Any]) -> None:
        hidden_for.append(world.hidden_for(message_id))
        raise LambdaRefusal("AccessDeniedException", status=403)

    world.target = killed
    with pytest.raises(Exception, match="AccessDeniedException"):
        probe(world, document)
    assert hidden_for == [MAX_HOLD_SECONDS]
    assert [held.message_id for held in world.held()] == [message_id]


def test_probe_target_repeated_after_it_was_killed_receives_no_message_again(world: World) -> None:
    world.send()
    document = world.open()
    world.target = lambda event: raised(LambdaRefusal("AccessDeniedException", status=403))
    with pytest.raises(Exception, match="AccessDeniedException"):
        probe(world, document)
    world.target = failing
    # Longer than a try takes, and the step is repeated.
    assert probe(world, document, after=300)["outcome"] == "FAILED"
    assert [message.approximate_receive_count for message in world.messages()] == [1]


# Content


def test_probe_target_largest_message_is_stored_in_chunks_and_deleted_on_settling(world: World) -> None:
    seal = bytes(range(256)) * 40
    body = "é" * ((1_048_576 - len(seal) - 100) // 2)
    world.send(body, MessageAttributes={"seal": binary(seal)})
    world.target = failing
    document = world.open()
    probe(world, document)
    (held,) = world.held()
    chunks = [item for item in world.items() if item["sk"].startswith("CONTENT#")]
    assert len(chunks) == held.chunks > 2
    assert all(len(bytes(chunk["content"])) < 400_000 for chunk in chunks)
    assert {int(item["expires_at"]) for item in world.items() if "expires_at" in item} == {held.hold_ends + 3600}
    world.target = processing
    probe(world, document)
    record = world.invocations[-1][1]["Records"][0]
    assert record["body"] == body
    assert base64.b64decode(record["messageAttributes"]["seal"]["binaryValue"]) == seal
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}


def test_probe_target_largest_message_with_ten_attributes_reaches_the_target_byte_by_byte(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    attributes = {f"a{number}": string("\u00fc\U0001f4a1" * 10) for number in range(8)}
    attributes |= {"amount": string("12.50", "Number.eur"), "seal": binary(bytes(range(256)))}
    # What JSON escapes: each takes up to six bytes there.
    mix = '\x7f"\\\t\n\u2028\U0001f4a1'
    body = mix * (1_045_000 // len(mix.encode()))
    world.send(body, MessageAttributes=attributes)
    sizes = []
    invoke = clients.lambda_invoke().invoke

    def measured(**arguments: Any) -> Any:
        sizes.append(len(arguments["Payload"]))
        return invoke(**arguments)

    monkeypatch.setattr(clients.lambda_invoke(), "invoke", measured)
    world.target = failing
    document = world.open()
    probe(world, document)
    world.target = processing
    assert probe(world, document)["outcome"] == "HEALED"
    for _, event in world.invocations:
        (record,) = event["Records"]
        assert record["body"] == body
        assert hashlib.md5(record["body"].encode()).hexdigest() == record["md5OfBody"]
        assert {name: value["dataType"] for name, value in record["messageAttributes"].items()} == {
            name: value["DataType"] for name, value in attributes.items()
        }
        assert record["messageAttributes"]["a0"]["stringValue"] == attributes["a0"]["StringValue"]
        assert base64.b64decode(record["messageAttributes"]["seal"]["binaryValue"]) == bytes(range(256))
    # Lambda takes 6 MB.
    assert max(sizes) < 2_100_000


def test_probe_target_content_incomplete_is_no_reason_to_guess(world: World) -> None:
    world.send()
    world.target = failing
    document = world.open()
    probe(world, document)
    (held,) = world.held()
    world.dynamodb.delete_item(
        TableName="circuits",
        Key={"pk": {"S": "CIRCUIT#orders"}, "sk": {"S": f"CONTENT#{held.message_id}#0"}},
    )
    assert probe(world, document) == {"outcome": "NOTHING_TO_TRY", "reason": "all 1 messages are hidden"}
    assert world.hidden_for(held.message_id) == HIDDEN_SECONDS


@pytest.fixture
def unstored(world: World) -> World:
    """A circuit whose messages' content is not stored, failing, with three places for held messages."""
    world.register(StoreHeldMessages="false", MaxHeldMessages=3)
    world.target = failing
    return world


def test_probe_target_unstored_tries_another_and_hands_the_oldest_back(unstored: World) -> None:
    world = unstored
    for number in range(5):
        world.send(f"order {number}")
    document = world.open()
    for _ in range(4):
        assert probe(world, document, after=100)["outcome"] == "FAILED"
    assert not any(key.startswith("CONTENT#") for key in world.sort_keys())
    tried = [event["Records"][0]["messageId"] for _, event in world.invocations]
    assert len(set(tried)) == 4
    assert {held.message_id for held in world.held()} == set(tried[1:])
    assert world.hidden_for(tried[0]) == 0
    assert counters(world)["receives"] == 4


def test_probe_target_unstored_lone_message_is_received_again_to_be_tried_again(unstored: World) -> None:
    world = unstored
    message_id = world.send()
    document = world.open()
    for _ in range(3):
        assert probe(world, document)["outcome"] == "FAILED"
    message = world.message(message_id)
    assert message is not None
    assert message.approximate_receive_count == 3
    world.target = processing
    assert probe(world, document)["outcome"] == "HEALED"


def test_probe_target_unstored_last_receive_is_kept_hidden_and_others_are_tried(unstored: World) -> None:
    world = unstored
    last = [world.send(f"order {number}") for number in range(3)]
    world.receive_times(4)
    document = world.open()
    for _ in range(3):
        assert probe(world, document)["outcome"] == "FAILED"
    assert probe(world, document) == {"outcome": "NOTHING_TO_TRY", "reason": "all 3 messages are hidden"}
    world.send("another")
    assert probe(world, document)["outcome"] == "FAILED"
    assert min(world.hidden_for(message_id) for message_id in last) > 40_000
    assert world.messages(url=world.dlq_url) == []


# Nothing to try


def test_probe_target_hidden_messages_mean_waiting(world: World) -> None:
    world.send()
    world.receive(seconds=600)
    document = world.open()
    assert probe(world, document) == {"outcome": "NOTHING_TO_TRY", "reason": "all 1 messages are hidden"}
    assert counters(world) == {}
    assert world.changes() == ["PROBED"]


def test_probe_target_messages_behind_a_hidden_one_of_their_group_mean_waiting(
    make_world: Callable[..., World],
) -> None:
    world = make_world(fifo=True)
    world.register()
    world.send("1", MessageGroupId="tenant-1")
    world.sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=1, VisibilityTimeout=600)
    world.send("2", MessageGroupId="tenant-1")
    answer = probe(world, world.open())
    assert answer == {"outcome": "NOTHING_TO_TRY", "reason": "none of 1 visible messages can be probed with"}


def test_probe_target_delayed_messages_mean_waiting(world: World) -> None:
    world.send(DelaySeconds=900)
    document = world.open()
    assert probe(world, document) == {"outcome": "NOTHING_TO_TRY", "reason": "all 1 messages are delayed"}


@pytest.mark.parametrize("state", ["ALARM", "OK", "INSUFFICIENT_DATA", None])
def test_probe_target_empty_queue_is_said_so_whatever_the_alarm_says(world: World, state: str | None) -> None:
    document = world.open()
    if state:
        world.set_alarm(state)
    else:
        world.cloudwatch.delete_alarms(AlarmNames=["orders-error-rate"])
    assert probe(world, document) == {"outcome": "QUEUE_EMPTY", "reason": "the queue is empty"}


@pytest.mark.parametrize("state", ["Enabled", "Enabling"])
def test_probe_target_mapping_enabled_by_somebody_else_is_overridden(world: World, state: str) -> None:
    message_id = world.send()
    document = world.open()
    world.switch_mapping(enabled=True)
    world.mapping_state = state
    answer = probe(world, document)
    assert answer == {"outcome": "OVERRIDDEN", "reason": f"somebody else has enabled the mapping, it is {state}"}
    message = world.message(message_id)
    assert message is not None
    assert message.approximate_receive_count == 0
    assert world.invocations == []


def test_probe_target_mapping_deleted_by_somebody_is_said_so(world: World) -> None:
    world.send()
    document = world.open()
    world.mapping_state = "Deleting"
    assert probe(world, document)["reason"] == "the mapping has been deleted, it is Deleting"
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    answer = probe(world, document)
    assert answer == {"outcome": "MAPPING_GONE", "reason": "the mapping has been deleted, it is Deleted"}
    assert world.invocations == []


# How the incident goes on


def test_probe_target_failure_is_counted_and_the_next_probe_written_down(world: World) -> None:
    world.register(ProbeJitterPercent=0)
    for _ in range(5):
        world.send()
    world.target = failing
    document = world.open()
    for failures, wait in ((1, 60), (2, 120), (3, 120)):
        world.wait(60)
        document["probe"] = world.run("probe_target", document)
        going_on = {name: document["probe"][name] for name in ("next", "failures", "cycles", "wait_seconds")}
        assert going_on == {"next": "WAIT", "failures": failures, "cycles": failures, "wait_seconds": wait}
        item = next(item for item in world.items() if item["sk"] == "CIRCUIT")
        assert item["next_probe_at"] == clock.iso(clock.now() + timedelta(seconds=wait))


def test_probe_target_last_failure_allowed_gives_up(world: World) -> None:
    world.register(MaxProbes=2)
    world.send()
    world.target = failing
    document = world.open()
    said = []
    for _ in range(2):
        world.wait(60)
        document["probe"] = world.run("probe_target", document)
        said.append(document["probe"]["next"])
    assert said == ["WAIT", "GIVE_UP"]


def test_probe_target_says_of_no_next_probe_where_there_is_none(world: World) -> None:
    world.send()
    document = world.open()
    first = next(item for item in world.items() if item["sk"] == "CIRCUIT")["next_probe_at"]
    assert probe(world, document)["outcome"] == "HEALED"
    assert next(item for item in world.items() if item["sk"] == "CIRCUIT")["next_probe_at"] == first


def test_probe_target_held_open_looks_again_in_five_minutes_and_names_the_end(world: World) -> None:
    world.send()
    document = world.open()
    until = clock.iso(clock.now() + timedelta(hours=2))
    world.table.write("orders", owner=document["execution"], sets={"incident.hold_until": until})
    world.wait(60)
    answer = world.run("probe_target", document)
    assert (answer["outcome"], answer["wait_seconds"], answer["failures"]) == ("HELD_OPEN", 300, 0)
    assert next(item for item in world.items() if item["sk"] == "CIRCUIT")["next_probe_at"] == until
    world.wait(2 * 3600 - 90)
    assert world.run("probe_target", {**document, "probe": answer})["wait_seconds"] == 30


def test_probe_target_goes_on_from_the_schedule_of_a_release_before(world: World) -> None:
    world.register(ProbeJitterPercent=0)
    world.send()
    world.target = failing
    document = world.open()
    document["schedule"] = {**document["schedule"], "failures": 4, "cycles": 6}
    document["probe"] = {"outcome": "FAILED", "reason": "as it was said then"}
    answer = world.run("probe_target", document)
    assert (answer["failures"], answer["cycles"], answer["wait_seconds"]) == (5, 7, 120)


# Nothing else can be probed: the mapping itself is tried

TRIAL = {
    "outcome": "TRIAL",
    "reason": "the target answered FUNCTION_ERROR to a message; too few others can be probed with to decide",
}


def outcomes(world: World, document: dict[str, Any], count: int) -> list[str]:
    """Probe so many times and return what came of it."""
    return [probe(world, document)["outcome"] for _ in range(count)]


@pytest.mark.parametrize("messages", [1, 2])
def test_probe_target_few_messages_that_go_on_failing_need_a_trial(world: World, messages: int) -> None:
    for number in range(messages):
        world.send(f"order {number}")
    world.target = failing
    document = world.open()
    assert outcomes(world, document, 3 * messages - 1) == ["FAILED"] * (3 * messages - 1)
    assert probe(world, document) == TRIAL
    # It counts as the failed probe it was.
    assert counters(world)["failed_probes"] == 3 * messages
    assert len(world.held()) == len(world.messages()) == messages


def test_probe_target_several_messages_that_fail_decide_without_a_trial(world: World) -> None:
    for number in range(3):
        world.send(f"order {number}")
    world.target = failing
    assert set(outcomes(world, world.open(), 15)) == {"FAILED"}


@pytest.mark.parametrize("others", ["hidden", "delayed", "last receive"])
def test_probe_target_messages_that_come_by_themselves_are_waited_for(world: World, others: str) -> None:
    if others == "hidden":
        world.send("hidden")
        world.receive(seconds=3600)
    elif others == "delayed":
        world.send("delayed", DelaySeconds=900)
    else:
        world.send("last receive")
        world.receive_times(4)
    world.send("poison")
    world.target = failing
    assert set(outcomes(world, world.open(), 8)) == {"FAILED"}


def test_probe_target_fifo_group_behind_poison_needs_a_trial(make_world: Callable[..., World]) -> None:
    world = make_world(fifo=True)
    world.register()
    for number in range(3):
        world.send(str(number), MessageGroupId="tenant-1")
    world.target = failing
    assert outcomes(world, world.open(), 3) == ["FAILED", "FAILED", "TRIAL"]


def test_probe_target_unstored_lone_message_never_needs_a_trial(unstored: World) -> None:
    world = unstored
    world.send()
    assert set(outcomes(world, world.open(), 8)) == {"FAILED", "NOTHING_TO_TRY"}
    assert world.messages(url=world.dlq_url) == []


# Messages that the mapping would drop


@pytest.fixture
def filtering(world: World) -> World:
    """A circuit whose mapping takes gifts only."""
    return with_filter(world)


def with_filter(world: World, **settings: Any) -> World:
    """Register a circuit whose mapping takes gifts only."""
    criteria = {"Filters": [{"Pattern": '{"body": {"kind": ["gift"]}}'}]}
    world.lambda_.update_event_source_mapping(UUID=world.mapping_id, FilterCriteria=criteria)
    world.register(**settings)
    return world


GIFT = '{"kind": "gift"}'
SALE = '{"kind": "sale"}'


def test_probe_target_filtered_messages_are_held_and_never_sent_to_the_target(filtering: World) -> None:
    world = filtering
    sales = {world.send(body) for body in (SALE, "no JSON", "[]")}
    gift = world.send(GIFT)
    document = world.open()
    assert probe(world, document)["outcome"] == "HEALED"
    assert [event["Records"][0]["messageId"] for _, event in world.invocations] == [gift]
    assert {message.id for message in world.messages()} == sales
    held = world.held()
    assert {message.message_id for message in held} == sales
    assert {(message.filtered, message.chunks, message.tries) for message in held} == {(True, 0, 0)}
    assert [world.hidden_for(message_id) for message_id in sales] == [HIDDEN_SECONDS] * 3
    assert counters(world) == {"probes": 1, "receives": 4, "processed_by_breaker": 1}


def test_probe_target_filtered_messages_take_no_place_of_those_that_count(filtering: World) -> None:
    world = filtering
    world.register(MaxHeldMessages=3)
    for number in range(3):
        world.send(SALE)
        world.send(SALE)
        world.send(f'{{"kind": "gift", "number": {number}}}')
    world.target = failing
    document = world.open()
    assert outcomes(world, document, 9) == ["FAILED"] * 9
    bodies = [json.loads(event["Records"][0]["body"]) for _, event in world.invocations]
    assert sorted(body["number"] for body in bodies) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert max(message.approximate_receive_count for message in world.messages()) == 1


def test_probe_target_probe_receives_ten_messages_at_most(filtering: World) -> None:
    world = filtering
    for _ in range(25):
        world.send(SALE)
    world.send(GIFT)
    document = world.open()
    assert probe(world, document) == {
        "outcome": "NOTHING_TO_TRY",
        "reason": "none of 16 visible messages can be probed with",
    }
    assert (len(world.held()), counters(world)) == (10, {"receives": 10})
    assert outcomes(world, document, 2) == ["NOTHING_TO_TRY", "HEALED"]


def test_probe_target_nothing_but_filtered_messages_needs_a_trial(filtering: World) -> None:
    world = filtering
    for _ in range(3):
        world.send(SALE)
    document = world.open()
    assert probe(world, document) == {
        "outcome": "TRIAL",
        "reason": "the mapping would drop all messages that can be received",
    }
    assert world.invocations == []
    assert len(world.messages()) == 3


def test_probe_target_filtered_messages_without_end_need_a_trial(
    filtering: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = filtering
    monkeypatch.setattr("breaker.holding.MOST_FILTERED", 20)
    for _ in range(30):
        world.send(SALE)
    assert outcomes(world, world.open(), 3) == ["NOTHING_TO_TRY", "NOTHING_TO_TRY", "TRIAL"]
    assert len(world.held()) == 20


def test_probe_target_fifo_group_behind_a_filtered_message_needs_a_trial(make_world: Callable[..., World]) -> None:
    world = with_filter(make_world(fifo=True))
    world.send(SALE, MessageGroupId="tenant-1")
    world.send(GIFT, MessageGroupId="tenant-1")
    assert outcomes(world, world.open(), 1) == ["TRIAL"]
    assert world.invocations == []


def test_probe_target_filtered_message_is_never_handed_back_by_unstored_probes(world: World) -> None:
    with_filter(world, StoreHeldMessages="false")
    sale, _ = world.send(SALE), world.send(GIFT)
    world.target = failing
    assert outcomes(world, world.open(), 3) == ["FAILED"] * 3
    message = world.message(sale)
    assert message is not None
    assert message.approximate_receive_count == 1
    assert len(world.invocations) == 3


def test_probe_target_filtered_message_that_came_back_is_held_once(filtering: World) -> None:
    world = filtering
    sale = world.send(SALE)
    document = world.open()
    probe(world, document)
    probe(world, document, after=HIDDEN_SECONDS + 1)
    assert [message.receive_count for message in world.held()] == [2]
    assert world.hidden_for(sale) == HIDDEN_SECONDS


# Errors


@pytest.mark.parametrize(
    ("client", "operation", "code"),
    [
        ("sqs", "receive_message", "OverLimit"),
        ("sqs", "change_message_visibility_batch", "RequestThrottled"),
        ("dynamodb", "put_item", "ProvisionedThroughputExceededException"),
        ("dynamodb", "transact_write_items", "TransactionInProgressException"),
        ("lambda_", "get_event_source_mapping", "TooManyRequestsException"),
    ],
)
def test_probe_target_call_refused_loses_no_message(world: World, client: str, operation: str, code: str) -> None:
    message_id = world.send()
    world.target = failing
    document = world.open()
    world.refuse(getattr(world, client), operation, code)
    with pytest.raises(Exception, match=code):
        probe(world, document)
    assert world.message(message_id) is not None
    world.wait(600)
    assert probe(world, document)["outcome"] == "FAILED"
    world.target = processing
    assert probe(world, document)["outcome"] == "HEALED"
    assert len(world.messages()) == 0


def test_probe_target_taken_over_by_the_transaction_is_named_so(world: World) -> None:
    world.send()
    document = world.open()
    transact = world.dynamodb.transact_write_items

    def after_a_take_over(**arguments: Any) -> Any:
        world.dynamodb.transact_write_items = transact
        world.take_over()
        return transact(**arguments)

    world.dynamodb.transact_write_items = after_a_take_over
    try:
        with pytest.raises(Exception, match=r"circuit orders: .*:first does not own it any more") as raised_error:
            probe(world, document)
    finally:
        world.dynamodb.transact_write_items = transact
    assert type(raised_error.value).__name__ == "CircuitTakenOver"
    assert world.invocations == []
    assert len(world.messages()) == 1


# Groups


def test_probe_target_fair_queue_holds_no_group_back(world: World) -> None:
    for number in range(3):
        world.send(f"order {number}", MessageGroupId="tenant-1")
    world.target = failing
    assert outcomes(world, world.open(), 3) == ["FAILED"] * 3
    records = [event["Records"][0] for _, event in world.invocations]
    assert len({record["messageId"] for record in records}) == 3
    assert {record["attributes"]["MessageGroupId"] for record in records} == {"tenant-1"}


def test_probe_target_fifo_handle_expired_counts_as_processed_and_the_message_comes_again(
    make_world: Callable[..., World],
) -> None:
    # SQS refuses to delete by a handle of a FIFO queue that has expired. The target has processed the message, so the
    # probe tells the truth; the message comes again, as after every delete that comes too late for a poller.
    world = make_world(fifo=True)
    world.register()
    message_id = world.send("1", MessageGroupId="tenant-1")
    document = world.open()
    world.refuse(world.sqs, "delete_message", "InvalidParameterValue")
    assert probe(world, document)["outcome"] == "HEALED"
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}
    assert [message.id for message in world.messages()] == [message_id]
    assert probe(world, document, after=HIDDEN_SECONDS)["outcome"] == "HEALED"
    assert [event["Records"][0]["messageId"] for _, event in world.invocations] == [message_id] * 2
    assert world.messages() == []


# FIFO


def test_probe_target_fifo_tries_one_message_of_a_group(make_world: Callable[..., World]) -> None:
    world = make_world(fifo=True)
    world.register()
    first = world.send("1", MessageGroupId="tenant-1")
    world.send("2", MessageGroupId="tenant-1")
    world.target = failing
    document = world.open()
    assert outcomes(world, document, 2) == ["FAILED"] * 2
    assert {event["Records"][0]["messageId"] for _, event in world.invocations} == {first}
    world.target = processing
    probe(world, document)
    assert [message.body for message in world.messages()] == ["2"]


def test_probe_target_settings_of_a_later_release_are_ignored(world: World) -> None:
    world.send()
    document = world.open()
    document["circuit"]["settings"]["Colour"] = "red"
    assert probe(world, json.loads(json.dumps(document)))["outcome"] == "HEALED"


# What the report tells


def test_probe_target_counts_the_most_messages_held_at_once(world: World) -> None:
    document = world.open()
    world.target = failing
    for _ in range(3):
        world.send()
    held = []
    for _ in range(3):
        world.run("probe_target", document)
        held.append(world.record().incident["most_held"])
    assert held == [1, 2, 3]
    world.target = processing
    world.run("probe_target", document)
    assert world.record().incident["most_held"] == 3
