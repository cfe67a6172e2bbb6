"""How soon each signal opens the circuit, and how many messages are delivered until then.

Each signal is measured in a cloud of its own, with the one trouble that it is there to see. The alarms have the
template's own periods and CloudWatch's delay, scaled; the trouble begins in the middle of a metric period.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.orders import OrderStream
from lab.session import Lab

_SCALE = 10
_ORDERS_PER_SECOND = 1.0
_PERIOD_SECONDS = 60
# Cold starts are slow calls, too. An alarm that begins after two periods and the delay sees none of them.
_HEALTHY_SECONDS = 210.0
_LOOK_EVERY_SECONDS = 0.1
# On the wall. An alarm needs two periods and the delay at most, which is a third of this.
_PATIENCE_SECONDS = 75.0
# Batches that were in flight are counted when they end.
_SETTLE_SECONDS = 1.5
_SLOW_SECONDS = 5


class SignalNotSeen(RuntimeError):
    """The trouble did not show, or did not open the circuit."""


@dataclass(frozen=True)
class Signal:
    """A trouble of the example target, and what is to see it.

    Attributes
    ----------
    trouble
        What the target's SHOULD_ERROR is set to.
    sees
        Whether a call has shown the trouble: metric, whose dimension it has, and the value above which it has.
    parameters
        Of the stack, beside the lab's own.
    asks
        True where an event asks for the circuit to be opened. The lab puts it, as the target's code would, as soon as
        it sees the first failed call.
    """

    name: str
    trouble: str
    sees: tuple[str, str, float]
    parameters: Mapping[str, str] = field(default_factory=dict)
    asks: bool = False


SIGNALS = (
    Signal("error rate", "true", ("Errors", "FunctionName", 0)),
    Signal(
        "failed messages",
        "partly",
        ("FailedInvokeEventCount", "EventSourceMappingUUID", 0),
        {"FailedMessagesPercent": "40"},
    ),
    Signal(
        "slow target",
        "slowly",
        ("Duration", "FunctionName", 1000 * _SLOW_SECONDS / _SCALE),
        {"SlowTargetSeconds": f"{_SLOW_SECONDS / _SCALE:g}"},
    ),
    Signal("fast trip", "true", ("Errors", "FunctionName", 0), asks=True),
)


@dataclass(frozen=True)
class Measured:
    """What came of a signal. Moments are seconds since the epoch on the wall, counts are messages."""

    signal: Signal
    first_failure: float
    disable_call: float
    disabled: float
    delivered: int
    failed: int
    asked: float | None = None


def run_signals(console: Console) -> int:
    """Measure every signal and print a table. Returns 0; what cannot be measured is raised."""
    measured = []
    for signal in SIGNALS:
        console.print(f"[bold]{signal.name}[/]: SHOULD_ERROR={signal.trouble}", highlight=False)
        with Lab(scale=_SCALE) as lab:
            measured.append(measure(lab, signal))
    console.print(table_of(measured))
    console.print(
        f"Real-equivalent seconds, measured {_SCALE} times faster than AWS, at {_ORDERS_PER_SECOND:g} order a second. "
        "The trouble began in the middle of a metric period.",
        highlight=False,
    )
    for each in measured:
        if each.asked is not None:
            console.print(
                f"{each.signal.name}: the disable call was made {each.disable_call - each.asked:.1f} s on the wall "
                "after the event was put. EventBridge, state machine and functions are not scaled.",
                highlight=False,
            )
    return 0


def table_of(measured: list[Measured]) -> Table:
    """The figures, a row for each signal."""
    table = Table(title="From the first failure to the pause", title_style="bold")
    table.add_column("signal")
    for name in ("disable call after", "Disabled after", "messages delivered", "of these failed"):
        table.add_column(name, justify="right")
    for each in measured:
        table.add_row(*row_of(each))
    return table


def row_of(each: Measured) -> tuple[str, ...]:
    """One signal's row."""
    call, disabled = (_SCALE * (moment - each.first_failure) for moment in (each.disable_call, each.disabled))
    return each.signal.name, f"{call:.0f} s", f"{disabled:.0f} s", str(each.delivered), str(each.failed)


