"""The example's consumer: writes each processed order to a ledger, or has the trouble that SHOULD_ERROR names.

`true` fails every message, `partly` every second one, `30%` about 30 of 100, `slowly` takes a third of the time it has
and fails none.

Replace it with your own function. What matters to the breaker: it may see a message twice, as with SQS itself.
"""

import json
import os
import time
from typing import TYPE_CHECKING, Any
from zlib import crc32

import boto3
from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
dynamodb = boto3.client("dynamodb")


class ServiceUnavailable(Exception):
    """The service behind this consumer does not answer."""


class WholeBatchFailed(Exception):
    """No record of the batch was processed."""


def failing_percent(trouble: str) -> float:
    """The share of messages that fail."""
    if trouble.endswith("%"):
        return float(trouble[:-1])
    return {"true": 100, "partly": 50}.get(trouble, 0)


def process_order(record: dict[str, Any]) -> None:
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
    if crc32(record["messageId"].encode()) % 100 < failing_percent(trouble):
        raise ServiceUnavailable(f"SHOULD_ERROR is {trouble}")
    # Counting deliveries instead of storing orders shows in the ledger what was processed twice.
    order_id = str(json.loads(record["body"])["order_id"])
    dynamodb.update_item(
        TableName=os.environ["LEDGER_TABLE"],
        Key={"message_id": {"S": record["messageId"]}},
        UpdateExpression="SET order_id = :order ADD deliveries :one",
        ExpressionAttributeValues={":order": {"S": order_id}, ":one": {"N": "1"}},
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Process a batch and name the records that failed.

    Raises
    ------
    WholeBatchFailed
        Every record of the batch failed. Lambda's Errors metric counts calls that raise, not the records they name.
    """
    if os.environ.get("SHOULD_ERROR") == "slowly":
        time.sleep(context.get_remaining_time_in_millis() / 3000)
    failed = []
    for record in event["Records"]:
        try:
            process_order(record)
        except Exception as error:
            logger.warning("not processed", extra={"message_id": record["messageId"], "error": type(error).__name__})
            failed.append(record["messageId"])
    if len(failed) == len(event["Records"]):
        raise WholeBatchFailed(f"none of {len(failed)} messages was processed")
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
