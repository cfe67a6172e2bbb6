"""The mailbox: whatever the breaker tells arrives in it, in order, and nobody else's events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lab.mailbox import Mailbox


class Cloud:
    """What a mailbox needs of a lab."""

    def client(self, service: str) -> Any:
        return boto3.client(service)  # type: ignore[call-overload]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mock_aws():
        yield Mailbox(Cloud())  # type: ignore[arg-type]


def tell(source: str, **detail: Any) -> None:
    """Put an event on the bus."""
    entry = {"Source": source, "DetailType": "Circuit State Change", "Detail": json.dumps(detail)}
    boto3.client("events").put_events(Entries=[entry])  # type: ignore[list-item]


def test_mailbox_hears_every_notification(mailbox: Mailbox) -> None:
    for number in range(12):
        boto3.client("sns").publish(TopicArn=mailbox.topic, Subject=f"subject {number}", Message=f"Why: {number}")
    heard = mailbox.notices()
    assert {(notice.subject, notice.message) for notice in heard} == {
        (f"subject {number}", f"Why: {number}") for number in range(12)
    }
    assert [notice.at for notice in heard] == sorted(notice.at for notice in heard)
    assert heard[0].at > 1_700_000_000
    assert mailbox.notices() == []


def test_mailbox_hears_the_breakers_events_and_no_others_in_the_order_of_their_numbers(mailbox: Mailbox) -> None:
    tell("sqs-circuit-breaker", change="CLOSED", sequence=3)
    tell("somebody.else", change="CLOSED", sequence=2)
    tell("sqs-circuit-breaker", change="OPENED", sequence=1)
    heard = mailbox.events()
    places = [(event.at, event.event["detail"]["sequence"]) for event in heard]
    assert len(places) == 2
    assert places == sorted(places)
    assert mailbox.notices() == []
