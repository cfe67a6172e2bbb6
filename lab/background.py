"""A thread that does the same work again and again until it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

# Between two rounds, however long the last one took: the machine has others to serve.
_LEAST_PAUSE_SECONDS = 0.05
_JOIN_SECONDS = 10.0


class Background:
    """Calls ``work`` in a thread of its own until it is stopped or fails.

    Parameters
    ----------
    work
        One round.
    every
        Wall seconds from the beginning of one round to that of the next.
    failed
        Makes the error that ``require_working`` raises from the one that ended the thread. A thread that ends without
        a word looks like a quiet application.
    """

    def __init__(
        self, name: str, work: Callable[[], object], *, every: float, failed: Callable[[BaseException], Exception]
    ) -> None:
        self._work = work
        self._every = every
        self._failed = failed
        self._error: BaseException | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. Safe to call twice, and before it was started."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_JOIN_SECONDS)

    def require_working(self) -> None:
        """Raise what ``failed`` makes of the error that ended the thread, if one did."""
        if self._error is not None:
            raise self._failed(self._error) from self._error

    def _run(self) -> None:
        pause = self._every
        try:
            while not self._stopping.wait(pause):
                began = time.monotonic()
                self._work()
                pause = max(_LEAST_PAUSE_SECONDS, self._every - (time.monotonic() - began))
        except Exception as error:  # noqa: BLE001 - for require_working
            # What is cut off by the end of the lab is no failure.
            if not self._stopping.is_set():
                self._error = error
