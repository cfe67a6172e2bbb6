"""Lambda's poller for a standard queue, and the mapping that switches it."""

from __future__ import annotations

from collections import abc
from dataclasses import dataclass, field

from simulator.rules import CLOUDWATCH_DELAY_SECONDS, MAPPING_CHANGE_SECONDS

# Without ReportBatchItemFailures Lambda reduces concurrency gradually while calls fail. How fast is not documented:
# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
_HALVED_IN_SECONDS = 60.0
_MINUTE = 60.0


@dataclass(frozen=True)
class PollerProfile:
    """How a poller and all around it behave.

    Attributes
    ----------
    first, growth_per_minute, most
        Batches at once to begin with, how many more each minute while messages wait, and the most of all.
    rest_after_failure
        Seconds without a receive after a call that failed has ended.
    failed_call_seconds
        What a failed call takes; 0 where it takes as long as any other.
    break_ends_processes
        True where the target is broken, and mended, by a change of its configuration that ends its processes: calls at
        work fail, and the calls that follow have to start processes.
    target_start_seconds
        What a call of the mapping takes that has to start a process; 0 where none has to.
    step_start_seconds, step_starts
        What the first call of a step of the state machine takes, and a probe that has to start a process of the
        target; 0 where it takes as long as any other. Then the same of single steps, by their names.
    counts_failures_at_end
        True where a failed call is counted in the minute in which it ends; on AWS it is that in which it began.
    fills_batches
        True where messages that arrive together are received together; else the calls that are free share them.
    polls_while_changing
        True where a mapping that is Disabling or Updating goes on as before until it has changed.
    step_seconds
        What one step of the state machine takes.
    metrics_delay
        How long after its end a minute can be read by the breaker.
    alarm_delay
        How long after its end a minute can be read by the alarm.
    """

    name: str
    first: int
    growth_per_minute: float
    most: int
    rest_after_failure: float
    failed_call_seconds: float
    break_ends_processes: bool
    target_start_seconds: float
    step_start_seconds: float
    counts_failures_at_end: bool
    fills_batches: bool
    oldest_first: bool
    polls_while_changing: bool
    step_seconds: float
    metrics_delay: float
    alarm_delay: float
    step_starts: abc.Mapping[str, float] = field(default_factory=dict)


# https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html. That a mapping polls until it is Disabled is
# the worse of two cases, neither of which is documented.
AWS = PollerProfile(
    name="aws",
    first=5,
    growth_per_minute=300.0,
    most=1250,
    rest_after_failure=0.0,
    failed_call_seconds=0.0,
    break_ends_processes=False,
    target_start_seconds=0.0,
    step_start_seconds=0.0,
    counts_failures_at_end=False,
    fills_batches=False,
    oldest_first=False,
    polls_while_changing=True,
    step_seconds=0.5,
    metrics_delay=90.0,
    alarm_delay=CLOUDWATCH_DELAY_SECONDS,
)
# The emulator at scale 10: at most 5 batches at once, and after a failed one a wall second of rest, and half a tick of
# the sender until it is woken. A process that runs fails a batch in 20 wall milliseconds. To start one takes a wall
# second or more, and several at once share the machine's cores; what a run has measured takes the place of these two.
LAB = PollerProfile(
    name="lab",
    first=5,
    growth_per_minute=0.0,
    most=5,
    rest_after_failure=10.5,
    failed_call_seconds=0.2,
    break_ends_processes=True,
    target_start_seconds=40.0,
    step_start_seconds=15.0,
    counts_failures_at_end=True,
    fills_batches=True,
    oldest_first=True,
    polls_while_changing=False,
    step_seconds=2.0,
    metrics_delay=0.0,
    alarm_delay=CLOUDWATCH_DELAY_SECONDS,
)
PROFILES = {profile.name: profile for profile in (AWS, LAB)}


class Mapping:
    """The event source mapping: on or off, its maximum concurrency, and changes that take their time."""

    def __init__(self, profile: PollerProfile, limit: int) -> None:
        self._profile = profile
        self.enabled = True
        self.limit = limit
        self._wanted = (True, limit)
        self._settles_at = 0.0

    def change(self, now: float, *, enabled: bool, limit: int) -> None:
        """Ask for a change."""
        self._wanted = (enabled, limit)
        self._settles_at = now + MAPPING_CHANGE_SECONDS

    def settle(self, now: float) -> bool:
        """Let a change that is due happen. Returns whether it happened now."""
        if now < self._settles_at or self._wanted == (self.enabled, self.limit):
            return False
        self.enabled, self.limit = self._wanted
        return True

    def is_settled(self, now: float) -> bool:
        """True when no change is on its way."""
        return now >= self._settles_at

    @property
    def will_be_enabled(self) -> bool:
        """True when it is enabled, or will be without another change."""
        return self._wanted[0]

    def polls(self, now: float) -> bool:
        """True when messages are received."""
        return self.enabled and (self.is_settled(now) or self._profile.polls_while_changing)


class Poller:
    """Decides how many calls may begin in a second."""

    def __init__(self, profile: PollerProfile, *, slows_down: bool) -> None:
        self._profile = profile
        self._slows_down = slows_down
        self._rests_until = 0.0
        self._left_over = 0.0
        self.concurrency = float(profile.first)

    def start(self) -> None:
        """Begin as after the mapping was enabled."""
        self.concurrency = float(self._profile.first)
        self._rests_until = self._left_over = 0.0

    def calls(self, now: float, *, busy: int, limit: int, takes: float, failing: bool = False) -> int:
        """How many calls, each of which takes so many seconds, may begin in this second, if there are messages."""
        if now < self._rests_until:
            return 0
        free = max(0.0, self._at_once(limit) - busy)
        if takes >= 1 or (failing and self._profile.rest_after_failure):
            # What is free is used once: the first failure begins the rest.
            return int(free)
        allowed = free / takes + self._left_over
        self._left_over = allowed % 1
        return int(allowed)

    def failed(self, now: float) -> None:
        """Take note of a failed call that has ended."""
        self._rests_until = now + self._profile.rest_after_failure

    def after(self, *, calls: int, failed: int, waiting: int) -> None:
        """Take note of what this second's calls came to, and of the messages that still wait."""
        if failed and self._slows_down and 2 * failed >= calls:
            self.concurrency = max(2.0, self.concurrency * 0.5 ** (1 / _HALVED_IN_SECONDS))
        elif waiting:
            self.concurrency = min(self.concurrency + self._profile.growth_per_minute / _MINUTE, self._profile.most)
        else:
            self.concurrency = max(
                min(self.concurrency, self._profile.first), self.concurrency - self._profile.growth_per_minute / _MINUTE
            )

    def batches(self, waiting: int, allowed: int, batch_size: int) -> int:
        """Over how many calls the messages are spread."""
        if self._profile.fills_batches:
            return min(allowed, -(-waiting // batch_size))
        return min(allowed, waiting)

    def _at_once(self, limit: int) -> float:
        own = self._profile.most if limit == 0 else limit
        # The emulator takes a maximum of any size; its default is for mappings without one.
        if limit and self._profile.growth_per_minute == 0:
            return float(limit)
        self.concurrency = min(self.concurrency, own)
        return self.concurrency
