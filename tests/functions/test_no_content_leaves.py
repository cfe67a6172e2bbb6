"""No content of a message leaves the handlers: not in answers, logs, metrics or events.

A random token stands in the body, in every kind of attribute and in whatever the target says. It is searched for in
everything that the handlers give out. The breaker's table is the one place where it may be, while a message is held.
"""

import base64
import io
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from breaker import clients
from tests.functions.world import LambdaRefusal, TargetTimedOut, World, as_json, binary, log_to, processing, string

Target = Callable[[dict[str, Any]], Any]


class Listener:
    """Everything that the handlers gave out."""

    def __init__(self, world: World, log: io.StringIO, capsys: pytest.CaptureFixture[str]) -> None:
        self._world, self._log, self._capsys = world, log, capsys
        self._answers: list[Any] = []
        self._printed = ""

    def run(self, step: str, event: dict[str, Any]) -> Any:
        """Run a step and keep what it answers or raises."""
        try:
            answer = self._world.run(step, event)
        except Exception as error:
            self._answers.append(f"{type(error).__name__}: {error} {error.__cause__}")
            raise
        self._answers.append(answer)
        return answer

    def heard(self) -> str:
        """Return all of it as text."""
        self._printed += self._capsys.readouterr().out
        return "\n".join(
            [json.dumps(self._answers), json.dumps(self._world.events), self._log.getvalue(), self._printed]
        )


@pytest.fixture
def token() -> str:
    """A text that is nowhere by chance, and survives every encoding."""
    return "token" + secrets.token_hex(16)


@pytest.fixture
def listener(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Listener]:
    """Listen to the handlers."""
    log = io.StringIO()
    for step in STEPS:
        __import__(step)
    with log_to(log):
        yield Listener(world, log, capsys)


STEPS = (
    "load_circuit",
    "open_circuit",
    "confirm_paused",
    "probe_target",
    "schedule_next_probe",
    "rejitter_backlog",
    "settle_held_messages",
    "close_circuit",
    "confirm_enabled",
    "judge_recovery",
    "raise_concurrency",
    "redrive_dead_letters",
    "reopen_circuit",
    "end_incident",
    "reconcile_circuits",
    "record_failure",
    "show_circuits",
)


def traces_of(token: str) -> list[str]:
    """Return how the token may show: as it is, and inside base64 at any offset."""
    encoded = [base64.b64encode(b" " * pad + token.encode())[4:-4].decode() for pad in range(3)]
    return [token, token.upper(), *encoded]


def assert_nowhere(token: str, text: str) -> None:
    """Fail if the token shows in the text."""
    for trace in traces_of(token):
        assert trace not in text


def send_all_over(world: World, token: str) -> str:
    """Send a message with the token in every part that a sender chooses."""
    attributes = {
        f"n-{token}": string("x"),
        "text": string(token),
        "type": string("1", f"Number.{token}"),
        "binary": binary(token.encode()),
    }
    return world.send(json.dumps({"order_id": token}), MessageAttributes=attributes, MessageGroupId=f"group-{token}")


