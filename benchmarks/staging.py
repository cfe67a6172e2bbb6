"""Stages one scenario under one policy in the lab."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.figures import Measurement, counts_by_minute, dead_lettered, peak_rate, thinned
from benchmarks.policies import Policy
from benchmarks.reference_lab import ReferenceLab
from benchmarks.scenarios import Scenario, Trouble
from lab.orders import OrderStream
from lab.outage import Outage, OutagePlan, OutageResult
from lab.session import Lab

_MINUTE = 60.0
# Seconds into a metric minute. Both alarms then take about what they take in the mean over all moments.
BREAK_AT = 25.0
# Functions and queues hold whole seconds on the clock, and a function at least three.
_LEAST_WALL_SECONDS = 3
# A mapping that is disabled with nobody at work is stuck once this long has passed, in real-equivalent seconds.
_STUCK_AFTER = 120.0
_POISON_APART = 20.0
_NO_TROUBLE = "false"
# States of the reference policy that stand in for what AWS does without them.
_NOT_ON_AWS = ("IsThereAMessage?", "NoMessage")


def measure(
    scenario: Scenario,
    policy: Policy,
    *,
    build_dir: Path | None = None,
    on_change: Callable[[str], None] | None = None,
) -> Measurement:
    """Run a scenario under a policy, in an emulated cloud of its own. Takes one to five minutes."""
    load = os.getloadavg()[0]
    kind = ReferenceLab if policy.kind == "reference" else Lab
    with kind(scale=scenario.scale, mapping_change_seconds=scenario.mapping_change_seconds, build_dir=build_dir) as lab:
        try:
            lab.deploy(_parameters(scenario, policy, lab))
            staged = StagedOutage(lab, _plan(scenario), on_change, scenario=scenario, policy=policy)
            result = staged.run()
            return _measurement(staged, result, load)
        finally:
            shutil.rmtree(lab.work_dir / "reference", ignore_errors=True)


def _parameters(scenario: Scenario, policy: Policy, lab: Lab) -> dict[str, str]:
    def wall(seconds: float) -> str:
        return str(lab.scale.whole_wall_seconds(seconds, at_least=_LEAST_WALL_SECONDS))

    own = scenario.parameters if policy.kind == "breaker" else {}
    scaled = {
        name: f"{lab.scale.wall(float(value)):g}" if name == "SlowTargetSeconds" else value
        for name, value in own.items()
    }
    return {
        "QueueVisibilityTimeoutSeconds": wall(scenario.visibility),
        "TargetTimeoutSeconds": wall(scenario.timeout),
        "BatchSize": str(scenario.batch_size),
        "MaxReceiveCount": str(scenario.max_receives),
        **scaled,
        **policy.parameters,
    }


def _plan(scenario: Scenario) -> OutagePlan:
    return OutagePlan(
        rate=scenario.rate,
        healthy=scenario.healthy,
        outage=scenario.trouble_seconds,
        recovery_limit=scenario.limit,
        after=10.0,
    )


class StagedOutage(Outage):
    """An outage that may be partial, slow or repeated, and whose messages may stop, pile up or be poison."""

    def __init__(
        self,
        lab: Lab,
        plan: OutagePlan,
        on_change: Callable[[str], None] | None,
        *,
        scenario: Scenario,
        policy: Policy,
    ) -> None:
        super().__init__(lab, plan, lambda _: self._report())
        self._scenario, self._policy = scenario, policy
        self._on_change = on_change
        self._reported = 0
        self._disabled_since: float | None = None
        self._asked = False

    def _stage(self) -> tuple[float, float]:
        self._healthy()
        self._until_the_break()
        self._watch()
        broken = self._begin(self._scenario.troubles[0])
        for trouble in self._scenario.troubles[1:]:
            self._let_work()
            self._for(trouble.calm_before)
            self._begin(trouble)
        return broken, self._let_work()

    def _watch(self) -> None:
        """Begin to evaluate the alarms. Before, one on durations might take the functions' first starts for trouble."""
        if self._policy.kind != "none":
            self.lab.start_alarm(delay_seconds=self._scenario.delay_seconds)
        if self._policy.kind == "breaker":
            self.lab.start_schedule()

    def _begin(self, trouble: Trouble) -> float:
        """Have the target in trouble for as long as it lasts. Returns when it began."""
        self.observer.say("lab", f"SHOULD_ERROR={trouble.value}")
        at = self.observer.now()
        if trouble.value != _NO_TROUBLE:
            self.lab.set_trouble(trouble.value)
        if self._scenario.backlog:
            self.stream.send(self._scenario.backlog)
        for _ in range(self._scenario.poison):
            self.lab.client("sqs").send_message(QueueUrl=self.lab.places.queue_url, MessageBody="not an order")
            self._for(_POISON_APART)
        if self._scenario.sends_for is not None:
            self._for(at + self._scenario.sends_for - self.observer.now())
            self.stream.stop()
        self._for(at + trouble.seconds - self.observer.now())
        return at

    def _let_work(self) -> float:
        self.observer.say("lab", "SHOULD_ERROR=false: fixed")
        at = self.observer.now()
        if any(trouble.value != _NO_TROUBLE for trouble in self._scenario.troubles):
            self.lab.set_trouble(_NO_TROUBLE)
        if self._scenario.sends_for is not None:
            self.stream = OrderStream(
                self.lab.client("sqs"), self.lab.places.queue_url, self.stream.per_second, sent=self.stream.sent
            )
            self.stream.start()
        return at

    def _until_the_break(self) -> None:
        """The alarms' periods end at whole minutes, so the moment decides how long they take; the same in every run."""
        minute, moment = self.lab.scale.wall(_MINUTE), self.lab.scale.wall(BREAK_AT)
        end = time.time() + (moment - time.time()) % minute
        while time.time() < end:
            self._tick()

    def _tick(self) -> None:
        sample = self.observer.latest
        if sample.mapping != "Disabled" or sample.running_executions:
            self._disabled_since = None
        elif self._disabled_since is None:
            self._disabled_since = sample.at
        if self._policy.asks and not self._asked and sample.failed_calls:
            self._ask()
        super()._tick()

    @property
    def is_stuck(self) -> bool:
        """Whether nothing is left that would enable the mapping."""
        since = self._disabled_since
        return since is not None and self.observer.now() - since > _STUCK_AFTER

    def _goes_on(self, fixed: float) -> bool:
        return super()._goes_on(fixed) and not self.is_stuck

    def _ask(self) -> None:
        """Put the event that asks for the circuit to be opened, as the target's own code would."""
        self._asked = True
        detail = json.dumps({"circuit": self.lab.places.circuit})
        entry = {"Source": "benchmarks", "DetailType": "Circuit Trip Requested", "Detail": detail}
        answer = self.lab.client("events").put_events(Entries=[entry])
        if answer["FailedEntryCount"]:
            raise RuntimeError(f"the event was refused: {answer['Entries'][0]}")

    def _report(self) -> None:
        changes = self.observer.changes
        for change in changes[self._reported :]:
            if self._on_change is not None:
                self._on_change(f"{change.at:7.0f} s  {change.subject:<8} {change.text}")
        self._reported = len(changes)