def measure(lab: Lab, signal: Signal) -> Measured:
    """Deploy, let orders flow, begin the trouble, and wait for the pause.

    Raises
    ------
    SignalNotSeen
        The trouble did not show in the metrics, or the circuit did not open, or did so before.
    """
    lab.deploy(signal.parameters)
    stream = OrderStream(lab.client("sqs"), lab.places.queue_url, _ORDERS_PER_SECOND * _SCALE)
    stream.start()
    try:
        time.sleep(lab.scale.wall(_HEALTHY_SECONDS))
        lab.start_alarm()
        _sleep_until_the_middle_of_a_period(lab)
        began = time.time()
        lab.set_trouble(signal.trouble)
        _until(lab, lambda: _has_shown(lab, signal, began), f"{signal.name}: no call showed the trouble")
        first_failure = time.time()
        if lab.mapping_state() != "Enabled":
            raise SignalNotSeen(f"{signal.name}: the circuit opened before the trouble")
        asked = _ask(lab) if signal.asks else None
        _until(lab, lambda: lab.mapping_state() == "Disabled", f"{signal.name}: the circuit did not open")
        disabled = time.time()
        time.sleep(_SETTLE_SECONDS)
    finally:
        stream.stop()
    mapping = {"EventSourceMappingUUID": lab.places.mapping_id}
    return Measured(
        signal,
        first_failure,
        _disable_call(lab),
        disabled,
        round(_total(lab, "InvokedEventCount", mapping, first_failure)),
        round(_total(lab, "FailedInvokeEventCount", mapping, first_failure)),
        asked,
    )


def _sleep_until_the_middle_of_a_period(lab: Lab) -> None:
    period = lab.scale.wall(_PERIOD_SECONDS)
    time.sleep((period / 2 - time.time()) % period)


def _until(lab: Lab, condition: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        lab.require_working()
        if time.monotonic() > deadline:
            raise SignalNotSeen(f"{otherwise} within {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_LOOK_EVERY_SECONDS)


def _has_shown(lab: Lab, signal: Signal, since: float) -> bool:
    metric, dimension, bound = signal.sees
    places = lab.places
    value = {"FunctionName": places.function_name, "EventSourceMappingUUID": places.mapping_id}[dimension]
    return any(point["Maximum"] > bound for point in _points(lab, metric, {dimension: value}, since))


def _total(lab: Lab, metric: str, dimensions: Mapping[str, str], since: float) -> float:
    return sum(point["Sum"] for point in _points(lab, metric, dimensions, since))


def _points(lab: Lab, metric: str, dimensions: Mapping[str, str], since: float) -> list[Any]:
    answer = lab.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=datetime.fromtimestamp(int(since), UTC),
        EndTime=datetime.fromtimestamp(int(time.time()) + 1, UTC),
        Period=1,
        Statistics=["Sum", "Maximum"],
    )
    points: list[Any] = answer["Datapoints"]
    return points


def _ask(lab: Lab) -> float:
    """Put the event that asks for the circuit to be opened. Returns when."""
    at = time.time()
    detail = json.dumps({"circuit": lab.places.circuit})
    entry = {"Source": "lab.signals", "DetailType": "Circuit Trip Requested", "Detail": detail}
    answer = lab.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise SignalNotSeen(f"the event was refused: {answer['Entries'][0]}")
    return at


def _disable_call(lab: Lab) -> float:
    """When OpenCircuit had asked Lambda to disable the mapping."""
    states = lab.client("stepfunctions")
    for execution in states.list_executions(stateMachineArn=lab.places.state_machine_arn)["executions"]:
        events = states.get_paginator("get_execution_history").paginate(executionArn=execution["executionArn"])
        for event in events.search("events[]"):
            left = event.get("stateExitedEventDetails", {})
            if left.get("name") == "OpenCircuit" and json.loads(left["output"])["claim"]["ours"]:
                return float(event["timestamp"].timestamp())
    raise SignalNotSeen("no execution of the breaker has disabled the mapping")
