"""What is done about an outage: nothing, this project's breaker, or the reference sample's policy.

A policy is a process. It gives back the moment at which it goes on, or infinity to wait for the alarm.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from enum import StrEnum
from typing import Any

from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.poller import AWS, Poller, PollerProfile
from simulator.rules import (
    KNOWN_GOOD_SECONDS,
    LEAST_CONCURRENCY,
    MAPPING_CHANGE_SECONDS,
    MAX_HOLD_SECONDS,
    TRIALS,
    Health,
    HealthRule,
    HeldMessage,
    Judgement,
    Recovery,
    Shown,
    judge,
    may_hold_another,
    needs_trial,
    next_to_try,
    probe_wait_seconds,
    read_alarm,
    read_steps,
    receives_within,
    recovery_steps,
    settle_retry,
    successes_despite_alarm,
)
from simulator.world import CLOSED, HALF_OPEN, OPEN, Process, Run, World


class Policy(StrEnum):
    """Whom to simulate."""

    NONE = "none"
    REFERENCE = "reference"
    BREAKER = "breaker"


def simulate(
    policy: Policy,
    pipeline: Pipeline,
    trouble: Trouble,
    settings: BreakerSettings,
    *,
    seed: int = 1,
    profile: PollerProfile = AWS,
    horizon: float = 7200.0,
    at_least: int = 0,
    minute_phase: float | None = None,
    every_second: bool = False,
    asks_after: float | None = None,
) -> Run:
    """Simulate one outage under one policy. The same arguments give the same run.

    ``asks_after`` is for a target whose code asks for the circuit to be opened: so many seconds after a failed call.
    """
    alarm = {Policy.NONE: lambda: None, Policy.REFERENCE: _reference_alarm, Policy.BREAKER: settings.alarm}[policy]()
    world = World(pipeline, trouble, profile, alarm, seed=seed, minute_phase=minute_phase, asks_after=asks_after)
    process: Process | None = None
    if policy is Policy.BREAKER:
        process = Breaker(world, settings.circuit()).run()
    if policy is Policy.REFERENCE:
        process = _reference(world)
    return world.run(policy.value, process, horizon=horizon, at_least=at_least, every_second=every_second)


def _settle(world: World) -> Process:
    """Wait as ConfirmPaused and ConfirmEnabled do, until the mapping has changed."""
    retry, attempt = settle_retry(), 0
    yield world.clock + world.step_seconds("ConfirmPaused" if not world.mapping.will_be_enabled else "ConfirmEnabled")
    while not world.mapping.is_settled(world.clock):
        chance = world.rng.random()
        yield world.clock + world.profile.step_seconds + chance * retry.longest_wait(attempt)
        attempt += 1


class Breaker:
    """The project's state machine, with its own rules."""

    def __init__(self, world: World, settings: dict[str, Any]) -> None:
        self._world = world
        self._settings = settings
        self._held: list[HeldMessage] = []
        self._successes = 0
        self._taken = self._too_much = 0
        self._opened = 0.0
        self._believed_after = successes_despite_alarm()
        self._rule = HealthRule(
            percent=settings["ErrorRatePercent"],
            minimum=settings["MinimumInvocations"],
            period_seconds=settings["MetricPeriodSeconds"],
            delay_seconds=settings["MetricDelaySeconds"],
            timeout_seconds=world.pipeline.timeout,
        )

    def run(self) -> Process:
        """Wait for the alarm, deal with the incident, and wait again."""
        while not self._world.events.stuck:
            yield math.inf
            yield from self._incident()

    def _incident(self) -> Process:
        world, settings = self._world, self._settings
        failures = self._successes = self._too_much = 0
        self._opened = world.clock
        yield world.clock + world.step_seconds("LoadCircuit") + world.step_seconds("OpenCircuit")
        yield from self._pause()
        wait = self._wait(0)
        while True:
            yield world.clock + wait + world.start_seconds("ProbeTarget")
            world.direct_call_seconds = world.pipeline.latency
            outcome = self._probe()
            yield world.clock + world.profile.step_seconds + world.direct_call_seconds
            if outcome == "HEALED" or outcome in TRIALS:
                starts = world.start_seconds("SettleHeldMessages")
                if starts:
                    yield world.clock + starts
                self._settle_held()
                reopened = yield from self._recover(outcome)
                if not reopened:
                    break
                outcome = "REOPENED"
            failed = outcome in ("FAILED", "REOPENED")
            failures += failed
            if failed:
                self._successes = 0
            if 0 < settings["MaxProbes"] <= failures:
                yield from self._give_up()
                return
            wait = self._wait(0 if outcome == "CONFIRMING" else failures)
        world.circuit = CLOSED
        world.events.closed.append(world.since_start)

    def _pause(self) -> Process:
        world = self._world
        world.mapping.change(world.clock, enabled=False, limit=world.pipeline.max_concurrency)
        yield from _settle(world)
        world.circuit = OPEN

    def _wait(self, failures: int) -> int:
        settings = self._settings
        return probe_wait_seconds(
            failures,
            first=settings["FirstProbeSeconds"],
            rate=settings["ProbeBackoffRate"],
            longest=settings["MaxProbeIntervalSeconds"],
            jitter_percent=settings["ProbeJitterPercent"],
            chance=float(self._world.rng.random()),
        )

    def _probe(self) -> str:
        world = self._world
        self._forget_ended()
        message = self._choose()
        if message is None:
            return self._without_a_message()
        processed = world.call_target()
        world.events.probes.append((world.since_start, processed))
        others = [other for other in self._held if other.message_id != message.message_id]
        if processed:
            world.queue.process(1)
            self._held = others
            self._successes += 1
            rings = world.alarm is not None and world.alarm.rang_since(0)
            return "CONFIRMING" if rings and self._successes < self._believed_after else "HEALED"
        world.queue.receives_burnt += message.tries == 0
        self._held = [*others, replace(message, tries=message.tries + 1, last_tried=int(world.clock))]
        return "TRIAL" if self._needs_trial() else "FAILED"

    def _choose(self) -> HeldMessage | None:
        world = self._world
        if may_hold_another(self._held, max_held=self._settings["MaxHeldMessages"]):
            receives = world.take_one()
            if receives is not None:
                self._taken += 1
                ends = int(world.clock) + MAX_HOLD_SECONDS
                return HeldMessage(f"{self._taken:09d}", "", receives, ends, chunks=1)
        return next_to_try(self._held)

    def _without_a_message(self) -> str:
        queue = self._world.queue
        if self._needs_trial():
            return "TRIAL"
        return "NOTHING_TO_TRY" if queue.visible_count or queue.hidden_count else "QUEUE_EMPTY"

    def _needs_trial(self) -> bool:
        world, rule = self._world, self._rule
        periods = 1 + int(self._settings["HealthPeriods"])
        trial = periods * rule.period_seconds + rule.settle_seconds + 60
        return needs_trial(
            self._held,
            max_receive_count=world.pipeline.max_receives,
            trial_receives=receives_within(trial, visibility_timeout=world.pipeline.visibility),
            visible=world.queue.visible_count,
            hidden=world.queue.hidden_count,
            delayed=0,
        )

    def _forget_ended(self) -> None:
        """What SQS shows again after 12 hours is the queue's."""
        now = self._world.clock
        ended = [message for message in self._held if message.hold_ends - self._world.pipeline.timeout - 30 <= now]
        for message in ended:
            self._world.hide(message.receive_count, max(1.0, message.hold_ends - now))
            # It was counted when it was first tried.
            self._world.queue.receives_burnt -= 1
        self._held = [message for message in self._held if message not in ended]

    def _settle_held(self) -> None:
        world = self._world
        for message in self._held:
            if message.has_room(world.pipeline.max_receives):
                world.queue.show_again(message.receive_count)
            elif world.call_target():
                world.queue.process(1)
            else:
                world.hide(message.receive_count, message.hold_ends - world.clock)
                world.queue.receives_burnt -= 1
        self._held = []

    def _recover(self, outcome: str) -> Generator[float, None, bool]:
        """Let messages in step by step. Returns whether the circuit was opened again."""
        world, settings = self._world, self._settings
        ramps = settings["Recovery"] == "RAMP"
        ramp = [LEAST_CONCURRENCY] if outcome in TRIALS else []
        if ramps:
            ramp = read_steps(settings["RampConcurrency"])
        steps = recovery_steps(ramp, own=world.pipeline.max_concurrency, provisioned=False)
        recovery = Recovery(steps, 0, too_much=self._too_much)
        while True:
            yield world.clock + world.step_seconds("RaiseConcurrency" if world.mapping.enabled else "CloseCircuit")
            if (world.mapping.enabled, world.mapping.limit) != (True, recovery.concurrency):
                world.mapping.change(world.clock, enabled=True, limit=recovery.concurrency)
            yield from _settle(world)
            world.circuit = HALF_OPEN
            step, began = recovery.step, world.clock
            while recovery.step == step:
                judgement = yield from self._judged(began, success_needed=outcome in TRIALS and step == 0)
                if judgement.health is Health.BAD:
                    self._too_much = recovery.too_much_after_reopening()
                    world.events.reopened.append(world.since_start)
                    yield world.clock + world.step_seconds("ReopenCircuit")
                    yield from self._pause()
                    return True
                if recovery.is_last:
                    return False
                shown = self._shown(judgement, began)
                recovery = recovery.after_good_step(shown) if ramps else recovery.next_given()
                began = world.clock

    def _judged(self, began: float, *, success_needed: bool) -> Generator[float, None, Judgement]:
        """Wait as WaitForMetrics does, until the step can be judged."""
        world, enough, looked = self._world, self._settings["HealthPeriods"], None
        while True:
            wait = self._rule.wait_seconds(began, world.clock, enough_periods=enough, looked=looked)
            yield world.clock + wait + world.step_seconds("JudgeRecovery")
            judgement, looked = self._judge(began, success_needed=success_needed), world.clock
            world.events.looks += 1
            if judgement.health is not Health.UNDECIDED:
                return judgement

    def _judge(self, began: float, *, success_needed: bool) -> Judgement:
        world, rule = self._world, self._rule
        first = rule.first_period(began)
        seen = world.metrics.periods(first, world.clock - world.profile.metrics_delay, rule.period_seconds)
        judgement = judge(
            seen,
            rule,
            began=began,
            now=world.clock,
            enough_periods=self._settings["HealthPeriods"],
            success_needed=success_needed,
        )
        if judgement.health is not Health.GOOD:
            return judgement
        left = world.queue.visible_count + world.queue.hidden_count
        rang = world.alarm is not None and world.alarm.rang_since(first + rule.period_seconds)
        bad = rang or (success_needed and not judgement.succeeded and left)
        return replace(judgement, health=Health.BAD) if bad else judgement

    def _shown(self, judgement: Judgement, began: float) -> Shown:
        world, length = self._world, self._rule.period_seconds
        return Shown(
            waiting=world.queue.visible_count,
            processed=world.metrics.most_deleted(began, world.clock - world.profile.metrics_delay, length),
            known_good=world.metrics.most_deleted(self._opened - KNOWN_GOOD_SECONDS, self._opened, length),
            strained=judgement.strained,
            seconds_open=round(world.clock - self._opened),
        )

    def _give_up(self) -> Process:
        world = self._world
        if self._settings["OnGiveUp"] == "STAY_OPEN":
            self._settle_held()
            world.events.stuck = f"gave up after {self._settings['MaxProbes']} failed probes, as it was told to"
            return
        self._settle_held()
        world.mapping.change(world.clock, enabled=True, limit=world.pipeline.max_concurrency)
        yield from _settle(world)
        world.circuit = CLOSED
        world.events.closed.append(world.since_start)