def _measurement(staged: StagedOutage, result: OutageResult, load: float) -> Measurement:
    times, account, scenario = result.milestones, result.account, staged._scenario
    during = sum(count for at, count in result.failed_by_second if at < times.fixed)
    opened = times.paused
    tasks = [task for report in result.executions for task in report.tasks]
    return Measurement(
        scenario=scenario.name,
        policy=staged._policy.name,
        scale=result.scale,
        load=round(load, 1),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        sent=account.sent,
        processed=len(account.processed),
        waiting=len(account.waiting),
        dead_lettered=dead_lettered([s.dead_lettered for s in result.samples], [e.output for e in result.executions]),
        left_dead_lettered=result.samples[-1].dead_lettered,
        lost=len(account.lost),
        duplicated=account.duplicates,
        failed_calls=round(during),
        failed_after_fix=result.failed_calls - round(during),
        receives_burnt=result.receives_burnt,
        most_receives=staged.observer.receives.most,
        broken=round(times.broken, 1),
        fixed=round(times.fixed, 1),
        time_to_open=_rounded(times.time_to_open),
        opened_after=None if opened is None else round(opened - times.broken, 1),
        fix_to_flowing=_rounded(times.fix_to_flowing) if opened is not None else 0.0,
        fix_to_drained=_rounded(times.fix_to_drained),
        fix_to_closed=_rounded(times.fix_to_closed) if opened is not None else None,
        peak=round(peak_rate([(s.at, s.processed) for s in result.samples], times.fixed), 2),
        probes=result.probes,
        executions=len(result.executions),
        executions_failed=sum(report.status not in ("SUCCEEDED", "RUNNING") for report in result.executions),
        stuck=staged.is_stuck or (result.mapping_at_end == "Disabled" and not result.samples[-1].running_executions),
        states_entered=sum(state not in _NOT_ON_AWS for report in result.executions for state in report.states_entered),
        retries=sum(report.retries for report in result.executions),
        function_calls=len(tasks),
        function_seconds=round(sum(task.seconds for task in tasks), 2),
        copied=_copied(staged),
        failed_by_minute=counts_by_minute(result.failed_by_second, times.ended),
        series=thinned([[round(s.at, 1), s.depth, s.dead_lettered, int(s.flowing)] for s in result.samples]),
    )


def _copied(staged: StagedOutage) -> int:
    """Messages that are in the ledger, or were seen in the queue, under another id than the one they were sent with."""
    sent = {order.message_id for order in staged.stream.sent}
    return sum(entry.message_id not in sent for entry in staged.observer.ledger())


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
