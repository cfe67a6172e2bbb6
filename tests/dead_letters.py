"""moto does not say where a dead-lettered message came from. AWS does, in the attribute DeadLetterQueueSourceArn."""

from collections.abc import Callable
from typing import Any

from moto.sqs.models import Message, Queue, SQSBackend, sqs_backends
from moto.sqs.responses import SQSResponse


def sources_told() -> list[tuple[Any, str, Callable[..., Any]]]:
    """Return what to patch: owner, name, replacement."""
    receive = SQSBackend.receive_message
    answer = SQSResponse.receive_message

    def receive_and_note_sources(backend: SQSBackend, queue_name: str, *arguments: Any, **named: Any) -> list[Message]:
        queue = backend.get_queue(queue_name)
        before = set(_messages(queue.dead_letter_queue))
        received = receive(backend, queue_name, *arguments, **named)
        for message in set(_messages(queue.dead_letter_queue)) - before:
            message.dead_letter_source = queue.queue_arn  # type: ignore[attr-defined]
        return received

    def answer_with_sources(response: SQSResponse) -> Any:
        result = answer(response)
        received = result.result.get("Messages", [])
        queues = sqs_backends[response.current_account][response.region].queues.values()
        sources = {
            message.id: getattr(message, "dead_letter_source", None) for queue in queues for message in _messages(queue)
        }
        for message in received:
            if sources.get(message["MessageId"]) and "Attributes" in message:
                message["Attributes"]["DeadLetterQueueSourceArn"] = sources[message["MessageId"]]
        return result

    return [
        (SQSBackend, "receive_message", receive_and_note_sources),
        (SQSResponse, "receive_message", answer_with_sources),
    ]


def _messages(queue: Queue | None) -> list[Message]:
    return list(queue._messages) if queue else []
