"""EventBridge's side of an AWS event: which rules match, and what their targets are given.

The emulator, like AWS, refuses events whose source begins with ``aws.``. So the lab asks the emulator which rules'
patterns match (``TestEventPattern``), renders each target's own input, and starts the target itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_stepfunctions import SFNClient

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_PATH_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']+)'\]")


class InputNotRendered(ValueError):
    """A target's input cannot be made from the event."""


class UnsupportedTarget(ValueError):
    """A rule that matches an alarm's event has a target that the lab cannot start."""


@dataclass(frozen=True)
class Delivery:
    """A target that was started."""

    rule: str
    target: str
    execution_arn: str


def select(path: str, event: Any) -> Any:
    """What a JSON path such as ``$.detail.state.value`` selects in an event.

    Raises
    ------
    InputNotRendered
        A path that selects nothing, or a kind of path that is not supported.
    """
    if not path.startswith("$"):
        raise InputNotRendered(f"JSON path {path} must begin with $")
    position, value = 1, event
    while position < len(path):
        step = _PATH_STEP.match(path, position)
        if step is None:
            raise InputNotRendered(f"JSON path {path} is not supported at {path[position:]!r}")
        name, index, quoted = step.groups()
        try:
            value = value[int(index)] if index is not None else value[name or quoted]
        except (KeyError, IndexError, TypeError) as error:
            raise InputNotRendered(f"JSON path {path} selects nothing in the event") from error
        position = step.end()
    return value


def render_input(target: Mapping[str, Any], event: Mapping[str, Any], *, rule_name: str, rule_arn: str) -> str:
    """The input a rule gives a target: constant, selected, transformed, or the whole event.

    Raises
    ------
    InputNotRendered
        The transformer refers to something that is not there, or its result is not JSON.
    """
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        return json.dumps(select(target["InputPath"], event))
    if "InputTransformer" not in target:
        return json.dumps(event)
    transformer = target["InputTransformer"]
    variables = {name: select(path, event) for name, path in transformer.get("InputPathsMap", {}).items()}
    variables |= {
        "aws.events.event.json": event,
        # The documentation's name for the event without its detail's own escaping; the same object here.
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.rule-name": rule_name,
        "aws.events.rule-arn": rule_arn,
        "aws.events.event.ingestion-time": event["time"],
    }
    rendered = _fill(transformer["InputTemplate"], variables)
    try:
        json.loads(rendered)
    except json.JSONDecodeError as error:
        raise InputNotRendered(f"the input of rule {rule_name} is not JSON: {rendered}") from error
    return rendered


def _fill(template: str, variables: Mapping[str, Any]) -> str:
    """Replace each ``<name>``: by JSON where a value stands, by plain text inside a string."""

    def replace(found: re.Match[str]) -> str:
        name = found.group(1)
        if name not in variables:
            raise InputNotRendered(f"the input template uses <{name}>, which is not defined")
        value = variables[name]
        if not _inside_string(template, found.start()):
            return json.dumps(value)
        text = value if isinstance(value, str) else json.dumps(value)
        return json.dumps(text)[1:-1]

    return _PLACEHOLDER.sub(replace, template)


def _inside_string(template: str, position: int) -> bool:
    before = re.sub(r"\\.", "", template[:position])
    return before.count('"') % 2 == 1


@dataclass(frozen=True)
class EventDelivery:
    """Delivers an event to whichever rules on the default bus match it."""

    events: EventBridgeClient
    states: SFNClient

    def deliver(self, event: Mapping[str, Any]) -> list[Delivery]:
        """Start every target of every enabled rule whose pattern matches.

        Raises
        ------
        UnsupportedTarget
            A matching rule has a target that is not a state machine.
        """
        text = json.dumps(event)
        delivered: list[Delivery] = []
        for rule in self.events.get_paginator("list_rules").paginate(EventBusName="default").search("Rules[]"):
            if rule.get("State") != "ENABLED" or "EventPattern" not in rule:
                continue
            if not self.events.test_event_pattern(EventPattern=rule["EventPattern"], Event=text)["Result"]:
                continue
            for target in self.events.list_targets_by_rule(Rule=rule["Name"])["Targets"]:
                given = render_input(target, event, rule_name=rule["Name"], rule_arn=rule["Arn"])
                delivered.append(self._start(rule["Name"], target["Arn"], given))
        return delivered

    def _start(self, rule: str, target: str, given: str) -> Delivery:
        if ":states:" not in target or ":stateMachine:" not in target:
            raise UnsupportedTarget(f"rule {rule} has the target {target}: the lab can only start state machines")
        started = self.states.start_execution(stateMachineArn=target, input=given)
        return Delivery(rule, target, started["executionArn"])
