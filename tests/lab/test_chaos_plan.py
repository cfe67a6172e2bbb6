import pytest

from lab.chaos_plan import Blow, make_plan
from lab.options import LONGEST_CHAOS, SHORTEST_CHAOS


def test_same_seed_gives_the_same_plan_and_another_seed_another():
    assert make_plan(7, 1) == make_plan(7, 1)
    assert make_plan(7, 1) != make_plan(8, 1)


@pytest.mark.parametrize("minutes", [SHORTEST_CHAOS, 1, 10])
@pytest.mark.parametrize("seed", range(5))
def test_plan_has_every_blow_and_keeps_to_its_time(seed, minutes):
    plan = make_plan(seed, minutes)
    assert {stroke.blow for stroke in plan.strokes} == set(Blow)
    times = [stroke.at for stroke in plan.strokes]
    assert times == sorted(times)
    assert times[-1] <= minutes * 60
    assert plan.weather[0].at == 0
    assert all(weather.at < minutes * 60 and weather.rules for weather in plan.weather)


def test_longest_plan_is_made():
    assert len(make_plan(1, LONGEST_CHAOS).strokes) == LONGEST_CHAOS * 60 / 5


def test_no_rule_touches_the_witness_of_what_was_processed():
    rules = [rule for seed in range(20) for weather in make_plan(seed, 1).weather for rule in weather.rules]
    assert {rule["resource"] for rule in rules if rule["service"] == "dynamodb"} == {"CircuitTable"}
    assert all(rule["service"] != "*" for rule in rules)
    assert all(0 < rule["probability"] < 1 for rule in rules)
