"""How much longer a handler may work before Lambda ends it."""

from dataclasses import dataclass
from typing import Protocol


class HasDeadline(Protocol):
    """The part of Lambda's context that knows the deadline."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        ...


@dataclass(frozen=True)
class TimeBudget:
    """Tells whether one more piece of work fits.

    Attributes
    ----------
    piece_seconds
        The longest that one piece may take, with room to write down what was done.
    """

    context: HasDeadline
    piece_seconds: float

    def is_enough(self) -> bool:
        """True while one more piece fits before the deadline."""
        return self.context.get_remaining_time_in_millis() > self.piece_seconds * 1000
