from dataclasses import replace

from simulator.pipeline import BreakerSettings, Pipeline, Trouble
from simulator.recommendation import Advice, recommend

OUTAGE = Trouble(outage=1200.0)


def advice(pipeline: Pipeline, settings: BreakerSettings | None = None, trouble: Trouble = OUTAGE) -> dict[str, Advice]:
    return {each.setting: each for each in recommend(pipeline, trouble, settings or BreakerSettings(), seed=1)}


def test_recommend_for_a_backlog_above_capacity_limits_concurrency_to_what_fits() -> None:
    """The ramp's least step from 2 to 3 is half as much again."""
    given = advice(Pipeline(rate=25.0, capacity=40.0, latency=0.5))["MaximumConcurrency of the mapping"]
    assert (given.value, given.is_change) == ("2", True)
    assert "40 a second" in given.reason


def test_recommend_for_a_backlog_that_the_ramp_lets_in_gently_asks_for_no_limit() -> None:
    given = advice(Pipeline(rate=100.0, capacity=200.0, latency=0.5))["MaximumConcurrency of the mapping"]
    assert (given.value, given.is_change) == ("none", False)


def test_recommend_for_a_target_smaller_than_two_batches_makes_batches_smaller() -> None:
    given = advice(Pipeline(rate=20.0, capacity=40.0, latency=0.2))
    assert given["BatchSize"].value == "4"
    assert given["MaximumConcurrency of the mapping"].value == "2"


def test_recommend_for_few_receives_raises_max_receive_count_above_what_was_used() -> None:
    given = advice(Pipeline(rate=5.0, capacity=200.0, max_receives=1))["maxReceiveCount"]
    assert given.is_change
    assert int(given.value) >= 5
    assert "dead-lettered" in given.reason


def test_recommend_for_a_pipeline_that_does_well_keeps_its_queue_as_it_is() -> None:
    given = advice(Pipeline(rate=5.0, capacity=200.0))
    for setting in ("maxReceiveCount", "visibility timeout of the queue", "MaximumConcurrency of the mapping"):
        assert not given[setting].is_change


def test_recommend_for_a_short_visibility_timeout_asks_for_six_timeouts() -> None:
    given = advice(Pipeline(rate=5.0, capacity=200.0, visibility=30))["visibility timeout of the queue"]
    assert (given.value, given.is_change) == ("180 s", True)


def test_recommend_for_too_little_traffic_lowers_the_minimum_volume() -> None:
    given = advice(Pipeline(rate=0.03, capacity=10.0, visibility=1800))["MinimumInvocations"]
    assert given.is_change
    assert int(given.value) < 5


def test_recommend_for_rare_probes_asks_for_more() -> None:
    settings = BreakerSettings({"MaxProbeIntervalSeconds": "3600"})
    given = advice(Pipeline(rate=5.0, capacity=200.0), settings)["MaxProbeIntervalSeconds"]
    assert given.is_change
    assert int(given.value) <= 120


def test_recommend_never_takes_a_ramp_away() -> None:
    given = advice(replace(Pipeline(rate=100.0, capacity=2000.0), max_concurrency=40))
    assert "Recovery" not in given
