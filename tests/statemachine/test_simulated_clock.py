"""The clock that every path test relies on."""

import threading
import time
from datetime import UTC, datetime

from simulated_clock import SimulatedClock

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_sleep_moves_the_process_clock_and_takes_no_time() -> None:
    real = time.monotonic()
    with SimulatedClock(START) as clock:
        clock.sleep(3600)
        assert time.time() == START.timestamp() + 3600
        assert clock.elapsed() == 3600
    assert time.monotonic() - real < 5


def test_time_stands_still_while_another_actor_runs() -> None:
    order: list[str] = []
    go = threading.Event()

    def busy() -> None:
        go.wait(5)
        order.append(f"worked at {clock.elapsed():.0f}")
        clock.sleep(10)
        order.append(f"slept until {clock.elapsed():.0f}")
        clock.actor_ends()

    with SimulatedClock(START) as clock:
        clock.actor_begins()
        thread = threading.Thread(target=busy)
        thread.start()
        clock.after(5, lambda: order.append(f"acted at {clock.elapsed():.0f}"))
        go.set()
        clock.sleep(100)
        order.append(f"test woke at {clock.elapsed():.0f}")
        thread.join(5)
    assert order == ["worked at 0", "acted at 5", "slept until 10", "test woke at 100"]


def test_wake_ends_a_sleep_early() -> None:
    owner = object()
    with SimulatedClock(START) as clock:
        clock.after(7, lambda: clock.wake(owner))
        clock.sleep(1000, owner=owner)
        assert clock.elapsed() == 7


def test_wait_for_tells_when_the_condition_never_comes_true() -> None:
    with SimulatedClock(START) as clock:
        assert clock.wait_for(lambda: False, real_seconds=0.05) is False
        clock.after(30, lambda: None)
        assert clock.wait_for(lambda: clock.elapsed() >= 30) is True


def test_wait_for_what_is_true_lets_no_time_pass() -> None:
    with SimulatedClock(START) as clock:
        clock.after(30, lambda: None)
        assert clock.wait_for(lambda: True) is True
        assert clock.elapsed() == 0


def test_time_stands_still_until_who_waited_has_noticed() -> None:
    over, late = threading.Event(), threading.Event()

    def end() -> None:
        over.set()
        clock.actor_ends()

    with SimulatedClock(START) as clock:
        clock.actor_begins()
        clock.after(30, late.set)
        threading.Timer(0.05, end).start()
        assert clock.wait_for(over.is_set) is True
        assert not late.wait(0.1)
        assert clock.elapsed() == 0
