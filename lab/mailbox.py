"""Hears what the breaker tells: its notifications through a topic, its events through a rule on the default bus."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.session import Lab

_NOTICES, _EVENTS = "lab-notices", "lab-events"
# Where the breaker's own announcements come from.
_PATTERN = {"source": ["sqs-circuit-breaker"]}


@dataclass(frozen=True)
class Heard:
    """A notification, or an event.

    Attributes
    ----------
    at
        When it was sent, seconds since the epoch.
    subject, message
        Those of a notification, "" for an event.
    event
        The whole event, empty for a notification.
    """

    at: float
    subject: str
    message: str
    event: Mapping[str, Any]


class Mailbox:
    """A topic, a rule and a queue for each, in a lab's cloud. The stack is to be given `topic`."""

    def __init__(self, lab: Lab) -> None:
        self._sqs = lab.client("sqs")
        self._queues = {name: self._sqs.create_queue(QueueName=name)["QueueUrl"] for name in (_NOTICES, _EVENTS)}
        for name, service in ((_NOTICES, "sns"), (_EVENTS, "events")):
            policy = json.dumps(_policy(self._arn(name), f"{service}.amazonaws.com"))
            self._sqs.set_queue_attributes(QueueUrl=self._queues[name], Attributes={"Policy": policy})
        self.topic: str = lab.client("sns").create_topic(Name=_NOTICES)["TopicArn"]
        lab.client("sns").subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=self._arn(_NOTICES))
        lab.client("events").put_rule(Name=_EVENTS, EventPattern=json.dumps(_PATTERN), State="ENABLED")
        lab.client("events").put_targets(Rule=_EVENTS, Targets=[{"Id": "mailbox", "Arn": self._arn(_EVENTS)}])

    def notices(self) -> list[Heard]:
        """Take out the notifications that have arrived, oldest first."""
        return _in_order([_notice(json.loads(body)) for body in self._take(_NOTICES)])

    def events(self) -> list[Heard]:
        """Take out the events that have arrived, oldest first."""
        return _in_order([_event(json.loads(body)) for body in self._take(_EVENTS)])

    def _arn(self, name: str) -> str:
        answer = self._sqs.get_queue_attributes(QueueUrl=self._queues[name], AttributeNames=["QueueArn"])
        return str(answer["Attributes"]["QueueArn"])

    def _take(self, name: str) -> list[str]:
        bodies: list[str] = []
        while True:
            answer = self._sqs.receive_message(QueueUrl=self._queues[name], MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return bodies
            for message in messages:
                bodies.append(message["Body"])
                self._sqs.delete_message(QueueUrl=self._queues[name], ReceiptHandle=message["ReceiptHandle"])


def _policy(queue: str, service: str) -> dict[str, Any]:
    """A queue's policy that lets a service send to it."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue,
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _notice(envelope: Mapping[str, Any]) -> Heard:
    return Heard(_seconds(envelope["Timestamp"]), envelope["Subject"], envelope["Message"], {})


def _event(event: Mapping[str, Any]) -> Heard:
    # The event's own time has whole seconds, which are long here, but nothing has a better one.
    return Heard(_seconds(event["time"]), "", "", event)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _in_order(heard: list[Heard]) -> list[Heard]:
    return sorted(heard, key=lambda each: (each.at, each.event.get("detail", {}).get("sequence", 0)))
