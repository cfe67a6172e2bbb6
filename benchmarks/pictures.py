"""The pictures: one outage without a breaker, with the reference policy and with this breaker; and many outages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from benchmarks.figures import Measurement
from benchmarks.sweep import rows_of
from lab.clock import clock_text
from lab.picture import AMBER, BLUE, GREEN, RED, STYLE, save_picture

_DOCS = Path(__file__).resolve().parent.parent / "docs"
SIDE_BY_SIDE, SWEEP = _DOCS / "benchmark.png", _DOCS / "benchmark-sweep.png"
_MINUTE = 60.0
_COLUMNS = {"none": "No breaker", "reference": "Reference policy", "ramp": "This breaker"}
_SWEEP_LOOKS = {
    "reference": ("reference policy", AMBER, "s"),
    "breaker": ("this breaker", BLUE, "o"),
    "fast-trip": ("this breaker, fast trip", GREEN, "^"),
}


def draw_side_by_side(measured: Sequence[Measurement], path: Path = SIDE_BY_SIDE) -> Path | None:
    """Draw the ten minutes of outage under three policies. None where they were not all measured."""
    by_policy = {each.policy: each for each in measured if each.scenario == "ten-minutes"}
    if not _COLUMNS.keys() <= by_policy.keys():
        return None
    runs = [by_policy[name] for name in _COLUMNS]
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 3, figsize=(13, 6.4), sharex=True, sharey="row", height_ratios=(2, 2.6, 0.5), layout="constrained"
        )
        end = max(run.series[-1][0] for run in runs)
        for column, run in enumerate(runs):
            failures, queue, mapping = (axes[row][column] for row in range(3))
            title = f"{_COLUMNS[run.policy]}: {run.failed_calls + run.failed_after_fix} failed calls, "
            failures.set_title(
                title + f"{run.dead_lettered} dead-lettered", loc="left", fontsize=9.5, fontweight="bold"
            )
            _draw_run(failures, queue, mapping, run)
            for axis in (failures, queue, mapping):
                axis.axvspan(run.broken, run.fixed, color=RED, alpha=0.07, linewidth=0)
                axis.set_xlim(0, end)
            mapping.set_xlabel("minutes, as on AWS")
            mapping.xaxis.set_major_locator(MultipleLocator(5 * _MINUTE))
            mapping.xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock_text(at)))
        axes[0][0].set_ylabel("failed calls a minute", color=RED)
        axes[1][0].set_ylabel("messages")
        axes[1][0].legend(loc="upper left", frameon=False, fontsize=9)
        axes[2][0].set_yticks([0], ["consumer:\ngreen runs,\namber paused"], fontsize=8)
        save_picture(figure, path)
        plt.close(figure)
    return path


def _draw_run(failures: Any, queue: Any, mapping: Any, run: Measurement) -> None:
    minutes = len(run.failed_by_minute)
    failures.bar(
        [(n + 0.5) * _MINUTE for n in range(minutes)], run.failed_by_minute, width=_MINUTE * 0.8, color=RED, alpha=0.85
    )
    failures.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    at, depth, dead, on = (list(values) for values in zip(*run.series, strict=True))
    queue.fill_between(at, depth, color=BLUE, alpha=0.18, linewidth=0)
    queue.plot(at, depth, color=BLUE, linewidth=1.6, label="in the queue")
    queue.plot(at, dead, color=RED, linewidth=2, label="dead-lettered")
    queue.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    for begin, end, flows in zip(at, at[1:], on, strict=False):
        mapping.broken_barh([(begin, end - begin)], (-0.4, 0.8), facecolors=GREEN if flows else AMBER, linewidth=0)
    mapping.set_ylim(-0.6, 0.6)
    mapping.grid(visible=False)
    mapping.spines["left"].set_visible(False)
    mapping.tick_params(axis="y", length=0)


def draw_sweep(rows: Sequence[dict[str, Any]], path: Path = SWEEP) -> Path | None:
    """Draw each drawn outage: how long messages waited after the fix, and how many calls failed."""
    columns = {name: rows_of(rows, "drawn", name) for name in _SWEEP_LOOKS}
    if not all(columns.values()):
        return None
    with plt.rc_context(STYLE):
        figure, (flowing, failed) = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
        for name, found in columns.items():
            label, colour, marker = _SWEEP_LOOKS[name]
            at = [row["outage"] / _MINUTE for row in found]
            waited = [float("nan") if row["to_flowing"] is None else row["to_flowing"] / _MINUTE for row in found]
            flowing.scatter(at, waited, color=colour, marker=marker, s=26, label=label, alpha=0.85)
            failed.scatter(at, [row["failed_calls"] for row in found], color=colour, marker=marker, s=26, alpha=0.85)
        for axis, title in ((flowing, "minutes from the fix until messages flow"), (failed, "failed calls")):
            axis.set_title(f"simulated: {title}", loc="left", fontsize=11, fontweight="bold")
            axis.set_xlabel("minutes of outage")
            axis.set_ylim(bottom=0)
        flowing.legend(frameon=False, fontsize=9)
        save_picture(figure, path)
        plt.close(figure)
    return path
