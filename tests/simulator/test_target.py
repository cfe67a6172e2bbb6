import numpy as np

from simulator.pipeline import Trouble
from simulator.target import Target


def make_target(*, capacity: float = 100.0, **trouble: float) -> Target:
    return Target(capacity, Trouble(**{"healthy": 10.0, "outage": 60.0, **trouble}), np.random.default_rng(1))


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
