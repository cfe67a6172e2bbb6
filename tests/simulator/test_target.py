import numpy as np

from simulator.pipeline import Trouble
from simulator.target import Target


def make_target(*, capacity: float = 100.0, latency: float = 1.0, **trouble: float) -> Target:
    out = Trouble(**{"healthy": 10.0, "outage": 60.0, **trouble})
    return Target(capacity, out, np.random.default_rng(1), latency=latency)


def test_target_in_the_outage_fails_every_call_and_none_outside_it() -> None:
    target = make_target()
    assert [target.serve(at, 5, 50) for at in (9, 10, 69, 70)] == [0, 5, 5, 0]


def test_target_in_a_partial_outage_fails_that_share_of_calls() -> None:
    failed = make_target(failing_percent=30.0).serve(20, 10_000, 10_000)
    assert 2800 < failed < 3200


def test_target_above_capacity_fails_the_calls_beyond_it() -> None:
    target = make_target()
    assert target.serve(0, 10, 100) == 0
    assert target.serve(1, 40, 400) == 30


def test_target_of_less_than_one_message_a_second_serves_one_when_it_is_due() -> None:
    target = make_target(capacity=0.25)
    assert [target.serve(at, 1, 1) for at in range(4)] == [1, 1, 0, 1]


def test_target_above_capacity_for_long_enough_collapses_and_comes_back() -> None:
    target = make_target(healthy=1000.0, collapse_after=3.0, collapse_for=20.0)
    for at in range(3):
        target.serve(at, 20, 200)
    assert target.collapses == 1
    assert target.serve(10, 1, 1) == 1
    assert target.serve(22, 1, 1) == 0


def test_target_whose_load_falls_in_time_does_not_collapse() -> None:
    target = make_target(healthy=1000.0, collapse_after=3.0)
    for at in range(20):
        target.serve(at, 20, 200 if at % 3 else 50)
    assert target.collapses == 0


def test_target_is_asked_for_the_messages_of_a_long_call_over_all_of_it() -> None:
    target = make_target(capacity=20.0, latency=2.0, healthy=1000.0, collapse_after=3.0)
    failed = []
    for at in range(0, 20, 2):
        # Three calls of ten messages each, all at the same moment: 15 messages a second.
        failed.append(target.serve(at, 3, 30))
        target.idle()
    assert (failed, target.collapses) == ([0] * 10, 0)
    assert target.serve(20, 6, 60) == 2


def test_target_collapses_under_long_calls_that_begin_together() -> None:
    target = make_target(capacity=20.0, latency=2.0, healthy=1000.0, collapse_after=4.0)
    for at in range(0, 8, 2):
        target.serve(at, 5, 50)
        target.idle()
    assert target.collapses == 1
