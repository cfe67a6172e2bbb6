"""Chaos: an outage in which the breaker's own calls fail, its executions are stopped and its processes killed.

Then the faults stop, the target is mended, and everything that the breaker promises must come true by itself: the
circuit CLOSED, the mapping Enabled with its owner's settings, no message lost, one owner at a time, nobody left
running.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from lab.accounting import Account
from lab.alarm import AlarmState
from lab.alarm_stand_in import AlarmStandIn
from lab.background import Background
from lab.chaos_plan import Blow, ChaosPlan, make_plan
from lab.event_delivery import EventDelivery
from lab.fault_proxy import FaultProxy, ProxyFailed
from lab.observation import Observer, change_line
from lab.options import ChaosOptions
from lab.orders import OrderStream
from lab.ownership import Ownership, owned_at_once, ownership_of
from lab.session import Lab, new_work_dir

_SCALE = 10
_ORDERS_PER_WALL_SECOND = 10.0
# The mapping's own setting, which must be there again at the end. The ramp stays below it.
_OWN_CONCURRENCY = 7
# Recovery as by default, but soon: metric periods of 2 s and a delay of 1 s are what the emulated CloudWatch needs.
_PARAMETERS = {
    "BatchSize": "5",
    "MinimumInvocations": "3",
    "FirstProbeSeconds": "20",
    "MaxProbeIntervalSeconds": "60",
    "RampConcurrency": "2,4",
    "MetricPeriodSeconds": "2",
    "MetricDelaySeconds": "1",
    "ReconcileMinutes": "1",
}
_ALARM_DELAY_SECONDS = 10.0
# Wall seconds.
_HEALTHY_WITHIN, _TRIPPED_WITHIN, _MOMENT_WITHIN = 30.0, 90.0, 12.0
# The longest wait between probes, two periods of the reconciler, the steps of the ramp, and a loaded machine.
CALM_WITHIN = 150.0
_CALM_FOR = 2.0
_TICK = 0.05
_PROBE_HELD_MS = 2500
_NO_SETTING = frozenset({"State", "StateTransitionReason", "LastModified", "LastProcessingResult", "ResponseMetadata"})


class ChaosNotRun(RuntimeError):
    """There was nothing to bring into disorder."""


@dataclass(frozen=True)
class Outcome:
    """How a run has ended."""

    injected: Mapping[tuple[str, str], int]
    blows: Mapping[Blow, int]
    missed: Mapping[Blow, int]
    calm_after: float | None
    circuit: str
    mapping: str
    running: int
    settings_before: Mapping[str, Any]
    settings_after: Mapping[str, Any]
    owners: tuple[Ownership, ...]
    account: Account

    def broken_promises(self) -> list[str]:
        """What went wrong, a plain sentence each. Empty if all is well."""
        wrong: list[str] = []
        if not self.injected:
            wrong.append("No fault was injected: the functions' calls did not pass through the proxy.")
        if not self.blows:
            wrong.append("No blow fell, so nothing was shown.")
        if self.calm_after is None:
            wrong.append(
                f"{CALM_WITHIN:.0f} s after the last fault the circuit is {self.circuit}, the mapping {self.mapping}, "
                f"and {self.running} executions run. It should be CLOSED, Enabled and none."
            )
        for name in sorted(self.settings_before.keys() | self.settings_after.keys()):
            before, after = self.settings_before.get(name), self.settings_after.get(name)
            if before != after:
                wrong.append(f"The mapping's {name} is {after}, and its owner had set {before}.")
        for one, other in owned_at_once(self.owners):
            wrong.append(f"Two executions owned the circuit at once: {one.execution} and {other.execution}.")
        if self.account.lost:
            some = ", ".join(sorted(self.account.lost)[:3])
            wrong.append(f"{len(self.account.lost)} of {self.account.sent} orders were lost (for example {some}).")
        if self.account.ledger_is_empty:
            wrong.append("No order was processed: the ledger is empty.")
        return wrong


def run_chaos(options: ChaosOptions, console: Console, *, build_dir: Path | None = None) -> int:
    """Bring disorder, let it end, and see whether order comes back.

    Parameters
    ----------
    build_dir
        As ``Lab`` takes it.

    Returns
    -------
    int
        0 if every promise was kept, else 1. What was not kept is printed.
    """
    plan = make_plan(options.seed, options.minutes)
    _print_plan(console, plan)
    work_dir = new_work_dir()
    work_dir.mkdir(parents=True, exist_ok=True)
    proxy = FaultProxy(work_dir)
    with Lab(scale=_SCALE, work_dir=work_dir, functions_endpoint=proxy.endpoint, build_dir=build_dir) as lab:
        try:
            proxy.start(lab.emulator.endpoint)
            outcome = _Storm(lab, proxy, plan, console).run()
        finally:
            proxy.stop()
    broken = outcome.broken_promises()
    _print_outcome(console, plan, outcome)
    for sentence in broken:
        console.print(f"[bold red]FAILED:[/] {sentence}", soft_wrap=True, highlight=False)
    if broken:
        console.print(f"Again: make chaos SEED={plan.seed} MINUTES={plan.minutes:g}\nLogs: {work_dir}", highlight=False)
    return 1 if broken else 0


@dataclass
class _Storm:
    """One run, in a lab that is not deployed yet."""

    lab: Lab
    proxy: FaultProxy
    plan: ChaosPlan
    console: Console
    blows: Counter[Blow] = field(default_factory=Counter)
    missed: Counter[Blow] = field(default_factory=Counter)

    def run(self) -> Outcome:
        self._set_up()
        alarm = self.lab.start_alarm(delay_seconds=_ALARM_DELAY_SECONDS)
        self.lab.start_schedule()
        places, scale = self.lab.places, self.lab.scale
        stream = OrderStream(self.lab.client("sqs"), places.queue_url, _ORDERS_PER_WALL_SECOND, seed=self.plan.seed)
        self.observer = Observer(self.lab.eyes(), places, scale, stream.sent, self.lab.alarm_state)
        self.stream = stream
        self.shown = 0
        try:
            self.observer.start()
            stream.start()
            settings = self._settings()
            self._require(lambda: self.observer.processed_ids, _HEALTHY_WITHIN, "no order was processed")
            with self._weather():
                self._say("the storm begins, and the target fails")
                self.lab.set_should_error(True)
                self._require(lambda: self._record().get("owner"), _TRIPPED_WITHIN, "the circuit was not tripped")
                self._strike(alarm)
            injected = self.proxy.injected()
            self._say("the storm is over, and the target works")
            self.lab.set_should_error(False)
            calm_after = self._until_calm()
            if calm_after is None:
                self._keep_evidence()
            stream.stop()
            self._last_orders()
        finally:
            stream.stop()
            self.observer.stop()
        return self._outcome(injected, settings, calm_after)

    def _set_up(self) -> None:
        began = time.monotonic()
        self.lab.deploy(_PARAMETERS)
        self.lab.client("lambda").update_event_source_mapping(
            UUID=self.lab.places.mapping_id, ScalingConfig={"MaximumConcurrency": _OWN_CONCURRENCY}
        )
        self._require(lambda: self.lab.mapping_state() == "Enabled", _HEALTHY_WITHIN, "the mapping is not Enabled")
        self.console.print(f"set up: {time.monotonic() - began:.0f} s", highlight=False)

    @contextmanager
    def _weather(self) -> Iterator[None]:
        """Change the proxy's rules as the plan says, from now on and again from its beginning, until the end."""
        began, length, now = time.monotonic(), self.plan.minutes * 60, -1

        def change() -> None:
            nonlocal now
            at = (time.monotonic() - began) % length
            due = max(place for place, weather in enumerate(self.plan.weather) if weather.at <= at)
            if due != now:
                now = due
                self.proxy.set_rules(self.plan.weather[due].rules)

        changes = Background(
            "weather", change, every=0.2, failed=lambda error: ProxyFailed(f"the proxy takes no rules: {error}")
        )
        changes.start()
        try:
            yield
            changes.require_working()
        finally:
            changes.stop()
            self.proxy.set_rules([])

    # The blows.

    def _strike(self, alarm: AlarmStandIn) -> None:
        began = time.monotonic()
        deeds: dict[Blow, Callable[[], str | None]] = {
            Blow.STOP_EXECUTION: self._stop_execution,
            Blow.KILL_PROBE: self._kill_probe,
            Blow.ALARM_TWICE: lambda: self._ring(alarm, 2),
            Blow.ALARM_TEN_TIMES: lambda: self._ring(alarm, 10),
            Blow.PERSON_ENABLES: self._enable_by_hand,
            Blow.LUCKY_MOMENT: self._lucky_moment,
        }
        for stroke in self.plan.strokes:
            self._wait_until(began + stroke.at)
            done = deeds[stroke.blow]()
            (self.blows if done else self.missed)[stroke.blow] += 1
            self._say(done or f"no moment came to {stroke.blow}")
        self._wait_until(began + self.plan.minutes * 60)

    def _stop_execution(self) -> str | None:
        states = self.lab.client("stepfunctions")
        owner = self._moment(self._running_owner)
        if owner is None:
            return None
        step = self._step(owner)
        with suppress(ClientError):
            # It may have ended by itself just now.
            states.stop_execution(executionArn=owner, error="Chaos", cause="stopped by hand")
            return f"stopped the execution in {step}"
        return None

    def _kill_probe(self) -> str | None:
        # The next call of the target takes long, so that the probe can be met at work.
        self.proxy.add_rule({"service": "lambda", "operation": "Invoke", "latency": _PROBE_HELD_MS, "times": 1})
        if not self._moment(lambda: (owner := self._running_owner()) and self._step(owner) == "ProbeTarget"):
            return None
        time.sleep(_PROBE_HELD_MS / 10_000)
        # A change of its configuration ends a function's processes, also those that are at work.
        self.lab.client("lambda").update_function_configuration(
            FunctionName=self.lab.stack.resources["ProbeTargetFunction"], Description=f"killed {time.time():.0f}"
        )
        return "killed the probe at work"

    def _ring(self, alarm: AlarmStandIn, times: int) -> str | None:
        event = next((c.event for c in reversed(alarm.changes) if c.state is AlarmState.ALARM), None)
        if event is None:
            return None
        delivery = EventDelivery(self.lab.client("events"), self.lab.client("stepfunctions"))
        with ThreadPoolExecutor(times) as threads:
            started = sum(len(found) for found in threads.map(lambda _: delivery.deliver(event), range(times)))
        return f"delivered the alarm's event {times} times at once, which started {started} executions"

    def _enable_by_hand(self) -> str | None:
        mapping = self.lab.places.mapping_id

        def enable() -> bool:
            if self._record().get("state") != "OPEN" or self.lab.mapping_state() != "Disabled":
                return False
            with suppress(ClientError):
                # Refused while another change is under way.
                self.lab.client("lambda").update_event_source_mapping(UUID=mapping, Enabled=True)
                return True
            return False

        return "enabled the mapping by hand" if self._moment(enable) else None

    def _lucky_moment(self) -> str | None:
        self.lab.set_should_error(False)
        try:
            if not self._moment(lambda: self._record().get("state") == "HALF_OPEN"):
                return None
        finally:
            self.lab.set_should_error(True)
        return "the target worked until the circuit was HALF_OPEN, and fails again"

    # What is seen.

    def _record(self) -> dict[str, Any]:
        return self.observer.circuit_record()

    def _running(self) -> list[str]:
        states, machine = self.lab.client("stepfunctions"), self.lab.places.state_machine_arn
        pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
        return [item["executionArn"] for page in pages for item in page["executions"]]

    def _running_owner(self) -> str | None:
        owner = self._record().get("owner")
        return owner if owner in self._running() else None

    def _step(self, execution: str) -> str:
        return self.observer.step_of(execution)

    def _settings(self) -> dict[str, Any]:
        answer = self.lab.client("lambda").get_event_source_mapping(UUID=self.lab.places.mapping_id)
        return {name: value for name, value in answer.items() if name not in _NO_SETTING}

    def _is_calm(self) -> bool:
        record = self._record()
        return (
            record.get("state") == "CLOSED"
            and "owner" not in record
            and "intent" not in record
            and self.lab.mapping_state() == "Enabled"
            and not self._running()
        )

    def _until_calm(self) -> float | None:
        """Wall seconds until everything was in order, and stayed so for a while. None if it never was."""
        began = time.monotonic()
        calm_since: float | None = None
        while (now := time.monotonic()) - began < CALM_WITHIN:
            calm_since = (calm_since or now) if self._is_calm() else None
            if calm_since is not None and now - calm_since >= _CALM_FOR:
                return calm_since - began
            self._tick()
        return None

    def _keep_evidence(self) -> None:
        """Write down what the emulated cloud would take with it: the record, the histories, the functions' logs."""
        states, logs = self.lab.client("stepfunctions"), self.lab.client("logs")
        groups = logs.get_paginator("describe_log_groups").paginate().search("logGroups[].logGroupName")
        evidence = {
            "record": self._record(),
            "mapping": self._settings(),
            "histories": {
                arn: list(states.get_paginator("get_execution_history").paginate(executionArn=arn).search("events[]"))
                for arn in self._running()
            },
            "logs": {
                group: list(
                    logs.get_paginator("filter_log_events").paginate(logGroupName=group).search("events[].message")
                )
                for group in groups
            },
        }
        (self.lab.work_dir / "evidence.json").write_text(json.dumps(evidence, default=str, indent=1))

    def _last_orders(self) -> None:
        """Let what is on its way arrive. What is hidden may stay: it is waiting, not lost."""
        with suppress(ChaosNotRun):
            self._require(lambda: self.observer.latest.depth == 0, 3.0, "")

    def _outcome(self, injected: Counter[tuple[str, str]], settings: dict[str, Any], calm: float | None) -> Outcome:
        return Outcome(
            injected=injected,
            blows=self.blows,
            missed=self.missed,
            calm_after=calm,
            circuit=self._record().get("state", "-"),
            mapping=self.lab.mapping_state(),
            running=len(self._running()),
            settings_before=settings,
            settings_after=self._settings(),
            owners=tuple(self._owners()),
            account=self.observer.account(),
        )

    def _owners(self) -> Iterator[Ownership]:
        states, machine = self.lab.client("stepfunctions"), self.lab.places.state_machine_arn
        executions = states.get_paginator("list_executions").paginate(stateMachineArn=machine).search("executions[]")
        for item in executions:
            arn = item["executionArn"]
            events = states.get_paginator("get_execution_history").paginate(executionArn=arn).search("events[]")
            owned = ownership_of(arn, events, item.get("stopDate"))
            if owned is not None:
                yield owned

    # Waiting, and saying so.

    def _moment(self, find: Callable[[], Any]) -> Any:
        """What ``find`` finds first, None if it finds nothing in time."""
        deadline = time.monotonic() + _MOMENT_WITHIN
        while time.monotonic() < deadline:
            found = find()
            if found:
                return found
            self._tick()
        return None

    def _require(self, condition: Callable[[], Any], within: float, otherwise: str) -> None:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise ChaosNotRun(f"{otherwise} within {within:.0f} s")
            self._tick()

    def _wait_until(self, at: float) -> None:
        while time.monotonic() < at:
            self._tick()

    def _tick(self) -> None:
        self.lab.require_working()
        self.proxy.require_running()
        observer: Observer | None = getattr(self, "observer", None)
        if observer is not None:
            observer.require_working()
            self.stream.require_working()
            while self.shown < len(observer.changes):
                self._print(change_line(observer.changes[self.shown]))
                self.shown += 1
        time.sleep(_TICK)

    def _say(self, text: str) -> None:
        self.observer.say("chaos", text)

    def _print(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _print_plan(console: Console, plan: ChaosPlan) -> None:
    console.print(
        f"Chaos with seed {plan.seed}: {plan.minutes:g} minutes of faults once the circuit is tripped, "
        f"{len(plan.weather)} changes of the faults, {len(plan.strokes)} blows.",
        highlight=False,
        soft_wrap=True,
    )
    for stroke in plan.strokes:
        console.print(f"  {stroke.at:>6.1f} s  {stroke.blow}", highlight=False)


def _print_outcome(console: Console, plan: ChaosPlan, outcome: Outcome) -> None:
    account = outcome.account
    lines = [f"\nSeed {plan.seed}, {plan.minutes:g} minutes"]
    lines += [f"  {count:>6}  {service} {kind}" for (service, kind), count in sorted(outcome.injected.items())]
    lines += [
        f"  {outcome.blows[blow]:>6}  {blow}" + (f" ({outcome.missed[blow]} more had no moment)" * bool(missed))
        for blow in Blow
        if (missed := outcome.missed[blow]) or outcome.blows[blow]
    ]
    lines.append(
        f"{account.sent} orders: {len(account.processed)} processed, {len(account.waiting)} waiting, "
        f"{len(account.dead_lettered)} dead-lettered, {len(account.lost)} lost"
    )
    lines.append(f"{len(outcome.owners)} executions owned the circuit, each in its turn")
    if outcome.calm_after is not None:
        lines.append(
            f"{outcome.calm_after:.0f} s after the last fault: circuit {outcome.circuit}, mapping {outcome.mapping}"
        )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
