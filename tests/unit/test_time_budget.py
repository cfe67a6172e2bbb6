"""How much longer a handler may work."""

from dataclasses import dataclass

import pytest

from breaker.time_budget import TimeBudget


@dataclass(frozen=True)
class Context:
    """A deadline."""

    milliseconds: int

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left."""
        return self.milliseconds


@pytest.mark.parametrize(("left", "enough"), [(60_001, True), (60_000, False), (59_999, False), (0, False)])
def test_is_enough_only_while_a_whole_piece_fits(left: int, enough: bool) -> None:
    assert TimeBudget(Context(left), 60).is_enough() is enough


def test_is_enough_fraction_of_a_second_counts() -> None:
    assert TimeBudget(Context(1_501), 1.5).is_enough()
    assert not TimeBudget(Context(1_500), 1.5).is_enough()
