"""The picture of an outage: rate, queue depth and circuit state over one time axis."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from lab.clock import clock_text
from lab.observation import Sample
from lab.outage import OutageResult

GREEN, RED, AMBER, BLUE, _INK, _PALE = "#2f9e6e", "#d64545", "#e0a526", "#3b6fb6", "#26323f", "#8a97a5"
_STATE_COLOURS = {"CLOSED": GREEN, "Enabled": GREEN, "OK": GREEN, "OPEN": RED, "Disabled": RED, "ALARM": RED,
                  "HALF_OPEN": AMBER, "Enabling": AMBER, "Disabling": AMBER, "Updating": AMBER,
                  "INSUFFICIENT_DATA": "#c9d1d9"}  # fmt: skip
_LANES = (("alarm", "alarm"), ("mapping", "mapping"), ("circuit", "circuit"))
_BIN_SECONDS = 10.0
STYLE: dict[Any, Any] = {
    "figure.constrained_layout.hspace": 0.06,
    "figure.constrained_layout.h_pad": 0.06,
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#c9d1d9",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e7ebef",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": _INK,
    "ytick.color": _INK,
}


def draw(result: OutageResult, path: Path) -> Path:
    """Draw the outage and put it at ``path`` in one move, so that nobody sees half a picture."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 1, figsize=(11, 7.6), sharex=True, height_ratios=(3, 2.4, 1.5), layout="constrained"
        )
        rate, depth, states = axes
        end = result.samples[-1].at
        _draw_rate(rate, result, end)
        _draw_depth(depth, result)
        _draw_states(states, result, end)
        for axis in axes:
            _shade_outage(axis, result)
            axis.set_xlim(0, end)
        _annotate(rate, result)
        states.set_xlabel(f"minutes since the start, as on AWS (measured on one machine, {result.scale} times faster)")
        states.xaxis.set_major_locator(MultipleLocator(_tick_spacing(end)))
        states.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock_text(seconds)))
        figure.suptitle(_title(result), x=0.012, ha="left", fontsize=15, fontweight="bold")
        save_picture(figure, path)
        plt.close(figure)
    return path


def _title(result: OutageResult) -> str:
    account = result.account
    parts = [f"{result.plan.outage / 60:.2g} minutes of outage", f"{account.sent} orders"]
    parts.append(f"{result.failed_calls} failed calls")
    parts.append(f"{len(account.lost)} lost, {len(account.dead_lettered)} dead-lettered")
    return "  ·  ".join(parts)


def _draw_rate(axis: Any, result: OutageResult, end: float) -> None:
    starts, processed = processed_per_bin(result.samples, end)
    axis.stairs(processed, [*starts, starts[-1] + _BIN_SECONDS], fill=True, color=GREEN, alpha=0.28)
    axis.stairs(processed, [*starts, starts[-1] + _BIN_SECONDS], color=GREEN, linewidth=1.6, label="processed")
    axis.axhline(result.plan.rate, color=BLUE, linewidth=1.2, linestyle=(0, (4, 3)), label="sent")
    axis.set_ylabel("orders per second")
    axis.set_ylim(0, max([*processed, result.plan.rate]) * 1.32)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5))
    failures = axis.twinx()
    failures.spines["right"].set_visible(True)
    failures.grid(visible=False)
    counted = failures_per_bin(result.failed_by_second, len(starts), _BIN_SECONDS)
    failures.bar([s + _BIN_SECONDS / 2 for s in starts], counted, width=_BIN_SECONDS * 0.78, color=RED, alpha=0.85)
    # The bars keep to the lower half, clear of the annotations.
    failures.set_ylim(0, max([*counted, 1]) * 2.2)
    failures.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    failures.set_ylabel(f"failed calls per {_BIN_SECONDS:.0f} s", color=RED)
    failures.tick_params(axis="y", colors=RED)
    handles, labels = axis.get_legend_handles_labels()
    bar = Rectangle((0, 0), 1, 1, color=RED, alpha=0.85)
    axis.legend([*handles, bar], [*labels, "failed calls (right)"], loc="upper left", frameon=False, ncols=3,
                bbox_to_anchor=(0, 1.13), fontsize=9, borderaxespad=0)  # fmt: skip


def _draw_depth(axis: Any, result: OutageResult) -> None:
    at = [sample.at for sample in result.samples]
    depth = [sample.depth for sample in result.samples]
    hidden = [sample.in_flight + sample.delayed for sample in result.samples]
    axis.fill_between(at, depth, color=BLUE, alpha=0.18, linewidth=0)
    axis.plot(at, depth, color=BLUE, linewidth=1.8, label="in the queue")
    axis.plot(at, hidden, color=AMBER, linewidth=1.3, label="of these hidden: in flight or delayed")
    axis.set_ylabel("messages")
    axis.set_ylim(0, max([*depth, 1]) * 1.15)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axis.legend(loc="upper left", frameon=False, ncols=2, fontsize=9, bbox_to_anchor=(0, 1.14), borderaxespad=0)
    peak = max(range(len(depth)), key=depth.__getitem__)
    axis.annotate(f"{depth[peak]}", (at[peak], depth[peak]), textcoords="offset points", xytext=(6, 2),
                  color=BLUE, fontweight="bold")  # fmt: skip


