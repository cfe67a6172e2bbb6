"""The example's consumer: writes each processed order to a ledger, or has the trouble that SHOULD_ERROR names.

`true` fails every message, `partly` every second one, `30%` about 30 of 100, `slowly` takes a third of the time it has
and fails none.

Replace it with your own function. What matters to the breaker: it may see a message twice, as with SQS itself.
"""

import os
import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import boto3
from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
# A batch in which every record fails raises, so that Lambda's Errors metric sees it.
processor = BatchProcessor(event_type=EventType.SQS)
dynamodb = boto3.client("dynamodb")


class ServiceUnavailable(Exception):
    """The service behind this consumer does not answer."""


def failing_percent(trouble: str) -> float:
    """The share of messages that fail."""
    if trouble.endswith("%"):
        return float(trouble[:-1])
    return {"true": 100, "partly": 50}.get(trouble, 0)


def process_order(record: SQSRecord) -> None:
    """Process one order.

    Raises
    ------
    ServiceUnavailable
        While SHOULD_ERROR is "true", and for some messages while it is "partly" or a percentage.
    KeyError, ValueError
        The body is no JSON object with an order_id: a poison message, whatever the service does.
    """
    trouble = os.environ.get("SHOULD_ERROR", "false")
    # The same messages each time, so that they fail until the trouble is over.
    if crc32(record.message_id.encode()) % 100 < failing_percent(trouble):
        raise ServiceUnavailable(f"SHOULD_ERROR is {trouble}")
    # Counting deliveries instead of storing orders shows in the ledger what was processed twice.
    order_id = str(record.json_body["order_id"])
    dynamodb.update_item(
        TableName=os.environ["LEDGER_TABLE"],
        Key={"message_id": {"S": record.message_id}},
        UpdateExpression="SET order_id = :order ADD deliveries :one",
        ExpressionAttributeValues={":order": {"S": order_id}, ":one": {"N": "1"}},
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> Any:
    """Process a batch and name the records that failed.

    Raises
    ------
    BatchProcessingError
        Every record of the batch failed.
    """
    if os.environ.get("SHOULD_ERROR") == "slowly":
        time.sleep(context.get_remaining_time_in_millis() / 3000)
    return process_partial_response(event=event, record_handler=process_order, processor=processor, context=context)
