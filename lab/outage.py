"""An outage from beginning to end: healthy, failing, fixed, drained, closed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.accounting import Account
from lab.history import Task, first_visits, retries_of, states_entered, tasks_of
from lab.observation import Change, Observer, Sample
from lab.orders import OrderStream

if TYPE_CHECKING:
    from lab.session import Lab

PRICE_PER_TRANSITION = 25 / 1_000_000
_TICK_SECONDS = 0.1
# After the stream has stopped, what is left in the queue needs no more than this (wall seconds).
_LAST_ORDERS_SECONDS = 15.0


class OutageNotRun(RuntimeError):
    """The outage could not be staged at all."""


@dataclass(frozen=True)
class OutagePlan:
    """What to stage. All in real-equivalent seconds and orders per real-equivalent second.

    ``recovery_limit`` is how long after the fix the backlog may take to drain, and the circuit to close, before the run
    is ended.
    """

    rate: float = 1.0
    healthy: float = 60.0
    outage: float = 300.0
    recovery_limit: float = 1200.0
    after: float = 40.0


@dataclass(frozen=True)
class Milestones:
    """When what happened, in real-equivalent seconds since the start. ``None``: it did not."""

    broken: float
    fixed: float
    ended: float
    first_failure: float | None = None
    paused: float | None = None
    flowing: float | None = None
    drained: float | None = None
    closed: float | None = None

    @property
    def time_to_open(self) -> float | None:
        """From the first failed call to the mapping being Disabled."""
        return _between(self.first_failure, self.paused)

    @property
    def fix_to_flowing(self) -> float | None:
        """From the fix to the mapping being on for good, with few messages at once to begin with."""
        return _between(self.fixed, self.flowing)

    @property
    def fix_to_closed(self) -> float | None:
        """From the fix to the end of the incident, the watch after the last step included."""
        return _between(self.fixed, self.closed)

    @property
    def fix_to_drained(self) -> float | None:
        """From the fix to every order of the backlog having left the queue for good."""
        return _between(self.fixed, self.drained)


@dataclass(frozen=True)
class ExecutionReport:
    """One execution of the breaker's state machine.

    ``first_visits`` is how long it was in each state the first time, in real-equivalent seconds; the time of ``tasks``
    is the machine's.
    """

    arn: str
    status: str
    states_entered: tuple[str, ...]
    output: str | None
    retries: int = 0
    first_visits: Mapping[str, float] = field(default_factory=dict)
    tasks: tuple[Task, ...] = ()

    @property
    def transitions(self) -> int:
        """What AWS bills: each state that was entered, and each retry (https://aws.amazon.com/step-functions/pricing/)."""
        return len(self.states_entered) + self.retries


class Promise:
    """Something that must be true of every run.

    Parameters
    ----------
    name
        What is promised.
    broken
        How it was broken, one sentence; anything false if it was kept.
    """

    def __init__(self, name: str, broken: object) -> None:
        self.name = name
        self.broken = str(broken) if broken else ""


@dataclass(frozen=True)
class OutageResult:
    """All that a run has shown."""

    plan: OutagePlan
    scale: int
    milestones: Milestones
    account: Account
    receives_burnt: int
    failed_calls: int
    executions: tuple[ExecutionReport, ...]
    mapping_at_end: str
    circuit_at_end: str
    samples: Sequence[Sample] = field(repr=False)
    changes: Sequence[Change] = field(repr=False)
    # (real-equivalent time, count) by wall second.
    failed_by_second: Sequence[tuple[float, float]] = field(repr=False)
    # When it began, seconds since the epoch.
    began: float = 0.0

    @property
    def probes(self) -> int:
        """How often the breaker tried the target."""
        return sum(report.states_entered.count("ProbeTarget") for report in self.executions)

    @property
    def state_transitions(self) -> int:
        """What AWS bills, retries included."""
        return sum(report.transitions for report in self.executions)

    @property
    def price(self) -> float:
        """What the state transitions cost on AWS, in dollars."""
        return self.state_transitions * PRICE_PER_TRANSITION

    def broken_promises(self) -> list[str]:
        """What went wrong, a plain sentence each. Empty if all is well."""
        return [promise.broken for promise in self.promises() if promise.broken]

    def promises(self) -> Iterator[Promise]:
        """What must be true of every run, kept or broken."""
        account, paused = self.account, self.milestones.paused is not None
        some = ", ".join(sorted(account.lost)[:3])
        yield Promise(
            "No order is lost",
            account.lost
            and f"{len(account.lost)} of {account.sent} orders were lost: they are neither in the ledger nor in the "
            f"queue nor in the dead-letter queue (for example {some}).",
        )
        yield Promise(
            "Orders are processed", account.ledger_is_empty and "No order was processed: the ledger is empty."
        )
        yield Promise(
            "There was an outage",
            self.failed_calls == 0 and "No call failed, so there was no outage to protect against.",
        )
        yield Promise(
            "The circuit opens", not paused and "The circuit never opened: the mapping was never seen Disabled."
        )
        yield Promise(
            "The consumer runs at the end",
            self.mapping_at_end != "Enabled" and f"The mapping is {self.mapping_at_end} at the end, not Enabled.",
        )
        drained = self.milestones.drained is not None
        yield Promise(
            "The backlog is worked off",
            paused
            and not drained
            and f"The backlog was not drained within {self.plan.recovery_limit:.0f} s of the fix: "
            f"{len(account.waiting)} orders are still waiting.",
        )
        yield Promise(
            "The incident ends",
            paused
            and drained
            and self.circuit_at_end != "CLOSED"
            and f"The circuit is {self.circuit_at_end} at the end, not CLOSED.",
        )


def _between(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


@dataclass
class Outage:
    """Stages a plan in a deployed lab.

    Parameters
    ----------
    on_tick
        Called several times a second, to draw.
    """

    lab: Lab
    plan: OutagePlan
    on_tick: Callable[[Outage], None] | None = None
    phase: str = "healthy"

    def __post_init__(self) -> None:
        per_wall_second = self.plan.rate * self.lab.scale.factor
        self.stream = OrderStream(self.lab.client("sqs"), self.lab.places.queue_url, per_wall_second)
        self.observer = Observer(
            self.lab.eyes(), self.lab.places, self.lab.scale, self.stream.sent, self.lab.alarm_state
        )

    def run(self) -> OutageResult:
        """Stage it and wait until the backlog is drained, or the plan's limit is reached."""
        self.observer.start()
        self.stream.start()
        try:
            broken, fixed = self._stage()
            drained = self._until_drained(fixed)
            closed = self._until_closed(fixed) if drained is not None else None
            self.phase = "closed" if closed is not None else "out of time"
            self._for(self.plan.after if closed is not None else 0)
            self.stream.stop()
            self._last_orders()
        finally:
            self.stream.stop()
            self.observer.stop()
        self.observer.require_working()
        return self._result(broken, fixed, drained, closed)

    def _stage(self) -> tuple[float, float]:
        """Break the target and mend it. Returns when it was broken, and when it was mended for good."""
        self.observer.say("lab", f"{self.plan.rate:g} orders/s, target healthy")
        self._healthy()
        broken = self._switch("outage", failing=True)
        self._for(self.plan.outage - (self.observer.now() - broken))
        return broken, self._switch("fixed", failing=False)

    def _healthy(self) -> None:
        self._for(self.plan.healthy)
        patience = time.monotonic() + 20
        # Breaking a pipeline that never worked would show nothing.
        while not self.observer.processed_ids:
            if time.monotonic() > patience:
                raise OutageNotRun("no order was processed before the outage: the pipeline does not work")
            self._tick()

    def _switch(self, phase: str, *, failing: bool) -> float:
        self.phase = phase
        self.observer.say("lab", "SHOULD_ERROR=true: the outage begins" if failing else "SHOULD_ERROR=false: fixed")
        at = self.observer.now()
        self.lab.set_should_error(failing)
        return at

    def _until_drained(self, fixed: float) -> float | None:
        """Wait until every order sent before messages flowed again has left the queue for good."""
        backlog: frozenset[str] | None = None
        while self._goes_on(fixed):
            sample = self.observer.latest
            if sample.flowing and sample.circuit != "OPEN" and sample.at > fixed:
                self.phase = "recovering"
                if backlog is None:
                    backlog = frozenset(order.order_id for order in list(self.stream.sent))
                left = len(backlog - self.observer.processed_ids)
                if left <= sample.dead_lettered:
                    at = self.observer.now()
                    self.observer.say("lab", "the backlog is drained")
                    return at
            self._tick()
        return None

    def _until_closed(self, fixed: float) -> float | None:
        """Wait until the breaker has watched for long enough and has ended the incident."""
        self.phase = "watched"
        while self._goes_on(fixed):
            sample = self.observer.latest
            if sample.circuit == "CLOSED" and sample.mapping == "Enabled" and not sample.running_executions:
                return sample.at
            self._tick()
        return None

    def _goes_on(self, fixed: float) -> bool:
        """Whether something may still come of waiting."""
        return self.observer.now() - fixed < self.plan.recovery_limit

    def _last_orders(self) -> None:
        """Let the orders that are still on their way arrive."""
        self.observer.say("lab", "no more orders")
        deadline = time.monotonic() + _LAST_ORDERS_SECONDS
        while time.monotonic() < deadline:
            sample = self.observer.latest
            if sample.mapping != "Enabled" or (sample.depth == 0 and sample.processed >= len(self.stream.sent)):
                return
            if len(self.observer.processed_ids) + sample.dead_lettered >= len(self.stream.sent):
                return
            self._tick()

    def _for(self, real_seconds: float) -> None:
        end = self.observer.now() + real_seconds
        while self.observer.now() < end:
            self._tick()

    def _tick(self) -> None:
        self.lab.require_working()
        self.observer.require_working()
        self.stream.require_working()
        if self.on_tick is not None:
            self.on_tick(self)
        time.sleep(_TICK_SECONDS)

    def _result(self, broken: float, fixed: float, drained: float | None, closed: float | None) -> OutageResult:
        observer = self.observer
        observer.look_closely()
        last = observer.look()
        observer.samples.append(last)
        account = observer.account()
        samples = observer.samples
        paused = next((sample.at for sample in samples if sample.mapping == "Disabled"), None)
        return OutageResult(
            plan=self.plan,
            scale=self.lab.scale.factor,
            milestones=Milestones(
                broken=broken,
                fixed=fixed,
                ended=last.at,
                first_failure=next((sample.at for sample in samples if sample.failed_calls), None),
                paused=paused,
                flowing=_flowing_again(samples, fixed) if paused is not None else None,
                drained=drained,
                closed=closed,
            ),
            account=account,
            receives_burnt=observer.receives.burnt(account.processed),
            failed_calls=observer.failed_calls(),
            executions=tuple(self._execution_reports()),
            mapping_at_end=last.mapping,
            circuit_at_end=last.circuit,
            samples=tuple(samples),
            changes=tuple(observer.changes),
            failed_by_second=tuple(
                (observer.real_time_of(at), count) for at, count in sorted(observer.metric_by_second("Errors").items())
            ),
            began=observer.began,
        )

    def _execution_reports(self) -> list[ExecutionReport]:
        states = self.lab.client("stepfunctions")
        arn = self.lab.places.state_machine_arn
        executions = states.get_paginator("list_executions").paginate(stateMachineArn=arn).search("executions[]")
        return [self._execution_report(states, item) for item in executions]

    def _execution_report(self, states: Any, item: Any) -> ExecutionReport:
        arn = item["executionArn"]
        pages = states.get_paginator("get_execution_history").paginate(executionArn=arn)
        history = list(pages.search("events[]"))
        output = states.describe_execution(executionArn=arn).get("output")
        visits = {name: self.lab.scale.real(seconds) for name, seconds in first_visits(history).items()}
        return ExecutionReport(
            arn=arn,
            status=item["status"],
            states_entered=tuple(states_entered(history)),
            output=output,
            retries=retries_of(history),
            first_visits=visits,
            tasks=tuple(tasks_of(history)),
        )


def _flowing_again(samples: Sequence[Sample], fixed: float) -> float | None:
    """When the mapping was seen on for good after the fix."""
    flowing: float | None = None
    for sample in samples:
        if not sample.flowing:
            flowing = None
        elif sample.at > fixed and flowing is None:
            flowing = sample.at
    return flowing
