"""Puts each message of a batch back on its queue, with a random delay and nothing but its body."""

import math
import os
import random
from typing import Any

import boto3

sqs = boto3.client("sqs", region_name=os.environ["AWS_REGION"])


def delay_seconds(chance: float, first: int, spread: int) -> int:
    """60 to 178 whole seconds with the sample's numbers, 60 and 120."""
    return first + math.floor(chance * (spread - 1))


def handler(event: dict[str, Any], context: object) -> None:
    """Send every message of the batch again. Lambda deletes the originals when this returns."""
    for record in event["Records"]:
        delay = delay_seconds(random.random(), int(os.environ["INITIAL_DELAY"]), int(os.environ["JITTER_DELAY"]))  # noqa: S311
        sqs.send_message(
            QueueUrl=os.environ["QUEUE_URL"],
            MessageBody=record["body"],
            DelaySeconds=round(delay / int(os.environ["SCALE"])),
        )
