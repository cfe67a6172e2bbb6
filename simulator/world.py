"""Lets time pass, second by second, and writes down what happened."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from simulator.message_queue import MessageQueue
from simulator.metrics import Alarm, Metrics
from simulator.pipeline import Pipeline, Trouble
from simulator.poller import Mapping, Poller, PollerProfile
from simulator.rules import AlarmDefinition
from simulator.target import Target

# A policy gives back when it goes on, in seconds on the clock; infinity is the next change of the alarm to ALARM.
Process = Generator[float, None, None]

_FIELDS = ("sent", "processed", "visible", "hidden", "dead_lettered", "failed_calls", "offered", "circuit", "limit")
CLOSED, HALF_OPEN, OPEN = 0, 1, 2
# Alarm periods of up to 5 minutes begin at any moment of a run.
_PHASES = 300
# What is drained or closed is watched for this long, so that what goes wrong late is seen.
_AFTERWARDS = 300


@dataclass(frozen=True)
class _Calls:
    """Calls that began together, and what they will have come to."""

    count: int
    # The messages that they will have processed, by receive count.
    messages: list[int]
    failed: bool = False


@dataclass
class Events:
    """What a policy has done, in seconds since the start."""

    paused: list[float] = field(default_factory=list)
    enabled: list[float] = field(default_factory=list)
    closed: list[float] = field(default_factory=list)
    reopened: list[float] = field(default_factory=list)
    probes: list[tuple[float, bool]] = field(default_factory=list)
    stuck: str = ""
    looks: int = 0
    executions: int = 0
    duplicated: int = 0
    copied: int = 0


@dataclass(frozen=True)
class Run:
    """A simulated outage, one value a second. Message counts are those at the end of the second."""

    policy: str
    pipeline: Pipeline
    trouble: Trouble
    series: dict[str, npt.NDArray[np.int64]]
    events: Events
    receives_burnt: int
    collapses: int
    most_receives: int
    drained: float | None

    @property
    def fixed(self) -> float:
        """When the outage ended."""
        return self.trouble.healthy + self.trouble.outage

    @property
    def seconds(self) -> int:
        """How long the run was."""
        return len(self.series["sent"])


class World:
    """One pipeline, one outage, and what a policy may touch of them.

    Parameters
    ----------
    alarm
        The alarm that wakes the policy, None where there is none.
    minute_phase
        Seconds into a metric minute at which the run begins; drawn if None.
    asks_after
        Seconds after a failed call at which an event asks for the circuit to be opened; None for no such event.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        trouble: Trouble,
        profile: PollerProfile,
        alarm: AlarmDefinition | None,
        *,
        seed: int,
        minute_phase: float | None = None,
        asks_after: float | None = None,
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.phase = float(self.rng.integers(_PHASES)) if minute_phase is None else minute_phase
        self.pipeline, self.trouble, self.profile = pipeline, trouble, profile
        self.queue = MessageQueue(pipeline.max_receives, self.rng, oldest_first=profile.oldest_first)
        self.mapping = Mapping(profile, pipeline.max_concurrency)
        self.target = Target(pipeline.capacity, trouble, self.rng, latency=pipeline.latency)
        self.metrics = Metrics()
        self.alarm = Alarm(alarm, self.metrics, delay=profile.alarm_delay) if alarm else None
        self.events = Events()
        self.circuit = CLOSED
        self.clock = self.phase
        self._second = 0
        self._poller = Poller(profile, slows_down=not pipeline.partial_batch_response)
        self._busy = 0
        # Processes of the target that run. When a run begins it has been at work for long.
        self._processes = pipeline.max_concurrency or profile.most
        self._began_just_now = 0
        self._steps_started: set[str] = set()
        self.direct_call_seconds = pipeline.latency
        self._ending: defaultdict[int, list[_Calls]] = defaultdict(list)
        self._failed_calls = 0
        self._most_receives = 0
        self._asks_after, self._asks_at = asks_after, math.inf

    @property
    def since_start(self) -> float:
        """Seconds since the start, for the record; ``clock`` is what minutes go by."""
        return self.clock - self.phase

    def step_seconds(self, step: str) -> float:
        """What a step of the state machine takes."""
        return self.profile.step_seconds + self.start_seconds(step)

    def start_seconds(self, step: str) -> float:
        """How much longer a step takes because its function is called for the first time."""
        if step in self._steps_started:
            return 0.0
        self._steps_started.add(step)
        takes = self.profile.step_starts.get(step, self.profile.step_start_seconds)
        return max(0.0, takes - self.profile.step_seconds)

    def call_target(self, messages: int = 1) -> bool:
        """Call the target directly. True when it has processed the messages.

        ``direct_call_seconds`` is then what the call takes.
        """
        failed = self.target.serve(self.since_start, 1, messages)
        self.direct_call_seconds = (failed and self.profile.failed_call_seconds) or self.pipeline.latency
        if self.profile.target_start_seconds and not self._processes:
            self.direct_call_seconds = self.profile.step_start_seconds
            self._processes = 1
        self.metrics.count(self.clock, calls=1, failed=failed)
        self._failed_calls += failed
        return not failed

    def take_one(self) -> int | None:
        """Receive one message as a probe does. Returns its receive count with this receive, None if there is none."""
        while self.queue.visible_count:
            dead = self.queue.dead_lettered
            handed = self.queue.receive(1)
            if any(handed):
                receives = next(count for count, messages in enumerate(handed) if messages)
                self._most_receives = max(self._most_receives, receives)
                return receives
            if self.queue.dead_lettered == dead:
                break
        return None

    def hide(self, receives: int, seconds: float) -> None:
        """Hide a message that was handed out, until its time is up."""
        handed = [0] * (self.pipeline.max_receives + 1)
        handed[receives] = 1
        self.queue.fail(handed, until=self._second + max(1, math.ceil(seconds)))

    def copy_with_delay(self, poller: Poller, takes: float, delays: tuple[int, int]) -> None:
        """Receive what a poller can in this second, and put each message back as a new one with a random delay."""
        calls = poller.calls(self.clock, busy=0, limit=0, takes=takes)
        wanted = poller.batches(self.queue.visible_count, calls, self.pipeline.batch_size)
        handed = self.queue.receive(wanted * self.pipeline.batch_size)
        self.events.copied += sum(handed)
        first, last = delays
        self.queue.delay_again(handed, first=self._second + first, last=self._second + last)
        poller.after(calls=calls, failed=0, waiting=self.queue.visible_count)

    def run(
        self,
        policy: str,
        process: Process | None,
        *,
        horizon: float,
        at_least: int = 0,
        every_second: bool = False,
    ) -> Run:
        """Let time pass until the backlog is drained and the circuit closed, or the horizon is reached.

        Parameters
        ----------
        horizon
            Seconds after the fix at which it ends in any case.
        at_least
            Seconds since the start before which it does not end.
        every_second
            Check at each second that no message was made or lost.
        """
        wake = next(process) if process else math.inf
        rows: list[tuple[int, ...]] = []
        carry, drained, calm_since = 0.0, None, None
        fixed = self.target.ends
        usual = 0
        while self._second < fixed + horizon:
            now = self._second
            self.clock = self.phase + now
            carry += self.pipeline.rate
            self.queue.send(int(carry))
            carry %= 1
            self.queue.show_due(now)
            for calls in self._ending.pop(now, ()):
                self._end(calls)
            if self.mapping.settle(self.clock):
                self._note_switch()
            if self.profile.break_ends_processes and now in (math.ceil(self.target.begins), math.ceil(fixed)):
                self._end_processes()
            self._began_just_now = 0
            offered = self._poll(now) if self.mapping.polls(self.clock) else 0
            rang = self.alarm is not None and self.alarm.evaluate(self.clock)
            if self.clock >= self._asks_at:
                rang, self._asks_at = True, math.inf
            while process is not None and (wake <= self.clock or (rang and wake == math.inf)):
                rang = False
                wake = next(process, math.nan)
                if math.isnan(wake):
                    process = None
            rows.append(self._row(offered))
            if every_second:
                self._require_all_there()
            waiting = self.queue.visible_count + self.queue.hidden_count
            if now < self.trouble.healthy:
                usual = max(usual, waiting)
            elif now >= fixed and self.mapping.enabled:
                if drained is None and waiting <= usual + self.pipeline.rate:
                    drained = float(now)
                calm = drained is not None and self.circuit == CLOSED
                calm_since = (now if calm_since is None else calm_since) if calm else None
                if calm_since is not None and now - calm_since >= _AFTERWARDS and now >= at_least:
                    break
            self._second += 1
        table = np.array(rows, dtype=np.int64)
        return Run(
            policy=policy,
            pipeline=self.pipeline,
            trouble=self.trouble,
            series={name: table[:, place] for place, name in enumerate(_FIELDS)},
            events=self.events,
            receives_burnt=self.queue.receives_burnt,
            collapses=self.target.collapses,
            most_receives=self._most_receives,
            drained=drained,
        )

    def _note_switch(self) -> None:
        if self.mapping.enabled:
            self.events.enabled.append(self.since_start)
        else:
            self.events.paused.append(self.since_start)
            self._poller.start()

    def _poll(self, now: int) -> int:
        """Begin calls. Returns the messages handed to them."""
        pipeline, queue, poller = self.pipeline, self.queue, self._poller
        failed_takes = self.profile.failed_call_seconds or pipeline.latency
        failing = self.target.is_out(self.since_start)
        takes = failed_takes if failing else pipeline.latency
        allowed = poller.calls(self.clock, busy=self._busy, limit=self.mapping.limit, takes=takes, failing=failing)
        wanted = poller.batches(queue.visible_count, allowed, pipeline.batch_size)
        if not wanted:
            self.target.idle()
            poller.after(calls=0, failed=0, waiting=queue.visible_count)
            return 0
        handed = queue.receive(wanted * pipeline.batch_size)
        messages = sum(handed)
        if not messages:
            self.target.idle()
            return 0
        calls = min(wanted, messages)
        failed = self.target.serve(self.since_start, calls, messages)
        top = max(count for count, these in enumerate(handed) if these)
        self._most_receives = max(self._most_receives, top)
        bad, good = queue.split(handed, messages * failed // calls)
        queue.fail(bad, until=now + pipeline.visibility)
        self.metrics.count(self.clock, calls=calls - failed, failed=0)
        starting = self._start_processes(calls)
        self._begin(now, failed_takes, _Calls(failed, [], failed=True), starting=min(starting, failed))
        self._begin(now, pipeline.latency, _Calls(calls - failed, good), starting=max(0, starting - failed))
        poller.after(calls=calls, failed=failed, waiting=queue.visible_count)
        return messages

    def _start_processes(self, calls: int) -> int:
        """How many of these calls have to start a process, because none is free."""
        if not self.profile.target_start_seconds:
            return 0
        starting = min(calls, max(0, self._busy + calls - self._processes))
        self._processes += starting
        return starting

    def _end_processes(self) -> None:
        """The target's configuration is changed: calls at work fail, and what they had received shows again later."""
        at_work = [calls for ending in self._ending.values() for calls in ending]
        self._ending.clear()
        for calls in at_work:
            self.queue.fail(calls.messages, until=self._second + self.pipeline.visibility)
            self._end(replace(calls, messages=[], failed=True))
        # A call of less than a second has ended already here, but may still be at work. Its messages stay processed.
        short = int(self.rng.binomial(self._began_just_now, self.pipeline.latency)) if self._began_just_now else 0
        if short:
            self._count_failed(short)
            self._poller.failed(self.clock)
        self._processes = 0

    def _begin(self, now: int, seconds: float, calls: _Calls, *, starting: int) -> None:
        """Begin calls, of which some have to start a process first. Those that take less than a second end at once."""
        if not calls.count:
            return
        if calls.failed and not self.profile.counts_failures_at_end:
            self._count_failed(calls.count)
        if 0 < starting < calls.count:
            slow, fast = self.queue.split(calls.messages, sum(calls.messages) * starting // calls.count)
            self._run(now, self.profile.target_start_seconds, replace(calls, count=starting, messages=slow))
            self._run(now, seconds, replace(calls, count=calls.count - starting, messages=fast))
        else:
            self._run(now, self.profile.target_start_seconds if starting else seconds, calls)

    def _run(self, now: int, seconds: float, calls: _Calls) -> None:
        self._busy += calls.count
        if seconds < 1:
            self._began_just_now += 0 if calls.failed else calls.count
            self._end(calls)
        else:
            self._ending[now + round(seconds)].append(calls)

    def _end(self, calls: _Calls) -> None:
        self._busy -= calls.count
        processed = sum(calls.messages)
        self.queue.process(processed)
        self.metrics.count_deleted(self.clock, processed)
        if calls.failed:
            self._poller.failed(self.clock)
            if self.profile.counts_failures_at_end:
                self._count_failed(calls.count)

    def _count_failed(self, count: int) -> None:
        self.metrics.count(self.clock, calls=count, failed=count)
        self._failed_calls += count
        if self._asks_after is not None and self.circuit == CLOSED:
            self._asks_at = min(self._asks_at, self.clock + self._asks_after)

    def _row(self, offered: int) -> tuple[int, ...]:
        queue = self.queue
        on = self.mapping.enabled
        return (
            queue.sent, queue.processed, queue.visible_count, queue.hidden_count, queue.dead_lettered,
            self._failed_calls, offered, self.circuit, (self.mapping.limit or -1) if on else 0,
        )  # fmt: skip

    def _require_all_there(self) -> None:
        queue = self.queue
        found = queue.processed + queue.visible_count + queue.hidden_count + queue.dead_lettered
        assert queue.sent == found, f"{queue.sent} messages were sent, {found} are there"
        assert queue.visible_count == sum(queue.visible)
        assert queue.hidden_count >= 0