# The reference sample's policy, as its stack has it when it is synthesised.
_REFERENCE_FIRST_WAIT, _REFERENCE_PROBES = 10, 9
_OVER_LIMIT_RETRIES = (10, 20, 40, 80, 160)
_REJITTER_SECONDS, _REJITTER_DELAYS = 60, (60, 178)
# A batch of copies, sent at once.
_COPY_LATENCY = 0.1


def _reference_alarm() -> Any:
    def metric(name: str, metric_name: str) -> dict[str, Any]:
        stat = {"Stat": "Sum", "Period": 300, "Metric": {"Namespace": "AWS/Lambda", "MetricName": metric_name}}
        return {"Id": name, "ReturnData": False, "MetricStat": stat}

    return read_alarm(
        {
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "Threshold": 80,
            "EvaluationPeriods": 1,
            "Metrics": [
                {"Id": "rate", "Expression": "100 * errors / invocations", "ReturnData": True},
                metric("errors", "Errors"),
                metric("invocations", "Invocations"),
            ],
        }
    )


def _reference(world: World) -> Process:
    """Start an execution at each change of the alarm to ALARM, whatever else runs: nothing excludes a second one."""
    executions: list[tuple[float, Process]] = []
    rang_at = 0.0
    yield math.inf
    while True:
        alarm = world.alarm
        if alarm is not None and alarm.rang_since(rang_at + 1):
            rang_at = alarm.changed_at
            executions.append((world.clock + world.profile.step_seconds, _execution(world)))
            world.events.executions += 1
        executions = [
            (after, each) for wake, each in executions if not math.isnan(after := _resumed(world, wake, each))
        ]
        if not executions and world.mapping.will_be_enabled:
            yield math.inf
        elif not executions:
            return
        else:
            world.events.stuck = ""
            yield world.clock + 1


