"""What a chaos run does when: drawn from a seed, so that a run can be had again. Pure.

The plan is the same for the same seed and minutes. What becomes of it is not: which request a rule hits, and where an
execution stands when a blow falls, depends on the machine.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

# Each kind of blow falls at least once, however short the run is.
SECONDS_PER_BLOW = 5.0
_SHORTEST_WEATHER, _LONGEST_WEATHER = 2.0, 6.0
_RULES_AT_ONCE = (3, 5)
# The ledger is the witness of what was processed: only the breaker's own table is in trouble.
_TABLE = "CircuitTable"

Rule = dict[str, Any]


class Blow(StrEnum):
    """What is done to the breaker beside the faults of its calls."""

    STOP_EXECUTION = "stop the execution that owns the circuit"
    KILL_PROBE = "end the processes of the probe while it is at work"
    ALARM_TWICE = "deliver the alarm's event twice at once"
    ALARM_TEN_TIMES = "deliver the alarm's event ten times at once"
    PERSON_ENABLES = "enable the mapping by hand while the circuit is OPEN"
    LUCKY_MOMENT = "let the target work until messages flow, then fail again"


@dataclass(frozen=True)
class Weather:
    """Rules of the proxy that hold from a moment on, in wall seconds since the storm began."""

    at: float
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Stroke:
    """A blow, and when it is due, in wall seconds since the circuit was tripped."""

    at: float
    blow: Blow


@dataclass(frozen=True)
class ChaosPlan:
    """All that a run will do."""

    seed: int
    minutes: float
    weather: tuple[Weather, ...]
    strokes: tuple[Stroke, ...]


def make_plan(seed: int, minutes: float) -> ChaosPlan:
    """Draw a plan for so many wall minutes of faults."""
    dice = random.Random(f"{seed} {minutes:g}")  # noqa: S311 - chaos, not secrets
    seconds = minutes * 60
    return ChaosPlan(seed, minutes, tuple(_weather(dice, seconds)), tuple(_strokes(dice, seconds)))


def _weather(dice: random.Random, seconds: float) -> Iterator[Weather]:
    at = 0.0
    while at < seconds:
        count = dice.randint(*_RULES_AT_ONCE)
        yield Weather(round(at, 1), tuple(make(dice) for make in dice.sample(_MENU, count)))
        at += dice.uniform(_SHORTEST_WEATHER, _LONGEST_WEATHER)


def _strokes(dice: random.Random, seconds: float) -> Iterator[Stroke]:
    blows = list(Blow)
    dice.shuffle(blows)
    more = max(0, int(seconds / SECONDS_PER_BLOW) - len(blows))
    blows += dice.choices(list(Blow), k=more)
    share = seconds / len(blows)
    for place, blow in enumerate(blows):
        yield Stroke(round((place + dice.random()) * share, 1), blow)


def _error(service: str, code: str, status: int, **more: str) -> Callable[[random.Random], Rule]:
    def make(dice: random.Random) -> Rule:
        probability = round(dice.uniform(0.1, 0.4), 2)
        return {"service": service, "probability": probability, "error": {"code": code, "status": status}, **more}

    return make


def _slow(service: str, **more: str) -> Callable[[random.Random], Rule]:
    def make(dice: random.Random) -> Rule:
        least = dice.randint(50, 400)
        latency = {"min": least, "max": least + dice.randint(100, 1500)}
        return {"service": service, "probability": round(dice.uniform(0.2, 0.7), 2), "latency": latency, **more}

    return make


def _answer_lost(service: str, **more: str) -> Callable[[random.Random], Rule]:
    """The call is made, and whoever made it never learns what came of it."""

    def make(dice: random.Random) -> Rule:
        probability = round(dice.uniform(0.05, 0.2), 2)
        return {"service": service, "probability": probability, "response": {"abort_frac": 0.2}, **more}

    return make


# By the names that boto3 has for the services.
_MENU: tuple[Callable[[random.Random], Rule], ...] = (
    _error("lambda", "TooManyRequestsException", 429, operation="UpdateEventSourceMapping"),
    _error("lambda", "ServiceException", 500, operation="UpdateEventSourceMapping"),
    _error("lambda", "TooManyRequestsException", 429, operation="GetEventSourceMapping"),
    _error("lambda", "ServiceException", 500, operation="Invoke"),
    _error("dynamodb", "ProvisionedThroughputExceededException", 400, resource=_TABLE),
    _error("dynamodb", "InternalServerError", 500, resource=_TABLE),
    _error("sqs", "RequestThrottled", 403),
    _error("sqs", "ServiceUnavailable", 503),
    _error("stepfunctions", "ThrottlingException", 400),
    _error("cloudwatch", "Throttling", 400),
    _error("events", "InternalException", 500),
    _slow("lambda", operation="Invoke"),
    _slow("dynamodb", resource=_TABLE),
    _slow("sqs"),
    _slow("stepfunctions"),
    _answer_lost("lambda", operation="UpdateEventSourceMapping"),
    _answer_lost("lambda", operation="Invoke"),
    _answer_lost("dynamodb", resource=_TABLE),
    _answer_lost("sqs"),
    _answer_lost("stepfunctions"),
)
