"""What is announced, and that a failure to announce stops nothing and shows."""

import json
from typing import Any

import boto3
import pytest
from moto import mock_aws

from breaker import announcements, clients
from breaker.announcements import Announcement, Change, announce
from tests.schemas.schema_files import STATE_CHANGE, check_announcement, examples, schema


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        for make in (clients.sns, clients.events):
            make.cache_clear()
        yield
    for make in (clients.sns, clients.events):
        make.cache_clear()


@pytest.fixture
def inbox(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Subscribe a queue to a topic; return what reads it."""
    topic = boto3.client("sns").create_topic(Name="told")["TopicArn"]
    url = boto3.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:inbox")
    monkeypatch.setenv("NOTIFICATION_TOPIC", topic)

    def read() -> list[dict[str, Any]]:
        messages = boto3.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"]) for message in messages]

    return read


def opened(reason: str = "alarm orders-error-rate is in ALARM", change: Change = Change.OPENED) -> Announcement:
    """Return an announcement whose details are as the schema describes them."""
    example = examples(change)[0]
    common = schema(STATE_CHANGE)["required"]
    details = {name: value for name, value in example.items() if name not in common}
    announcement = Announcement("orders", "orders-1", 3, change, "CLOSED", "OPEN", reason, details)
    check_announcement(announcement.detail())
    return announcement


def test_announce_notifies_with_incident_and_sequence(inbox: Any) -> None:
    assert announce(opened()) is True
    (told,) = inbox()
    assert told["Subject"].startswith("[orders] OPEN")
    assert "alarm orders-error-rate is in ALARM" in told["Subject"]
    fields = told["Message"].splitlines()
    assert {"incident: orders-1", "sequence: 3", "from: CLOSED", "to: OPEN"} <= set(fields)


@pytest.mark.parametrize("reason", ["x" * 500, "zwei\nZeilen", "Äpfel & 🍏", "\u202e reversed", "a\r\nb"])
def test_announce_any_reason_makes_a_subject_that_sns_takes(inbox: Any, reason: str) -> None:
    assert announce(opened(reason)) is True
    (told,) = inbox()
    assert 0 < len(told["Subject"]) <= 100
    assert told["Subject"].isascii()
    assert told["Subject"].isprintable()
    assert reason.splitlines()[0] in told["Message"]


@pytest.mark.parametrize("change", Change)
def test_announce_only_what_somebody_must_read_is_notified(inbox: Any, change: Change) -> None:
    announce(opened(change=change))
    routine = change in (Change.PROBED, Change.HALF_OPEN, Change.RAISED, Change.LOWERED, Change.HANDED_OVER)
    assert len(inbox()) == (0 if routine else 1)


def test_announce_every_change_has_a_metric() -> None:
    assert set(announcements._METRICS) == set(Change)


def test_announce_without_a_topic_notifies_nobody(cloud: Any) -> None:
    assert announce(opened()) is True


def test_announce_topic_that_refuses_shows_and_does_not_raise(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOTIFICATION_TOPIC", "arn:aws:sns:us-east-1:123456789012:gone")
    assert announce(opened()) is False
    assert [line.__dict__["error_code"] for line in caplog.records if line.levelname == "ERROR"] == ["NotFound"]
    assert "AnnouncementFailed" in capsys.readouterr().out


def states_written(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, list[int]]]:
    """Return circuit and value of each metric CircuitState that was written."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    return [(line["circuit"], line["CircuitState"]) for line in lines if "CircuitState" in line]


@pytest.mark.parametrize(
    ("before", "after", "values"),
    [
        ("CLOSED", "OPEN", [2]),
        ("OPEN", "HALF_OPEN", [1]),
        ("HALF_OPEN", "CLOSED", [0]),
        ("OPEN", "OPEN", []),  # a probe changes nothing
        ("", "", []),  # what failed did not know its circuit
        ("CLOSED", "", []),
    ],
)
def test_announce_change_of_state_is_a_metric_that_a_dashboard_can_draw(
    capsys: pytest.CaptureFixture[str], before: str, after: str, values: list[int]
) -> None:
    announce(Announcement("orders", "orders-1", 3, Change.OPENED, before, after, "why"))
    assert states_written(capsys) == [("orders", [value]) for value in values]
