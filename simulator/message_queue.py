"""Messages by how often they were received. None is ever made or lost: every move is from one place to another."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

# SQS refuses receives of a standard queue beyond this:
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MOST_IN_FLIGHT = 120_000


class MessageQueue:
    """A standard queue with a dead-letter queue.

    Messages are counted in cohorts: ``visible[n]`` were received n times so far. A message that has been received
    ``max_receives`` times goes to the dead-letter queue at its next receive, as on SQS.

    Parameters
    ----------
    oldest_first
        True where receives give what was received most often first, as the emulator does; else they are a random draw,
        as the documentation of standard queues has it at best.
    """

    def __init__(self, max_receives: int, rng: np.random.Generator, *, oldest_first: bool) -> None:
        self.max_receives = max_receives
        self.visible = [0] * (max_receives + 1)
        self.sent = self.processed = self.dead_lettered = 0
        self.visible_count = self.hidden_count = 0
        self.receives_burnt = 0
        self.delayed_count = 0
        self._delayed: defaultdict[int, int] = defaultdict(int)
        self._due: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
        self._rng = rng
        self._oldest_first = oldest_first

    def send(self, count: int) -> None:
        """Take new messages."""
        self.sent += count
        self.visible[0] += count
        self.visible_count += count

    def show_due(self, now: int) -> None:
        """Show what was hidden until now."""
        for receives, count in self._due.pop(now, ()):
            self._show(receives, count)
        delayed = self._delayed.pop(now, 0)
        self.delayed_count -= delayed
        self._show(0, delayed)

    def receive(self, most: int) -> list[int]:
        """Receive up to ``most`` messages. Returns how many were handed out, by their receive count with this one."""
        most = min(most, self.visible_count, MOST_IN_FLIGHT - self.hidden_count + self.delayed_count)
        handed = [0] * (self.max_receives + 1)
        if most <= 0:
            return handed
        for receives, count in enumerate(self._draw(most)):
            if not count:
                continue
            self.visible[receives] -= count
            self.visible_count -= count
            if receives == self.max_receives:
                self.dead_lettered += count
            else:
                handed[receives + 1] += count
                self.hidden_count += count
        return handed

    def process(self, count: int) -> None:
        """Delete messages that were handed out and processed."""
        self.hidden_count -= count
        self.processed += count

    def fail(self, handed: list[int], *, until: int) -> None:
        """Keep messages hidden that were handed out and not processed, until their visibility timeout ends."""
        for receives, count in enumerate(handed):
            if count:
                self.receives_burnt += count
                self._due[until].append((receives, count))

    def show_again(self, receives: int) -> None:
        """Show one message at once that was handed out."""
        self._show(receives, 1)

    def delay_again(self, handed: list[int], *, first: int, last: int) -> None:
        """Put messages back that were handed out, as new ones, shown at a random moment from ``first`` to ``last``."""
        moments = last - first + 1
        spread = self._rng.multinomial(sum(handed), [1 / moments] * moments)
        for place, count in enumerate(spread.tolist()):
            self._delayed[first + place] += count
            self.delayed_count += count

    def delete_if_there(self, receives: int) -> bool:
        """Delete a message that was handed out some time ago, by its old handle. False when it is gone."""
        if self.visible[receives]:
            self.visible[receives] -= 1
            self.visible_count -= 1
        elif not self._forget_due(receives):
            return False
        else:
            self.hidden_count -= 1
        self.processed += 1
        self.receives_burnt -= 1
        return True

    def _forget_due(self, receives: int) -> bool:
        for until in sorted(self._due):
            for place, (count_of, count) in enumerate(self._due[until]):
                if count_of == receives and count:
                    self._due[until][place] = (count_of, count - 1)
                    return True
        return False

    def split(self, handed: list[int], count: int) -> tuple[list[int], list[int]]:
        """Draw ``count`` of the messages handed out; returns them and the others."""
        if count <= 0:
            return [0] * len(handed), handed
        if count >= sum(handed):
            return handed, [0] * len(handed)
        drawn = self._rng.multivariate_hypergeometric(handed, count, method="marginals").tolist()
        return drawn, [all_of - part for all_of, part in zip(handed, drawn, strict=True)]

    def _show(self, receives: int, count: int) -> None:
        self.visible[receives] += count
        self.visible_count += count
        self.hidden_count -= count

    def _draw(self, most: int) -> list[int]:
        if most == self.visible_count:
            return list(self.visible)
        if self._oldest_first:
            drawn = [0] * len(self.visible)
            for receives in range(self.max_receives, -1, -1):
                drawn[receives] = min(most, self.visible[receives])
                most -= drawn[receives]
            return drawn
        if self.visible[0] == self.visible_count:
            return [most] + [0] * self.max_receives
        return [int(n) for n in self._rng.multivariate_hypergeometric(self.visible, most, method="marginals")]
