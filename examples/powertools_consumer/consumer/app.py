"""A consumer with a breaker of its own: Powertools' circuit breaker, batch processor and idempotency.

The inner breaker refuses calls of a service that does not answer, within one function. It cannot stop SQS from
delivering: each refused message costs a receive. So when it opens, it asks the outer breaker to pause the mapping.
"""

import json
import os
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitState,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.circuit_breaker.persistence import CircuitBreakerDynamoDBPersistence
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SERVICE_TIMEOUT_SECONDS = 3
# The rule of the outer breaker matches this detail type, whatever the source.
TRIP_DETAIL_TYPE = "Circuit Trip Requested"
_SERVER_ERROR = 500

logger = Logger()
events = boto3.client("events")
# A batch in which every record fails raises, so that Lambda's Errors metric sees it.
processor = BatchProcessor(event_type=EventType.SQS)
once = IdempotencyConfig(event_key_jmespath="order_id", expires_after_seconds=24 * 3600)


class ServiceUnavailable(Exception):
    """The service behind this consumer does not answer, or answers with a server error."""


def ask_for_a_pause(transition: CircuitTransition) -> None:
    """Ask the outer breaker to open, when the inner one does. Powertools logs what this raises, and goes on."""
    if transition.to_state is not CircuitState.OPEN:
        return
    # Nothing of the message or of the service's answer: events are on display.
    entry = {
        "Source": os.environ["EVENT_SOURCE"],
        "DetailType": TRIP_DETAIL_TYPE,
        "Detail": json.dumps({"circuit": os.environ["CIRCUIT_NAME"]}),
    }
    answer = events.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        logger.error("the trip could not be asked for", extra={"error_code": answer["Entries"][0].get("ErrorCode")})


@circuit_breaker(
    name="order-service",
    persistence_store=CircuitBreakerDynamoDBPersistence(table_name=os.environ["STATE_TABLE"]),
    on_transition=ask_for_a_pause,
    config=CircuitBreakerConfig(
        failure_threshold=3,
        recovery_timeout=int(os.environ["RETRY_AFTER_SECONDS"]),
        # One message that the service has taken: the outer breaker lets the next ones in step by step.
        success_threshold=1,
        # A message that the service refuses, or that is no order, says nothing about the service.
        handled_exceptions=ServiceUnavailable,
        local_cache_max_age=1,
    ),
)
def place_order(order: dict[str, Any]) -> dict[str, Any]:
    """Call the service.

    Raises
    ------
    ServiceUnavailable
        It does not answer in time, or with a server error.
    """
    request = urllib.request.Request(  # noqa: S310 - the address is a parameter of the stack
        f"{os.environ['SERVICE_URL']}/orders",
        data=json.dumps(order).encode(),
        headers={"Content-Type": "application/json", "Idempotency-Key": str(order["order_id"])},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=SERVICE_TIMEOUT_SECONDS) as answer:  # noqa: S310
            placed: dict[str, Any] = json.load(answer)
            return placed
    except urllib.error.HTTPError as error:
        if error.code < _SERVER_ERROR:
            raise
        raise ServiceUnavailable(f"the service answers {error.code}") from None
    except (OSError, ValueError) as error:
        raise ServiceUnavailable(f"the service does not answer: {type(error).__name__}") from None


@idempotent_function(
    data_keyword_argument="order",
    persistence_store=DynamoDBPersistenceLayer(table_name=os.environ["STATE_TABLE"]),
    config=once,
)
def process_order(order: dict[str, Any]) -> dict[str, Any]:
    """Place an order once, however often it is delivered. A call that failed is not remembered."""
    return place_order(order)


def process_record(record: SQSRecord) -> None:
    """Process one message.

    Raises
    ------
    ServiceUnavailable, CircuitBreakerOpenError
        The service is down, or was until lately.
    """
    process_order(order=record.json_body)


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> Any:
    """Process a batch and name the records that failed.

    Raises
    ------
    BatchProcessingError
        Every record of the batch failed.
    """
    once.register_lambda_context(context)
    return process_partial_response(event=event, record_handler=process_record, processor=processor, context=context)
