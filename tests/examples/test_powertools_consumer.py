"""The example's consumer by itself: when it asks for a pause, and what it does twice."""

import importlib.util
import io
import json
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import boto3
import pytest
from aws_lambda_powertools.utilities.batch.exceptions import BatchProcessingError
from aws_lambda_powertools.utilities.circuit_breaker import base
from moto import mock_aws
from samtranslator.yaml_helper import yaml_parse

from breaker.trip import CUSTOM_DETAIL_TYPE
from tests.functions.world import Context

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "powertools_consumer"


class Service:
    """The service behind the consumer."""

    def __init__(self) -> None:
        self.up = True
        self.placed: list[str] = []
        self.status = 200
        self.called = 0

    def urlopen(self, request: Any, timeout: float) -> Any:
        """Answer as the standard library does."""
        self.called += 1
        if not self.up:
            raise urllib.error.URLError(ConnectionRefusedError("the secret of order 7"))
        if self.status != 200:
            raise urllib.error.HTTPError(request.full_url, self.status, "no", {}, io.BytesIO(b""))  # type: ignore[arg-type]
        self.placed.append(json.loads(request.data)["order_id"])
        return io.BytesIO(b'{"placed": true}')


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def consumer(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    for name, value in {
        "SERVICE_URL": "http://service",
        "CIRCUIT_NAME": "orders",
        "EVENT_SOURCE": "shop.orders",
        "RETRY_AFTER_SECONDS": "30",
        "STATE_TABLE": "state",
    }.items():
        monkeypatch.setenv(name, value)
    base._LOCAL_FAILURES.clear()
    with mock_aws():
        boto3.client("dynamodb").create_table(
            TableName="state",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        )
        spec = importlib.util.spec_from_file_location("powertools_consumer", EXAMPLE / "consumer" / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(module.urllib.request, "urlopen", service.urlopen)
        monkeypatch.setattr(module, "events", mock.Mock())
        module.events.put_events.return_value = {"FailedEntryCount": 0}
        yield module


def batch(*orders: Any) -> dict[str, Any]:
    """An event with a message for each order."""
    records = [
        {
            "messageId": f"message-{number}",
            "receiptHandle": "handle",
            "body": json.dumps({"order_id": order} if isinstance(order, str) else order),
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
        }
        for number, order in enumerate(orders)
    ]
    return {"Records": records}


def asked(consumer: ModuleType) -> list[Any]:
    """The entries that were put on the bus."""
    return [entry for call in consumer.events.put_events.call_args_list for entry in call.kwargs["Entries"]]


def test_consumer_places_an_order_once_however_often_it_is_delivered(consumer: ModuleType, service: Service) -> None:
    assert consumer.handler(batch("a", "b", "a"), Context()) == {"batchItemFailures": []}
    assert consumer.handler(batch("b"), Context()) == {"batchItemFailures": []}
    assert service.placed == ["a", "b"]
    assert asked(consumer) == []


def test_consumer_asks_for_a_pause_at_its_third_failure_and_calls_the_service_no_more(
    consumer: ModuleType, service: Service
) -> None:
    service.up = False
    with pytest.raises(BatchProcessingError):
        consumer.handler(batch("a", "b", "c", "d", "e"), Context())
    assert service.called == 3
    (entry,) = asked(consumer)
    assert entry == {
        "Source": "shop.orders",
        "DetailType": CUSTOM_DETAIL_TYPE,
        "Detail": json.dumps({"circuit": "orders"}),
    }


def test_consumer_failed_order_is_not_remembered_as_placed(consumer: ModuleType, service: Service) -> None:
    service.up = False
    with pytest.raises(BatchProcessingError):
        consumer.handler(batch("a"), Context())
    service.up = True
    assert consumer.handler(batch("a"), Context()) == {"batchItemFailures": []}
    assert service.placed == ["a"]


def test_consumer_refused_orders_and_rubbish_say_nothing_about_the_service(
    consumer: ModuleType, service: Service
) -> None:
    service.status = 422
    with pytest.raises(BatchProcessingError):
        consumer.handler(batch("a", "b", {"no": "order"}, "c", "d"), Context())
    assert service.called == 4
    assert asked(consumer) == []
    service.status = 200
    answer = consumer.handler(batch("e", {"no": "order"}), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}


def test_consumer_that_cannot_ask_goes_on(consumer: ModuleType, service: Service) -> None:
    service.up = False
    consumer.events.put_events.return_value = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "ThrottlingException"}]}
    with pytest.raises(BatchProcessingError):
        consumer.handler(batch("a", "b", "c"), Context())
    consumer.events.put_events.side_effect = RuntimeError("no network")
    base._LOCAL_FAILURES.clear()
    with pytest.raises(BatchProcessingError):
        consumer.handler(batch("d"), Context())


def test_consumer_may_put_events_of_its_kind_only() -> None:
    template = yaml_parse((EXAMPLE / "template.yaml").read_text())
    (policy,) = template["Resources"]["ConsumerFunction"]["Properties"]["Policies"]
    (statement,) = [each for each in policy["Statement"] if "events:PutEvents" in each["Action"]]
    assert statement["Resource"]["Fn::Sub"].endswith(":event-bus/default")
    assert statement["Condition"] == {
        "ForAllValues:StringEquals": {"events:source": {"Ref": "EventSource"}, "events:detail-type": CUSTOM_DETAIL_TYPE}
    }
