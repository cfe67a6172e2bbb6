"""Prints how every circuit of a deployed breaker stands.

    make status STACK=sqs-circuit-breaker
    make status STACK=sqs-circuit-breaker JSON=1

Reads with your own credentials, and respects AWS_ENDPOINT_URL. One circuit that cannot be looked at does not hide the
others: it is named, and the exit status is 1.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "functions"))

from breaker import clients, clock, overview
from breaker.circuit_table import CircuitTable
from breaker.status import Status, as_lines


class CannotLook(Exception):
    """The stack is not what was expected. The message is one line for people."""


def circuit_table(cloudformation: Any, stack: str) -> str:
    """Return the name of a stack's circuit table.

    Raises
    ------
    CannotLook
        There is no such stack, or it is no breaker's.
    """
    try:
        found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":
            raise CannotLook(f"STACK: {stack!r} is no stack in this account and region") from error
        raise
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if "CircuitTableName" not in outputs:
        raise CannotLook(f"STACK: {stack!r} is no circuit breaker; it has no output CircuitTableName")
    return str(outputs["CircuitTableName"])


def look(table: CircuitTable, name: str) -> Status | None:
    """Return how a circuit stands, None where it was removed meanwhile."""
    record = table.load(name)
    return overview.look(record) if record else None


def look_at_all(table: CircuitTable) -> tuple[list[Status], dict[str, str]]:
    """Return how every circuit stands, and what went wrong with those that could not be looked at."""
    seen: list[Status] = []
    failed: dict[str, str] = {}
    for name in table.names():
        try:
            status = look(table, name)
        except overview.CANNOT_LOOK as error:
            failed[name] = str(error)
        else:
            seen += [status] if status else []
    return seen, failed


def main(arguments: Sequence[str]) -> int:
    """Print the status; return 1 where something could not be looked at, 2 where nothing could."""
    as_json = "--json" in arguments
    names = [argument for argument in arguments if argument != "--json"]
    if len(names) != 1 or not names[0]:
        print("usage: make status STACK=<name of the breaker's stack> [JSON=1]", file=sys.stderr)
        return 2
    try:
        table = CircuitTable(clients.dynamodb(), circuit_table(boto3.client("cloudformation"), names[0]))
        seen, failed = look_at_all(table)
    except (CannotLook, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 2
    if as_json:
        print(json.dumps({"circuits": [status.as_dict() for status in seen], "failed": failed}, indent=2))
    else:
        now = clock.now()
        print("\n\n".join("\n".join(as_lines(status, now=now)) for status in seen) or "no circuit is registered")
        for name, error in failed.items():
            print(f"{name}: could not be looked at: {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
