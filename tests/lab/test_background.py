import threading
import time

import pytest

from lab.background import Background


class Stopped(RuntimeError):
    pass


def background(work, every=0.01):
    return Background("test", work, every=every, failed=lambda error: Stopped(f"it stopped: {error}"))


def test_work_is_repeated_until_it_is_stopped():
    rounds, enough = [], threading.Event()

    def work():
        rounds.append(1)
        if len(rounds) == 3:
            enough.set()

    running = background(work)
    running.start()
    assert enough.wait(5)
    running.stop()
    after = len(rounds)
    running.stop()
    time.sleep(0.1)
    assert len(rounds) == after
    running.require_working()


def test_error_ends_the_thread_and_is_raised_to_whoever_asks():
    def work():
        raise ValueError("no more")

    running = background(work)
    running.start()
    running._thread.join(5)
    with pytest.raises(Stopped, match="it stopped: no more"):
        running.require_working()


def test_what_the_end_cuts_off_is_no_failure():
    begun = threading.Event()

    def work():
        begun.set()
        running._stopping.wait(5)
        raise ValueError("the connection is closed")

    running = background(work)
    running.start()
    assert begun.wait(5)
    running.stop()
    running.require_working()


def test_stop_before_the_start_does_no_harm():
    background(lambda: None).stop()
