"""The two tables behind the default of ``MinimumInvocations``, and the floor of failed calls."""

from statistics import fmean

import pytest

from benchmarks.floor import rest_of_minute, shares
from benchmarks.minimum import MINIMUMS, POISON, Poison, opens_at_poison, outage_table, outages, poison_table
from simulator.pipeline import Pipeline, Trouble
from simulator.rules import template_default

SEEDS = range(5)
DEFAULT = int(template_default("MinimumInvocations"))


def opened(poison: Poison, minimum: int) -> int:
    return sum(opens_at_poison(poison, minimum, seed) for seed in SEEDS)


def test_default_is_one_of_those_compared() -> None:
    assert DEFAULT in MINIMUMS


@pytest.mark.parametrize("poison", [POISON[0], Poison("3", 3, 60)])
def test_default_does_not_open_at_one_poison_message_nor_at_three(poison: Poison) -> None:
    assert opened(poison, DEFAULT) == 0


def test_fewer_than_the_default_take_poison_for_an_outage() -> None:
    assert opened(Poison("3", 3, 60), 3) == len(SEEDS)
    # One message that fails twice a minute; once a minute is one failed call, and opens nothing.
    assert opened(Poison("1", 1, 30), 2) == len(SEEDS)
    assert opened(Poison("1", 1, 60), 2) == 0


def test_poison_between_enough_healthy_calls_opens_nothing() -> None:
    assert opened(Poison("5", 5, 60, healthy_every=10.0), 2) == 0


def test_lower_minimum_matters_to_slow_queues_only() -> None:
    def opens_after(apart: float, minimum: int) -> float:
        found = [figures.time_to_open for figures in outages(apart, 90, 5, minimum, seeds=3)]
        assert None not in found
        return fmean(seconds for seconds in found if seconds is not None)

    assert opens_after(30.0, 3) < opens_after(30.0, DEFAULT)
    assert opens_after(10.0, 3) == opens_after(10.0, DEFAULT)


def test_outage_that_is_never_seen_is_said_to_be() -> None:
    table = outage_table((60.0,), (60,), (3,), seeds=2)
    assert "| a message every | visibility | receives | sent | minimum 2 | minimum 3 | minimum 5 |" in table
    assert "| 60 s | 60 s | 3 | 10 |" in table
    assert table.endswith("| never, 8.0 dead |")


def test_poison_table_has_a_row_for_each() -> None:
    assert poison_table([Poison("three", 3, 60)], seeds=3).endswith("| three | 100 % | 100 % | 0 % |")


def test_floor_is_the_rest_of_the_minute_the_delay_and_the_change() -> None:
    assert rest_of_minute(0.0, Trouble(healthy=300.0)) == 60.0
    assert rest_of_minute(35.0, Trouble(healthy=310.0)) == 15.0
    floor, ours, theirs = shares(Pipeline(rate=2.0, max_concurrency=2, batch_size=3), phases=(30.0, 90.0))
    # Half the minute, 90 s of delay, 15 s for the mapping, and the steps. Half a bad minute does not trip.
    assert floor.paused_after == pytest.approx(30 + 90 + 15, abs=5)
    assert ours.paused_after == pytest.approx(floor.paused_after + 60, abs=5)
    assert floor.failed_calls < ours.failed_calls < theirs.failed_calls
