"""What is sent to the queue: orders as a shop would send them, at a steady rate."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.background import Background

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_BATCH = 10  # SendMessageBatch takes no more.
_TICK_SECONDS = 0.1
_CATALOGUE = (
    ("TEA-ASSAM-250", "Assam leaf tea, 250 g", 890),
    ("TEA-SENCHA-100", "Sencha, 100 g", 1250),
    ("MUG-STONE-300", "Stoneware mug, 300 ml", 1490),
    ("POT-IRON-800", "Cast iron pot, 800 ml", 5400),
    ("FILTER-PAPER-80", "Paper filters, 80 pieces", 420),
    ("KETTLE-GOOSE-1L", "Gooseneck kettle, 1 l", 6900),
)
_CUSTOMERS = ("Zoë Müller", "Ana-María Núñez", "Søren Kjær", "Chloë O'Neill", "高橋 さくら", "Jan de Vries")


class OrdersNotSent(RuntimeError):
    """The queue did not take an order."""


@dataclass(frozen=True)
class Sent:
    """An order that the queue has accepted."""

    order_id: str
    message_id: str
    at: float


def make_order(order_id: str, dice: random.Random, now: datetime) -> dict[str, Any]:
    """One entry of a SendMessageBatch: an order, with the attributes that real producers add."""
    lines: list[dict[str, Any]] = [
        {"sku": sku, "description": text, "quantity": dice.randint(1, 3), "unit_price_cents": cents}
        for sku, text, cents in dice.sample(_CATALOGUE, k=dice.randint(1, 3))
    ]
    total = sum(line["quantity"] * line["unit_price_cents"] for line in lines)
    order = {
        "order_id": order_id,
        "placed_at": now.isoformat(timespec="milliseconds"),
        "customer": {"id": f"c-{dice.randint(1000, 9999)}", "name": dice.choice(_CUSTOMERS)},
        "lines": lines,
        "total_cents": total,
        "currency": dice.choice(("EUR", "EUR", "GBP", "DKK")),
    }
    return {
        "Id": order_id,
        "MessageBody": json.dumps(order, ensure_ascii=False),
        "MessageAttributes": {
            "content_type": {"DataType": "String", "StringValue": "application/json"},
            "schema_version": {"DataType": "Number", "StringValue": "3"},
            "total_cents": {"DataType": "Number.cents", "StringValue": str(total)},
            "traceparent": {
                "DataType": "String",
                "StringValue": f"00-{dice.getrandbits(128):032x}-{dice.getrandbits(64):016x}-01",
            },
            # A checksum as raw bytes: binary attributes are the ones that careless copies lose.
            "checksum": {"DataType": "Binary", "BinaryValue": dice.randbytes(16)},
        },
    }


@dataclass
class OrderStream:
    """Sends orders at a steady rate in a thread of its own until it is stopped.

    Parameters
    ----------
    per_second
        Orders per wall second.
    """

    sqs: SQSClient
    queue_url: str
    per_second: float
    seed: int = 1
    clock: Callable[[], float] = time.time
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)  # noqa: S311 - orders, not secrets
        self._run_id = uuid.uuid4().hex[:8]
        self._began = 0.0
        self._due_before = 0
        self._background = Background(
            "orders",
            self._send_due,
            every=_TICK_SECONDS,
            failed=lambda error: OrdersNotSent(f"the orders stopped: {error}"),
        )
        self.stop, self.require_working = self._background.stop, self._background.require_working

    def start(self) -> None:
        """Begin to send."""
        self._began = time.monotonic()
        self._background.start()

    def send(self, count: int) -> None:
        """Send this many orders now."""
        while count > 0:
            size = min(count, _BATCH)
            first = len(self.sent)
            entries = [
                make_order(f"{self._run_id}-{first + n + 1:06d}", self._dice, datetime.fromtimestamp(self.clock(), UTC))
                for n in range(size)
            ]
            answer = self.sqs.send_message_batch(QueueUrl=self.queue_url, Entries=entries)  # type: ignore[arg-type]
            at = self.clock()
            self.sent.extend(Sent(item["Id"], item["MessageId"], at) for item in answer.get("Successful", []))
            if answer.get("Failed"):
                raise OrdersNotSent(f"the queue refused {len(answer['Failed'])} orders: {answer['Failed'][0]}")
            count -= size

    def _send_due(self) -> None:
        due = int((time.monotonic() - self._began) * self.per_second)
        self.send(due - self._due_before)
        self._due_before = due
