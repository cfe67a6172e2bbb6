"""Wall time and real-equivalent time.

The emulated cloud runs ``scale`` times faster than AWS: a wall second stands for ``scale`` real-equivalent seconds.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Scale:
    """How many real-equivalent seconds one wall second stands for."""

    factor: int

    def wall(self, real_seconds: float) -> float:
        """Wall seconds for a duration given in real-equivalent seconds."""
        return real_seconds / self.factor

    def real(self, wall_seconds: float) -> float:
        """Real-equivalent seconds for a measured wall duration."""
        return wall_seconds * self.factor

    def whole_wall_seconds(self, real_seconds: float, *, at_least: int = 1) -> int:
        """The nearest whole number of wall seconds, for services that only take whole seconds."""
        return max(at_least, round(self.wall(real_seconds)))


def clock_text(real_seconds: float) -> str:
    """A duration as ``m:ss``, the way the timeline and the picture show it."""
    sign = "-" if real_seconds < 0 else ""
    minutes, seconds = divmod(round(abs(real_seconds)), 60)
    return f"{sign}{minutes}:{seconds:02d}"