def _resumed(world: World, wake: float, execution: Process) -> float:
    """When an execution goes on, having gone on if it was time; nothing (NaN) when it has ended."""
    return next(execution, math.nan) if wake <= world.clock else wake


def _execution(world: World) -> Process:
    """Disable, try with one message, wait twice as long after each failure, re-jitter and enable after one success."""
    step = world.profile.step_seconds
    world.mapping.change(world.clock, enabled=False, limit=world.pipeline.max_concurrency)
    # It does not wait for the mapping. It is given the time all the same: whether a mapping that is Disabling takes the
    # message that the probes need is not known.
    yield world.clock + MAPPING_CHANGE_SECONDS
    world.circuit = OPEN
    yield world.clock + _REFERENCE_FIRST_WAIT
    receives = world.take_one()
    for wait in _OVER_LIMIT_RETRIES:
        # Messages are there, but SQS refuses a receive: too many are in flight. Such an error is retried.
        if receives is not None or not world.queue.visible_count:
            break
        yield world.clock + wait
        receives = world.take_one()
    if receives is None:
        world.events.stuck = "a receive found no message, which ended the execution: paused for good"
        return
    # One message for all tries. It shows again when its time is up; while the mapping is off nobody takes it.
    world.hide(receives, world.pipeline.visibility)
    enabled_before = len(world.events.enabled)
    for failures in range(_REFERENCE_PROBES):
        if failures:
            yield (
                world.clock
                + step
                + probe_wait_seconds(
                    failures, first=_REFERENCE_FIRST_WAIT, rate=2, longest=100_000, jitter_percent=0, chance=0.0
                )
            )
        processed = world.call_target()
        world.events.probes.append((world.since_start, processed))
        yield world.clock + step + world.pipeline.latency
        if processed:
            break
    else:
        world.events.stuck = f"the {_REFERENCE_PROBES} probes are used up: paused for good"
        return
    # Since messages flowed again, somebody else has received it: it was processed twice.
    if enabled_before != len(world.events.enabled) or not world.queue.delete_if_there(receives):
        world.events.duplicated += 1
    yield from _rejitter(world)
    world.mapping.change(world.clock, enabled=True, limit=world.pipeline.max_concurrency)
    yield from _settle(world)
    world.circuit = CLOSED
    world.events.closed.append(world.since_start)


def _rejitter(world: World) -> Process:
    """Another function takes the queue for a minute, and puts back each message with a random delay."""
    # Its mapping takes as long as any other to be enabled and disabled, and polls while it is being disabled.
    poller = Poller(world.profile, slows_down=False)
    yield world.clock + MAPPING_CHANGE_SECONDS
    for _ in range(_REJITTER_SECONDS - int(MAPPING_CHANGE_SECONDS)):
        world.copy_with_delay(poller, _COPY_LATENCY, _REJITTER_DELAYS)
        yield world.clock + 1
