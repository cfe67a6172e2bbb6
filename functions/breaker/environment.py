"""The only reader of the environment. It names the breaker's own parts, never a circuit's settings."""

import os


def circuit_table() -> str:
    """Name of the DynamoDB table that holds the circuits."""
    return os.environ["CIRCUIT_TABLE"]
