"""The function and what stands behind it: it works, fails, is overloaded, and may collapse under the load."""

from __future__ import annotations

import math
from collections import deque

import numpy as np

from simulator.pipeline import Trouble


class Target:
    """Says how many of a second's calls fail.

    Parameters
    ----------
    capacity
        Messages a second.
    latency
        Duration of a call in seconds. One that takes longer than a second asks for its messages over that time.

    Attributes
    ----------
    begins, ends
        The outage, in seconds since the start.
    """

    def __init__(self, capacity: float, trouble: Trouble, rng: np.random.Generator, *, latency: float = 1.0) -> None:
        self.begins = trouble.healthy
        self.ends = trouble.healthy + trouble.outage
        self.collapses = 0
        self._capacity = capacity
        self._trouble = trouble
        self._rng = rng
        self._most_at_once = max(1.0, capacity * max(1.0, latency))
        self._budget = capacity
        self._begun: deque[int] = deque([0], maxlen=max(1, math.ceil(latency)))
        self._above = 0
        self._down_until = 0.0

    def is_out(self, at: float) -> bool:
        """True while the outage lasts."""
        return self.begins <= at < self.ends

    def serve(self, at: float, calls: int, messages: int) -> int:
        """Return how many of ``calls``, with ``messages`` in all, fail in this second."""
        self._budget = min(self._budget + self._capacity, self._most_at_once)
        if self.is_out(at):
            percent = self._trouble.failing_percent
            return calls if percent >= 100 else int(self._rng.binomial(calls, percent / 100))
        if at < self._down_until:
            return calls
        self._note_load(messages)
        if self._trouble.collapse_after and self._above >= self._trouble.collapse_after:
            self._down_until = at + self._trouble.collapse_for
            self._above = 0
            self.collapses += 1
        served = min(messages, int(self._budget))
        self._budget -= served
        return 0 if served == messages else min(calls, -(-(messages - served) * calls // messages))

    def idle(self) -> None:
        """A second without calls."""
        self._budget = min(self._budget + self._capacity, self._most_at_once)
        self._note_load(0)

    def _note_load(self, messages: int) -> None:
        self._begun.append(messages)
        above = sum(self._begun) > self._capacity * len(self._begun)
        self._above = self._above + 1 if above else 0
