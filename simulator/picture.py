"""The picture of a simulation: what each policy lets happen, over one time axis."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, MultipleLocator

from lab.picture import AMBER, BLUE, GREEN, RED, STYLE, save_picture
from simulator.report import duration, name_of
from simulator.world import HALF_OPEN, OPEN, Run

_MINUTE, _HOUR = 60, 3600
# More points than pixels only cost time.
_MOST_POINTS = 900
_SPACINGS = (60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)
_MOST_TICKS = 10
# A peak so many times the capacity would flatten all the rest: then the axis is logarithmic.
_FLATTENS = 4


def draw(runs: Sequence[Run], path: Path) -> Path:
    """Draw the runs beside each other and put the picture at ``path`` in one move."""
    end = _end(runs)
    with plt.rc_context(STYLE):
        figure, grid = plt.subplots(
            4, len(runs), figsize=(max(9.0, 5.2 * len(runs)), 8.6), sharex=True, sharey="row", squeeze=False,
            height_ratios=(2.4, 2, 2.4, 0.6), layout="constrained",
        )  # fmt: skip
        for column, run in enumerate(runs):
            rates, failures, waiting, circuit = (grid[row][column] for row in range(4))
            rates.set_title(name_of(run.policy), loc="left", fontsize=12, fontweight="bold")
            _draw_rates(rates, run, end)
            _draw_failures(failures, run, end)
            _draw_waiting(waiting, run)
            _draw_circuit(circuit, run, end)
            for axis in (rates, failures, waiting, circuit):
                axis.axvspan(run.trouble.healthy, run.fixed, color=RED, alpha=0.07, linewidth=0, zorder=0)
                axis.set_xlim(0, end)
            in_hours = end > 3 * _HOUR
            circuit.set_xlabel("hours" if in_hours else "minutes")
            circuit.xaxis.set_major_locator(MultipleLocator(_spacing(end)))
            unit = _HOUR if in_hours else _MINUTE
            circuit.xaxis.set_major_formatter(FuncFormatter(lambda at, _, unit=unit: f"{at / unit:g}"))
        _name_axes(figure, grid, runs)
        figure.suptitle(_title(runs[0]), x=0.008, ha="left", fontsize=13, fontweight="bold")
        save_picture(figure, path)
        plt.close(figure)
    return path


def _name_axes(figure: Any, grid: Any, runs: Sequence[Run]) -> None:
    rates, failures, waiting, circuit = (grid[row][0] for row in range(4))
    capacity, most = runs[0].pipeline.capacity, max(float(run.series["offered"].max()) for run in runs)
    _scale(rates, "messages a second", linear=most < _FLATTENS * capacity, linear_below=runs[0].pipeline.rate)
    _scale(failures, "failed calls a minute", linear=False, linear_below=10.0)
    failures.yaxis.label.set_color(RED)
    _scale(waiting, "messages", linear=True, linear_below=0.0)
    circuit.set_yticks([0], ["circuit"])
    handles, labels = rates.get_legend_handles_labels()
    more = waiting.get_legend_handles_labels()
    figure.legend([*handles, *more[0]], [*labels, *more[1]], loc="outside lower center", ncols=6, frameon=False)


def _scale(axis: Any, name: str, *, linear: bool, linear_below: float) -> None:
    axis.set_ylabel(name if linear else f"{name} (log)")
    if linear:
        axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    else:
        axis.set_yscale("symlog", linthresh=max(1.0, linear_below))
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(EngFormatter(sep=""))


def _title(run: Run) -> str:
    pipeline, trouble = run.pipeline, run.trouble
    return (
        f"Simulated: {duration(trouble.outage)} of outage  ·  {pipeline.rate:g} messages a second  ·  target takes "
        f"{pipeline.capacity:g}  ·  dead-lettered after {pipeline.max_receives} receives"
    )


def _end(runs: Sequence[Run]) -> float:
    """Where the last policy that ends well has ended; one that stays paused for good goes on no longer."""
    well = [run.seconds for run in runs if not run.events.stuck]
    return float(max(well or [run.seconds for run in runs]))


def _spacing(end: float) -> float:
    return float(next((step for step in _SPACINGS if end / step <= _MOST_TICKS), _SPACINGS[-1]))


def _binned(run: Run, name: str, end: float, *, cumulative: bool) -> tuple[list[float], npt.NDArray[np.float64], float]:
    """A series a second as the mean of bins: edges, values per second, and the length of a bin in seconds."""
    length = max(10, round(min(end, run.seconds) / _MOST_POINTS / 10) * 10)
    series = run.series[name].astype(float)
    per_second = np.diff(series, prepend=0.0) if cumulative else series
    bins = len(per_second) // length
    values = per_second[: bins * length].reshape(bins, length).mean(axis=1)
    return [n * float(length) for n in range(bins + 1)], values, float(length)


def _draw_rates(axis: Any, run: Run, end: float) -> None:
    edges, offered, _ = _binned(run, "offered", end, cumulative=False)
    axis.stairs(offered, edges, color=AMBER, linewidth=1.3, label="handed to the target")
    _, processed, _ = _binned(run, "processed", end, cumulative=True)
    axis.stairs(processed, edges, fill=True, color=GREEN, alpha=0.35, label="processed")
    axis.axhline(run.pipeline.capacity, color=RED, linewidth=1.1, linestyle=(0, (4, 3)), label="capacity of the target")
    axis.axhline(run.pipeline.rate, color=BLUE, linewidth=1.1, linestyle=(0, (4, 3)), label="sent")


def _draw_failures(axis: Any, run: Run, end: float) -> None:
    edges, failed, _ = _binned(run, "failed_calls", end, cumulative=True)
    axis.stairs(failed * _MINUTE, edges, fill=True, color=RED, alpha=0.8)
    total = int(run.series["failed_calls"][-1])
    axis.text(0.985, 0.93, f"{total:,} failed calls", transform=axis.transAxes, ha="right", va="top", color=RED,
              fontsize=9.5, fontweight="bold", bbox=_BOX)  # fmt: skip


def _draw_waiting(axis: Any, run: Run) -> None:
    step = max(1, run.seconds // _MOST_POINTS)
    at = np.arange(run.seconds)[::step]
    waiting = (run.series["visible"] + run.series["hidden"])[::step]
    dead = run.series["dead_lettered"][::step]
    total = int(run.series["dead_lettered"][-1])
    axis.fill_between(at, waiting, color=BLUE, alpha=0.18, linewidth=0)
    axis.plot(at, waiting, color=BLUE, linewidth=1.6, label="in the queue")
    axis.plot(at, dead, color=RED, linewidth=1.8, label="dead-lettered")
    axis.text(0.985, 0.93, f"{total:,} dead-lettered", transform=axis.transAxes, ha="right", va="top",
              color=RED, fontsize=9.5, fontweight="bold", bbox=_BOX)  # fmt: skip


def _draw_circuit(axis: Any, run: Run, end: float) -> None:
    colours = {OPEN: RED, HALF_OPEN: AMBER}
    names = {OPEN: "OPEN", HALF_OPEN: "HALF_OPEN"}
    circuit = run.series["circuit"]
    changes = [0, *(np.flatnonzero(np.diff(circuit)) + 1).tolist(), len(circuit)]
    for start, stop in pairwise(changes):
        state = int(circuit[start])
        axis.broken_barh([(start, stop - start)], (-0.4, 0.8), facecolors=colours.get(state, GREEN), linewidth=0)
        shown = min(stop, end) - start
        text = names.get(state, "no breaker" if run.policy == "none" else "CLOSED")
        if shown > end * 0.018 * len(text):
            axis.text(
                start + shown / 2, 0, text, ha="center", va="center", color="white", fontsize=8, fontweight="bold"
            )
    axis.set_ylim(-0.6, 0.6)
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)


_BOX = {"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
