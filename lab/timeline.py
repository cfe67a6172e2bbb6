"""What the demo shows while it runs: a live view in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from lab.clock import clock_text
from lab.observation import Change, Sample, change_line
from lab.outage import Outage

# One colour for each state, the same in the terminal and in the picture.
STYLES = {
    "CLOSED": "bold green",
    "Enabled": "bold green",
    "OK": "green",
    "OPEN": "bold red",
    "Disabled": "bold red",
    "ALARM": "bold red",
    "HALF_OPEN": "bold yellow",
    "Enabling": "bold yellow",
    "Disabling": "bold yellow",
    "Updating": "bold yellow",
    "INSUFFICIENT_DATA": "dim",
}
_PHASES = {
    "healthy": ("target healthy", "green"),
    "outage": ("OUTAGE: the target fails", "bold white on red"),
    "fixed": ("target fixed, circuit not closed yet", "bold black on yellow"),
    "recovering": ("messages flow again, draining the backlog", "yellow"),
    "watched": ("backlog drained, the breaker still watches", "bold yellow"),
    "closed": ("circuit closed", "bold green"),
    "out of time": ("not closed in time", "bold red"),
}
_SUBJECT_STYLES = {
    "lab": "cyan",
    "circuit": "magenta",
    "mapping": "blue",
    "alarm": "yellow",
    "target": "red",
    "queue": "red",
    "breaker": "bold red",
}
_BARS = " ▁▂▃▄▅▆▇█"
_LOG_LINES = 14
_HEARTBEAT_SECONDS = 5.0


class Timeline(Protocol):
    """Something that shows an outage while it runs."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None: ...

    def show(self, outage: Outage) -> None:
        """Show the outage as it is now. Called several times a second."""


def timeline_for(console: Console) -> Timeline:
    """The live view in a terminal, plain lines where the output goes to a file or a log."""
    return LiveTimeline(console) if console.is_terminal else PlainTimeline(console)


def sparkline(values: Sequence[float], width: int) -> str:
    """The last values as a row of bars, the highest of them full height."""
    if not values:
        return ""
    binned = _binned(values, width)
    top = max(binned) or 1
    return "".join(_BARS[0 if value <= 0 else max(1, round(value / top * (len(_BARS) - 1)))] for value in binned)


def _binned(values: Sequence[float], width: int) -> list[float]:
    """As many values as there is room for: each the highest of its share of the samples."""
    if len(values) <= width:
        return list(values)
    share = len(values) / width
    return [max(values[int(n * share) : max(int(n * share) + 1, int((n + 1) * share))]) for n in range(width)]


class PlainTimeline:
    """A line on each change, and one every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0
        self._last_heartbeat = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def show(self, outage: Outage) -> None:
        """Print what has changed since the last time."""
        changes = outage.observer.changes
        while self._shown < len(changes):
            self._print(change_line(changes[self._shown]))
            self._shown += 1
        if time.monotonic() - self._last_heartbeat >= _HEARTBEAT_SECONDS:
            self._last_heartbeat = time.monotonic()
            self._print(heartbeat_line(outage.observer.latest))

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def heartbeat_line(sample: Sample) -> str:
    """The application at one moment, as one plain line."""
    return (
        f"{clock_text(sample.at):>6}  ...      circuit {sample.circuit}, mapping {sample.mapping}"
        f"{f' (at most {sample.limit} at once)' if sample.limit else ''}, "
        f"queue {sample.depth}, processed {sample.processed} of {sample.sent}, failed calls {sample.failed_calls}"
        + (f", step {sample.step}" if sample.step else "")
    )


class LiveTimeline:
    """Redraws one screenful several times a second."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=6, transient=False)
        self._outage: Outage | None = None

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._live.stop()

    def show(self, outage: Outage) -> None:
        """Redraw."""
        self._live.update(render(outage, self._console.width))


def render(outage: Outage, width: int) -> RenderableType:
    """One screenful of an outage."""
    sample, samples = outage.observer.latest, list(outage.observer.samples)
    scale = outage.lab.scale.factor
    text, style = _PHASES[outage.phase]
    title = Text.assemble((f" {clock_text(sample.at)} ", "bold"), (f" {text} ", style))
    chart_width = max(20, min(width, 110) - 24)
    body = Group(
        _states(sample),
        Text(""),
        _chart("queue depth", [s.depth for s in samples], chart_width, f"{sample.depth}", "yellow"),
        _chart("processed/s", _rates([(s.at, s.processed) for s in samples]), chart_width, "", "green"),
        _chart("failed calls", _steps([s.failed_calls for s in samples]), chart_width, f"{sample.failed_calls}", "red"),
        Text(""),
        _counts(sample),
    )
    log = Group(*[_log_line(change) for change in outage.observer.changes[-_LOG_LINES:]])
    return Group(
        Panel(
            body,
            title=title,
            title_align="left",
            subtitle=f"times as on AWS; the lab runs them {scale}x faster",
            subtitle_align="right",
            width=min(width, 110),
        ),
        Panel(log, title="what happened", title_align="left", width=min(width, 110), border_style="dim"),
    )


def _states(sample: Sample) -> Table:
    table = Table.grid(padding=(0, 3))
    table.add_row(
        *(
            Text.assemble((f"{name} ", "dim"), (value, STYLES.get(value, "")))
            for name, value in (("circuit", sample.circuit), ("mapping", sample.mapping), ("alarm", sample.alarm))
        ),
        Text("" if not sample.limit else f"at most {sample.limit} at once", "yellow"),
        Text.assemble(("step ", "dim"), (sample.step or "none running", "bold" if sample.step else "dim")),
        Text("" if sample.next_probe_in is None else f"next probe in {sample.next_probe_in:.0f} s", "cyan"),
    )
    return table


def _chart(name: str, values: Sequence[float], width: int, now: str, style: str) -> Text:
    bars = sparkline(values, width)
    return Text.assemble((f"{name:<13}", "dim"), (bars, style), ("  " + now if now else "", f"bold {style}"))


def _rates(points: Sequence[tuple[float, float]]) -> list[float]:
    """Rate of change between samples. The ledger is read less often than samples are taken, so over a few of them."""
    span = 4
    return [
        max(0.0, (points[n][1] - points[max(0, n - span)][1]) / ((points[n][0] - points[max(0, n - span)][0]) or 1))
        for n in range(1, len(points))
    ]


def _steps(values: Sequence[int]) -> list[float]:
    return [float(after - before) for before, after in pairwise(values)]


def _counts(sample: Sample) -> Table:
    table = Table.grid(padding=(0, 3))
    dead_style = "bold red" if sample.dead_lettered else "dim"
    table.add_row(
        Text.assemble(("sent ", "dim"), (str(sample.sent), "bold")),
        Text.assemble(("processed ", "dim"), (str(sample.processed), "bold green")),
        Text.assemble(("waiting ", "dim"), (str(sample.visible), "bold")),
        Text.assemble(("in flight ", "dim"), (str(sample.in_flight), "bold")),
        Text.assemble(("delayed ", "dim"), (str(sample.delayed), "bold")),
        Text.assemble(("dead-lettered ", "dim"), (str(sample.dead_lettered), dead_style)),
    )
    return table


def _log_line(change: Change) -> Text:
    style = "bold red" if change.text.startswith("SHOULD_ERROR=true") else ""
    return Text.assemble(
        (f"{clock_text(change.at):>6}  ", "dim"),
        (f"{change.subject:<9}", _SUBJECT_STYLES.get(change.subject, "dim")),
        (change.text, style),
    )
