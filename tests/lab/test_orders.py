import json
import random
from datetime import UTC, datetime

import pytest

from lab.orders import OrdersNotSent, OrderStream, make_order


class FakeQueue:
    def __init__(self, *, refuse=False):
        self.batches = []
        self.refuse = refuse

    def send_message_batch(self, **request):
        entries = request["Entries"]
        self.batches.append(entries)
        if self.refuse:
            return {"Failed": [{"Id": entry["Id"], "Code": "InternalError"} for entry in entries]}
        return {"Successful": [{"Id": entry["Id"], "MessageId": f"m-{entry['Id']}"} for entry in entries]}


def test_make_order_carries_a_body_and_attributes_of_every_kind():
    entry = make_order("o-1", random.Random(1), datetime(2026, 1, 1, tzinfo=UTC))
    order = json.loads(entry["MessageBody"])
    assert order["order_id"] == "o-1"
    assert order["total_cents"] == sum(line["quantity"] * line["unit_price_cents"] for line in order["lines"])
    kinds = {attribute["DataType"].split(".")[0] for attribute in entry["MessageAttributes"].values()}
    assert kinds == {"String", "Number", "Binary"}


def test_send_splits_into_batches_of_ten_and_records_each_order_once():
    queue = FakeQueue()
    stream = OrderStream(queue, "url", per_second=1)
    stream.send(23)
    assert [len(batch) for batch in queue.batches] == [10, 10, 3]
    assert len({order.order_id for order in stream.sent}) == 23
    assert all(order.message_id == f"m-{order.order_id}" for order in stream.sent)


def test_send_refused_order_is_an_error_and_not_counted_as_sent():
    stream = OrderStream(FakeQueue(refuse=True), "url", per_second=1)
    with pytest.raises(OrdersNotSent, match="refused 3 orders"):
        stream.send(3)
    assert stream.sent == []
