"""The only reader of the environment. It names the breaker's own parts, never a circuit's settings."""

import os


def circuit_table() -> str:
    """Name of the DynamoDB table that holds the circuits."""
    return os.environ["CIRCUIT_TABLE"]


def state_machine() -> str:
    """ARN of the state machine, for those that start executions of it."""
    return os.environ["STATE_MACHINE_ARN"]


def notification_topic() -> str:
    """ARN of the SNS topic that is told of every change, "" for none."""
    return os.environ.get("NOTIFICATION_TOPIC", "")