def _draw_states(axis: Any, result: OutageResult, end: float) -> None:
    for lane, (attribute, _) in enumerate(_LANES):
        for start, stop, state in bands(result.samples, attribute, end):
            limit = _limit_between(result.samples, start, stop) if state == "Enabled" else 0
            colour = _STATE_COLOURS.get(state, "#eef1f4")
            axis.broken_barh([(start, stop - start)], (lane - 0.36, 0.72), facecolors=colour, linewidth=0, zorder=3)
            if stop - start > end * 0.075 and state in _STATE_COLOURS:
                text = f"{limit} at once" if limit else state
                axis.text((start + stop) / 2, lane, text, ha="center", va="center", color="white", fontsize=8.5,
                          fontweight="bold", zorder=4)  # fmt: skip
            elif state == "HALF_OPEN":
                # Short by nature, and the one colour that is not explained elsewhere.
                axis.text((start + stop) / 2, lane + 0.42, state, ha="center", va="bottom", color=colour, fontsize=8,
                          fontweight="bold", zorder=4)  # fmt: skip
    axis.set_yticks(range(len(_LANES)), [name for _, name in _LANES])
    axis.set_ylim(-0.6, len(_LANES) - 0.2)
    axis.grid(visible=False)
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_visible(False)


def _shade_outage(axis: Any, result: OutageResult) -> None:
    axis.axvspan(result.milestones.broken, result.milestones.fixed, color=RED, alpha=0.07, linewidth=0, zorder=0)


def _annotate(axis: Any, result: OutageResult) -> None:
    """Say what happened when, on staggered lines so that close moments do not overlap."""
    times = result.milestones
    marks = [
        (times.broken, "target fails", RED),
        (times.paused, "paused", RED),
        (times.fixed, "target fixed", GREEN),
        (times.flowing, "flowing", GREEN),
        (times.drained, "drained", BLUE),
        (times.closed, "closed", GREEN),
    ]
    placed = sorted((at, text, colour) for at, text, colour in marks if at is not None)
    span = result.samples[-1].at
    level, previous = 0, -span
    for at, text, colour in placed:
        level = level + 1 if at - previous < span * 0.11 else 0
        previous = at
        for each in axis.figure.axes[:3]:
            each.axvline(at, color=colour, linewidth=1.1, alpha=0.65, zorder=1)
        # Near the right edge the text goes to the left of its line.
        side = -1 if at > span * 0.88 else 1
        axis.annotate(
            f"{text} {clock_text(at)}", (at, 0.985 - 0.1 * level), xycoords=("data", "axes fraction"),
            textcoords="offset points", xytext=(4 * side, 0), va="top", ha="left" if side > 0 else "right",
            color=colour, fontsize=9, fontweight="bold",
            bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
            zorder=6,
        )  # fmt: skip


def bands(samples: Sequence[Sample], attribute: str, end: float) -> Iterator[tuple[float, float, str]]:
    """Stretches of time in which a sample's attribute stayed the same."""
    start, state = 0.0, getattr(samples[0], attribute)
    for sample in samples:
        value = getattr(sample, attribute)
        if value != state:
            yield start, sample.at, state
            start, state = sample.at, value
    yield start, end, state


def _limit_between(samples: Sequence[Sample], start: float, stop: float) -> int:
    """The mapping's maximum concurrency in the middle of a stretch of time, 0 for none."""
    return next((sample.limit for sample in samples if sample.at >= (start + stop) / 2), 0)


def processed_per_bin(samples: Sequence[Sample], end: float) -> tuple[list[float], list[float]]:
    """Orders processed per second, by bin of time."""
    bins = max(1, int(end // _BIN_SECONDS))
    starts = [n * _BIN_SECONDS for n in range(bins)]
    totals = [_processed_at(samples, start) for start in [*starts, bins * _BIN_SECONDS]]
    rates = [(after - before) / _BIN_SECONDS for before, after in pairwise(totals)]
    return starts, rates


def _processed_at(samples: Sequence[Sample], at: float) -> float:
    """Orders processed by a moment, on a line between the ledger's readings around it.

    The ledger is read less often than samples are taken: repeated readings would show as steps that are not there.
    """
    before = (0.0, 0)
    for sample in samples:
        if sample.processed == before[1]:
            continue
        if sample.at >= at:
            share = (at - before[0]) / ((sample.at - before[0]) or 1)
            # Over a long stretch without change the rise came at its end, not evenly.
            return before[1] + (sample.processed - before[1]) * share if sample.at - before[0] <= 30 else before[1]
        before = (sample.at, sample.processed)
    return float(before[1])


def failures_per_bin(failed: Sequence[tuple[float, float]], bins: int, bin_seconds: float) -> list[float]:
    """Failed calls by bin of time."""
    counted = [0.0] * bins
    for at, count in failed:
        place = int(at // bin_seconds)
        if 0 <= place < bins:
            counted[place] += count
    return counted


def _tick_spacing(end: float) -> float:
    return next((step for step in (60, 120, 300, 600) if end / step <= 14), 1200)


def save_picture(figure: Any, path: Path) -> None:
    """Put a figure at ``path`` in one move."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(suffix=".png", dir=path.parent)
    os.close(handle)
    try:
        figure.savefig(unfinished, dpi=140, facecolor="white")
        Path(unfinished).chmod(0o644)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
