"""The reference policy against figures that were measured of the sample's own state machine, unchanged, in an emulator.

Those figures are of ten minutes of outage at ten times AWS's speed, and are given in real-equivalent seconds. Nothing
else is known of that run. What the scenario "calibration" assumes, and why, is in docs/performance.md.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.figures import Measurement

WITHIN = 0.10


@dataclass(frozen=True)
class Compared:
    """One figure, there and here."""

    name: str
    there: float
    here: float | None

    @property
    def off(self) -> float | None:
        """How far ours is off, as a share of theirs."""
        return None if self.here is None else (self.here - self.there) / self.there

    @property
    def agrees(self) -> bool:
        """Whether it is within the bound."""
        return self.off is not None and abs(self.off) <= WITHIN


def compare_without(measured: Measurement) -> list[Compared]:
    """The figures that are known of the same outage without a breaker: they tell of the lab, not of a policy."""
    return [
        Compared("no breaker: failed calls", 182, measured.failed_calls + measured.failed_after_fix),
        Compared("no breaker: dead-lettered", 31, measured.dead_lettered),
    ]


def compare(measured: Measurement) -> list[Compared]:
    """The figures that are known of the sample."""
    return [
        Compared("failed calls", 70, measured.failed_calls + measured.failed_after_fix),
        Compared("opened after the break, s", 282, measured.opened_after),
        Compared("closed after the fix, s", 386, measured.fix_to_flowing),
        Compared("messages sent", 637, measured.sent),
    ]
