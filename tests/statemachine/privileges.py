"""What the steps were seen to call, and what the template grants: both as (function, action, resource)."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from calls import Made

Triple = tuple[str, str, str]
"""Function, IAM action, and the logical id, or other plain name, of the resource.

A circuit's own parts are called alarm, mapping, queue, dead-letter queue and target.
"""

# A batch is authorised by the action for one.
_SINGULAR = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
    "Invoke": "InvokeFunction",
}
_PREFIX = {"sfn": "states", "event-bridge": "events", "eventbridge": "events"}
_TRANSACTION = {
    "ConditionCheck": "ConditionCheckItem",
    "Put": "PutItem",
    "Delete": "DeleteItem",
    "Update": "UpdateItem",
}
_RESOURCES = {
    "dynamodb": "CircuitTable",
    "sqs": "queue",
    "events": "event-bus/default",
    "sns": "NotificationTopic",
}
_BY_ACTION = {
    "lambda:GetEventSourceMapping": "mapping",
    "lambda:UpdateEventSourceMapping": "mapping",
    "lambda:InvokeFunction": "target",
    "lambda:GetFunctionConfiguration": "target",
    "lambda:ListEventSourceMappings": "*",
    "cloudwatch:DescribeAlarms": "alarm",
    "cloudwatch:GetMetricData": "*",
    "states:StartExecution": "CircuitBreaker",
    "states:DescribeExecution": "execution",
    "states:StopExecution": "execution",
}


def seen(made: Iterator[Made]) -> set[Triple]:
    """Return the triples of recorded calls. A call on anything but the circuit's own parts is no known resource."""
    return {triple for call in made for triple in _triples(call)}


def _triples(made: Made) -> Iterator[Triple]:
    service = _PREFIX.get(made.call.service, made.call.service)
    function = f"{made.call.step}Function"
    if made.call.operation == "TransactWriteItems":
        for item in made.parameters["TransactItems"]:
            for kind in item:
                yield function, f"dynamodb:{_TRANSACTION[kind]}", "CircuitTable"
        return
    action = f"{service}:{_SINGULAR.get(made.call.operation, made.call.operation)}"
    yield function, action, _dead_letter_queue(made) or _kind(action)


def _dead_letter_queue(made: Made) -> str | None:
    """Return the dead-letter queue's name where a call is on that, None for calls on anything else."""
    queue = made.parameters.get("QueueUrl") or made.parameters.get("QueueName") or ""
    return "dead-letter queue" if "orders-dead" in queue else None


def _kind(action: str) -> str:
    """Return what a function of the breaker does this to."""
    return _BY_ACTION.get(action) or _RESOURCES[action.partition(":")[0]]


def table(template: Mapping[str, Any]) -> str:
    """Return the grants as a table for docs/iam.md, by function."""
    rows: dict[tuple[str, str, str], set[str]] = {}
    sids = dict(_with_sids(template))
    for function, action, resource in granted(template):
        rows.setdefault((function, resource, sids[function, action, resource]), set()).add(action)
    lines = []
    for (function, resource, sid), actions in sorted(rows.items()):
        names = ", ".join(f"`{action}`" for action in sorted(actions))
        purpose = " ".join(re.findall("[A-Z][a-z]*", sid)).capitalize()
        lines.append(f"| {function.removesuffix('Function')} | {names} | {resource} | {purpose} |")
    return "\n".join(["| function | may | on | to |", "| --- | --- | --- | --- |", *lines])


def granted(template: Mapping[str, Any]) -> set[Triple]:
    """Return the triples that the template grants to its functions' roles, keys of KMS left out."""
    return {triple for triple, _ in _with_sids(template)}


def _with_sids(template: Mapping[str, Any]) -> Iterator[tuple[Triple, str]]:
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            for policy in properties.get("Policies", []):
                yield from _of_statements([name], policy["Statement"])
        if resource["Type"] == "AWS::IAM::Policy":
            roles = [role["Fn::If"][1] if "Fn::If" in role else role for role in properties["Roles"]]
            functions = [role["Ref"].removesuffix("Role") for role in roles]
            yield from _of_statements(functions, properties["PolicyDocument"]["Statement"])


def _of_statements(functions: list[str], statements: list[Any]) -> Iterator[tuple[Triple, str]]:
    for statement in statements:
        # Granted only where it is asked for: a redrive, a key of one's own.
        statement = statement["Fn::If"][1] if "Fn::If" in statement else statement
        actions = [action for action in _listed(statement["Action"]) if not action.startswith("kms:")]
        resources = [resource_name(resource) for resource in _listed(statement["Resource"])]
        for function in functions:
            for action, resource in _pairs(actions, resources):
                yield (function, action, resource), statement["Sid"]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _pairs(actions: list[str], resources: list[str]) -> Iterator[tuple[str, str]]:
    """Yield each action with the resource of its own kind, and whatever then is left over with everything."""
    if len(resources) == 1:
        yield from ((action, resources[0]) for action in actions)
        return
    kinds = {action: _kind(action) for action in actions}
    for action, kind in kinds.items():
        yield from ((action, resource) for resource in ([kind] if kind in resources else resources))
    for resource in resources:
        if resource not in kinds.values():
            yield from ((action, resource) for action in actions)


def resource_name(resource: Any) -> str:
    """Return the plain name of a statement's resource."""
    text = str(resource).replace("['Pipeline', '", "['Pipeline.")
    if resource == "*":
        return "*"
    for part, name in (
        (":execution:", "execution"),
        (":alarm:", "alarm"),
        ("Alarm', 'Arn'", "alarm"),
        ("event-bus/default", "event-bus/default"),
        ("Pipeline.MappingArn", "mapping"),
        ("Pipeline.TargetArn", "target"),
        ("Pipeline.QueueArn", "queue"),
        ("Pipeline.DeadLetterQueueArn", "dead-letter queue"),
        ("${TargetFunction}", "target"),
        ("${Queue}", "queue"),
        ("NotificationTopic", "NotificationTopic"),
    ):
        if part in text:
            return name
    if isinstance(resource, dict):
        (value,) = resource.values()
        return str(value[0] if isinstance(value, list) else value).partition(".")[0]
    raise AssertionError(f"a resource that these tests do not know: {text}")
