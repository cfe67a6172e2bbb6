"""Time that moves only while everyone waits.

An execution of the state machine waits for minutes; a test has a second. So the clock stands still while anything runs
and jumps to the next thing due as soon as all actors wait. The whole process sees it (`time.time()`, `datetime.now()`,
in C as well), so Wait states, the handlers' own clock and the emulated queue's visibility timeouts agree.

An actor is the test itself or one running execution. `threading` waits use the monotonic clock, which stays real.
"""

import heapq
import itertools
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

import time_machine

REAL_SECONDS_LIMIT = 30.0
"""Longest real wait for anything. Reaching it means that an actor hangs, so it raises."""


class Deadlock(AssertionError):
    """An actor waited for longer than any simulated wait takes in real time."""


@dataclass
class _Due:
    """A sleeper to wake, or an action to run, at a moment."""

    owner: object = None
    action: Callable[[], None] | None = None
    woken: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class _Waiter:
    """Somebody who waits for a condition."""

    condition: Callable[[], bool]
    woken: threading.Event = field(default_factory=threading.Event)


class SimulatedClock:
    """A clock for the test and the executions it starts.

    Parameters
    ----------
    start
        The moment at which it starts, aware.
    """

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._lock = threading.RLock()
        self._due: list[tuple[datetime, int, _Due]] = []
        self._waiters: list[_Waiter] = []
        self._sequence = itertools.count()
        self._running_actors = 1  # the test
        self._travel = time_machine.travel(start, tick=False)
        self._hands: time_machine.Coordinates | None = None
        self._stopped = False
        self._actions_running = 0
        self._actions_wanted = True
        self.faults: list[Exception] = []

    def __enter__(self) -> Self:
        self._hands = self._travel.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopped = True
            for _, _, due in self._due:
                due.woken.set()
            self._due.clear()
        self._travel.stop()

    def now(self) -> datetime:
        """Return the simulated time, aware, in UTC."""
        return datetime.now(UTC)

    def elapsed(self) -> float:
        """Return the simulated seconds since the start."""
        return (self.now() - self._start).total_seconds()

    def sleep(self, seconds: float, *, owner: object = None) -> None:
        """Wait, as an actor. `wake(owner)` ends the wait early."""
        if seconds <= 0 or self._stopped:
            return
        due = _Due(owner=owner)
        with self._lock:
            self._push(seconds, due)
            self._running_actors -= 1
        self._move_on()
        if not due.woken.wait(REAL_SECONDS_LIMIT):
            raise Deadlock(
                f"a wait of {seconds} simulated seconds never ended; actors running: {self._running_actors}\n"
                + _what_all_threads_do()
            )

    def wake(self, owner: object) -> None:
        """End the waits of `owner` now."""
        with self._lock:
            for entry in [entry for entry in self._due if entry[2].owner is owner]:
                self._due.remove(entry)
                heapq.heapify(self._due)
                self._running_actors += 1
                entry[2].woken.set()

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Run `action` once, `seconds` from now, while everyone else waits."""
        with self._lock:
            if self._actions_wanted:
                self._push(seconds, _Due(action=lambda: (action(), None)[1]))

    def forget_actions(self) -> None:
        """Begin no action any more, and let those under way come to their end."""
        with self._lock:
            self._actions_wanted = False
            self._due = [entry for entry in self._due if entry[2].action is None]
            heapq.heapify(self._due)
        self.wait_for(lambda: self._actions_running == 0)

    def actor_begins(self) -> None:
        """Count one more actor. Call it before the actor's thread starts."""
        with self._lock:
            self._running_actors += 1

    def actor_ends(self) -> None:
        """Count one actor less."""
        with self._lock:
            self._running_actors -= 1
            for waiter in [waiter for waiter in self._waiters if self.faults or waiter.condition()]:
                self._wake_waiter(waiter)
        self._move_on()

    def wait_for(self, condition: Callable[[], bool], *, real_seconds: float = REAL_SECONDS_LIMIT) -> bool:
        """Let time pass until an actor's end, or an action, makes `condition` true. False when it stayed false.

        No time passes where it is true already.
        """
        waiter = _Waiter(condition)
        with self._lock:
            if not self.faults and not condition():
                self._waiters.append(waiter)
                self._running_actors -= 1
        if waiter in self._waiters:
            self._move_on()
            waiter.woken.wait(real_seconds)
        with self._lock:
            came_true = waiter not in self._waiters
            if not came_true:
                self._wake_waiter(waiter)
        if self.faults:
            raise self.faults.pop(0)
        return came_true

    def _wake_waiter(self, waiter: _Waiter) -> None:
        """Count it as running at once: time must not move on before it has noticed."""
        self._waiters.remove(waiter)
        self._running_actors += 1
        waiter.woken.set()

    def _push(self, seconds: float, due: _Due) -> None:
        moment = self.now() + timedelta(seconds=seconds)
        heapq.heappush(self._due, (moment, next(self._sequence), due))

    def _move_on(self) -> None:
        """Jump to what is due next, if nobody runs: wake the sleeper or begin the action. Either is an actor then."""
        with self._lock:
            if self._running_actors > 0 or not self._due or self._stopped:
                return
            moment, _, due = heapq.heappop(self._due)
            assert self._hands is not None, "the clock is not started"
            if moment > self.now():
                self._hands.move_to(moment, tick=False)
            self._running_actors += 1
            self._actions_running += due.action is not None
            due.woken.set()
        if due.action is not None:
            # On a thread of its own: it may wait, and it may stop the very actor that waits on this one.
            threading.Thread(target=self._act, args=(due.action,), daemon=True).start()

    def _act(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as fault:  # noqa: BLE001 - it belongs to the test
            self.faults.append(fault)
        finally:
            with self._lock:
                self._actions_running -= 1
            self.actor_ends()


def _what_all_threads_do() -> str:
    return "\n".join(
        f"thread {number}:\n" + "".join(traceback.format_stack(frame)[-8:])
        for number, frame in sys._current_frames().items()
    )