def targets(token: str) -> list[Target]:
    """Return targets that fail in every way, each with the token in its answer."""

    def raises(event: dict[str, Any]) -> Any:
        raise RuntimeError(f"cannot process {token}")

    def times_out(event: dict[str, Any]) -> Any:
        raise TargetTimedOut(token)

    def is_refused(event: dict[str, Any]) -> Any:
        raise LambdaRefusal(f"KMSDisabledException{token}")

    return [
        raises,
        times_out,
        is_refused,
        lambda event: token.encode(),
        lambda event: {"batchItemFailures": [{"itemIdentifier": token}]},
        lambda event: {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"], "why": token}]},
    ]


def test_no_content_leaves_a_whole_incident(world: World, listener: Listener, token: str) -> None:
    world.register(Recovery="REJITTER", MaxHeldMessages=3, Redrive="true")
    send_all_over(world, token)
    world.receive_times(6)
    assert len(world.messages(url=world.dlq_url)) == 1
    for _ in range(5):
        send_all_over(world, token)
    world.receive_times(3)
    document = world.document(world.start_execution())
    document["claim"] = listener.run("open_circuit", document)
    document["paused"] = listener.run("confirm_paused", document)
    world.set_alarm("OK")
    for target in targets(token):
        world.target = target
        document["probe"] = listener.run("probe_target", document)
        assert document["probe"]["outcome"] == "FAILED"
    world.target = lambda event: {**processing(event), "thanks": token}
    document["probe"] = listener.run("probe_target", document)
    assert document["probe"]["outcome"] == "HEALED"
    # The search is not in vain: the token is where it may be.
    assert token in as_json(world.items())
    assert token in json.dumps(world.invocations)
    assert "orders" in listener.run("show_circuits", {})
    world.wait(1)
    for step, place in (
        ("rejitter_backlog", "rejitter"),
        ("settle_held_messages", "settled"),
        ("close_circuit", "closing"),
        ("confirm_enabled", "enabled"),
        ("judge_recovery", "recovery"),
        ("redrive_dead_letters", "redrive"),
        ("end_incident", "report"),
        ("reconcile_circuits", "reconciled"),
    ):
        document[place] = listener.run(step, document)
    assert_nowhere(token, listener.heard())
    assert_nowhere(token, as_json(world.items()))
    assert document["report"]["redriven"] == 1
    # There was something to search: log lines and metrics.
    assert '"message":"PROBED: the target answered TIMEOUT' in listener.heard()
    assert '"CircuitClosed":[1.0]' in listener.heard()


def test_no_content_leaves_by_errors(world: World, listener: Listener, token: str) -> None:
    send_all_over(world, token)
    document = world.open()
    refusals: list[tuple[Any, str, str]] = [
        (world.sqs, "receive_message", "OverLimit"),
        (world.dynamodb, "put_item", "ValidationException"),
        (world.dynamodb, "transact_write_items", "TransactionCanceledException"),
        (clients.lambda_invoke(), "invoke", "AccessDeniedException"),
        (world.sqs, "delete_message", "RequestThrottled"),
    ]
    for client, operation, code in refusals:
        world.refuse(client, operation, code)
        with pytest.raises(Exception, match=code) as failure:
            listener.run("probe_target", document)
        cause = {"errorMessage": str(failure.value), "errorType": code, "stackTrace": []}
        listener.run(
            "record_failure",
            {
                "execution": document["execution"],
                "input": {"circuit": "orders"},
                "error": {"Error": code, "Cause": json.dumps(cause)},
            },
        )
        world.wait(600)
    assert_nowhere(token, listener.heard())


def test_no_content_leaves_by_an_event_that_asks_to_trip(world: World, listener: Listener, token: str) -> None:
    cause = {
        "source": "shop",
        "detail-type": "Circuit Trip Requested",
        "time": "2026-03-01T12:00:00Z",
        "detail": {"circuit": "orders", "reason": token, "error": {"message": token}},
    }
    machine = "arn:aws:states:us-east-1:123456789012:stateMachine:CircuitBreaker"
    execution = world.start_execution()
    start = {"circuit": "orders", "cause": cause}
    document = listener.run("load_circuit", {"execution": execution, "state_machine": machine, "input": start})
    document["claim"] = listener.run("open_circuit", document)
    listener.run("confirm_paused", document)
    assert_nowhere(token, listener.heard())
    assert_nowhere(token, as_json(world.items()))


def test_no_content_is_stored_where_that_is_switched_off(world: World, listener: Listener, token: str) -> None:
    world.register(StoreHeldMessages="false")
    send_all_over(world, token)
    world.target = targets(token)[0]
    document = world.open()
    listener.run("probe_target", document)
    assert len(world.held()) == 1
    assert_nowhere(token, listener.heard() + as_json(world.items()))


def test_no_content_leaves_the_examples_logs(world: World, listener: Listener, token: str) -> None:
    record = {"messageId": "m-1", "receiptHandle": "h", "body": token, "attributes": {}, "messageAttributes": {}}
    record |= {"md5OfBody": "", "eventSource": "aws:sqs", "eventSourceARN": world.queue_arn, "awsRegion": "us-east-1"}
    good = {**record, "messageId": "m-2", "body": json.dumps({"order_id": token})}
    answer = listener.run("example_target", {"Records": [good, record]})
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert_nowhere(token, listener.heard())
