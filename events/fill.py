"""Prints an event of this folder, filled with the names of a deployed stack.

    make event NAME=probe_target STACK=sqs-circuit-breaker > event.json
    sam remote invoke ProbeTargetFunction --stack-name sqs-circuit-breaker --event-file event.json

A placeholder is written {{LikeThis}}. It stands for an output or a parameter of the stack, a resource by its logical
id, or one of the names that `Stack.values` derives from those. AWS_ENDPOINT_URL is respected.

The steps' events name an execution that does not exist, `by-hand`. So they can be run one after the other: OpenCircuit
claims the circuit for it, the others find it to be theirs, and a real trip takes over at once.
"""

import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

FOLDER = Path(__file__).resolve().parent
_PLACEHOLDER = re.compile(r"\{\{([A-Za-z]+)\}\}")
# Nobody listens there: without a request of CloudFormation there is nobody to answer. The work is done all the same.
_NO_RESPONSE_URL = "http://127.0.0.1:9/"


class CannotFill(Exception):
    """The event or the stack is not what was expected. The message is one line for people."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack, as CloudFormation describes it.

    Attributes
    ----------
    stack_id
        Its ARN.
    names
        Physical ids of its resources, its parameters and its outputs. Where two are called alike, the later wins.
    """

    stack_id: str
    names: Mapping[str, str]

    @classmethod
    def read(cls, cloudformation: Any, name: str) -> "Stack":
        """Ask CloudFormation for a stack."""
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        resources = [
            resource
            for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=name)
            for resource in page["StackResourceSummaries"]
        ]
        return cls(
            stack["StackId"],
            {
                **{found["LogicalResourceId"]: found.get("PhysicalResourceId", "") for found in resources},
                **{found["ParameterKey"]: found["ParameterValue"] for found in stack.get("Parameters", [])},
                **{found["OutputKey"]: found["OutputValue"] for found in stack.get("Outputs", [])},
            },
        )

    def values(self, *, now: datetime) -> dict[str, str]:
        """Return what every placeholder stands for."""
        partition, _, region, account = self.stack_id.split(":")[1:5]
        values = {
            **self.names,
            "StackId": self.stack_id,
            "Partition": partition,
            "Region": region,
            "AccountId": account,
            "Now": now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "ResponseUrl": _NO_RESPONSE_URL,
        }
        place = f"{region}:{account}"
        if "QueueUrl" in values:
            values["QueueArn"] = f"arn:{partition}:sqs:{place}:{values['QueueUrl'].rsplit('/', 1)[-1]}"
        if "StateMachineArn" in values:
            values["ExecutionArn"] = values["StateMachineArn"].replace(":stateMachine:", ":execution:") + ":by-hand"
        for function in [name for name in values if name.endswith("Function")]:
            # The target's is an output, because of its alias.
            values.setdefault(f"{function}Arn", f"arn:{partition}:lambda:{place}:function:{values[function]}")
        return values


def event_names() -> list[str]:
    """Return the names of all events."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read_event(name: str) -> Any:
    """Return an event with its placeholders.

    Raises
    ------
    CannotFill
        There is no event of that name.
    """
    if name not in event_names():
        raise CannotFill(f"NAME: {name!r} is no event; there are {', '.join(event_names())}")
    return json.loads((FOLDER / f"{name}.json").read_text())


def fill(event: Any, values: Mapping[str, str]) -> Any:
    """Return the event with every placeholder replaced.

    Raises
    ------
    CannotFill
        A placeholder stands for nothing.
    """
    if isinstance(event, dict):
        return {key: fill(value, values) for key, value in event.items()}
    if isinstance(event, list):
        return [fill(value, values) for value in event]
    if not isinstance(event, str):
        return event

    def value_of(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise CannotFill(f"{match[0]}: the stack has no output, parameter or resource of that name")
        return values[match[1]]

    return _PLACEHOLDER.sub(value_of, event)


def main(arguments: list[str]) -> int:
    """Print the filled event. Returns the exit code."""
    if len(arguments) != 2 or not all(arguments):
        return _refuse(f"usage: make event NAME=... STACK=...; the events are {', '.join(event_names())}")
    name, stack_name = arguments
    try:
        event = read_event(name.removesuffix(".json"))
        stack = Stack.read(boto3.client("cloudformation"), stack_name)
        filled = fill(event, stack.values(now=datetime.now(UTC)))
    except CannotFill as error:
        return _refuse(str(error))
    except ClientError as error:
        return _refuse(f"STACK: {error.response['Error']['Message']}")
    except BotoCoreError as error:
        return _refuse(f"cannot ask CloudFormation: {error}")
    sys.stdout.write(json.dumps(filled, indent=2) + "\n")
    return 0


def _refuse(reason: str) -> int:
    sys.stderr.write(" ".join(reason.split()) + "\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
