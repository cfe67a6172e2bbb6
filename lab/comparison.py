"""The same outage without and with the circuit breaker, side by side: figures and one picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator
from rich.console import Console
from rich.table import Table

from lab.clock import clock_text
from lab.outage import OutagePlan, OutageResult
from lab.picture import AMBER, BLUE, GREEN, RED, STYLE, failures_per_bin, save_picture
from lab.session import LAB_DIR, Lab
from lab.timeline import timeline_for

PICTURE = LAB_DIR / "comparison.png"
# Long enough for a message to use up the template's five receives, so that the dead-letter queue comes into it.
PLAN = OutagePlan(rate=1.0, healthy=120.0, outage=1500.0, recovery_limit=1500.0, after=60.0)
_SCALE = 10
_MINUTE = 60.0


def run_comparison(console: Console) -> int:
    """Stage the outage twice, each time in a cloud of its own.

    Returns
    -------
    int
        0 if with the breaker every promise was kept, else 1. What was not kept is printed.
    """
    without = _stage(console, "without the breaker", Mode="OFF")
    with_breaker = _stage(console, "with the breaker", Mode="ACTIVE", Recovery="IMMEDIATE")
    draw_comparison(without, with_breaker, PICTURE)
    _print(console, without, with_breaker)
    console.print(f"Picture: {PICTURE.relative_to(Path.cwd()) if PICTURE.is_relative_to(Path.cwd()) else PICTURE}")
    broken = with_breaker.broken_promises()
    for sentence in broken:
        console.print(f"[bold red]FAILED:[/] {sentence}", soft_wrap=True, highlight=False)
    return 1 if broken else 0


def _stage(console: Console, title: str, **parameters: str) -> OutageResult:
    console.print(f"[bold]The outage {title}[/]", highlight=False)
    with Lab(scale=_SCALE) as lab:
        lab.deploy(parameters)
        lab.start_alarm()
        lab.start_schedule()
        with timeline_for(console) as timeline:
            return lab.run_outage(PLAN, timeline.show)


def figures(result: OutageResult) -> dict[str, str]:
    """What is compared, by name."""
    return {
        "orders sent": str(result.account.sent),
        "failed calls": str(result.failed_calls),
        "receives burnt": str(result.receives_burnt),
        "dead-lettered": str(len(result.account.dead_lettered)),
        "lost": str(len(result.account.lost)),
    }


def _print(console: Console, without: OutageResult, with_breaker: OutageResult) -> None:
    minutes = PLAN.outage / _MINUTE
    table = Table(title=f"{minutes:.0f} minutes of outage", title_style="bold")
    table.add_column("")
    table.add_column("without", justify="right")
    table.add_column("with", justify="right")
    other = figures(with_breaker)
    for name, value in figures(without).items():
        table.add_row(name, value, other[name])
    console.print(table)


def draw_comparison(without: OutageResult, with_breaker: OutageResult, path: Path) -> Path:
    """Draw both runs beside each other, on the same axes."""
    results = (without, with_breaker)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            3, 2, figsize=(12, 6.6), sharex=True, sharey="row", height_ratios=(2.2, 2.6, 0.5), layout="constrained"
        )
        end = max(result.samples[-1].at for result in results)
        for column, (name, result) in enumerate(zip(("Without", "With the circuit breaker"), results, strict=True)):
            failures, queue, mapping = (axes[row][column] for row in range(3))
            failures.set_title(_title(name, result), loc="left", fontsize=12, fontweight="bold")
            _draw_failures(failures, result, end)
            _draw_queue(queue, result)
            _draw_mapping(mapping, result)
            for axis in (failures, queue, mapping):
                axis.axvspan(result.milestones.broken, result.milestones.fixed, color=RED, alpha=0.07, linewidth=0)
                axis.set_xlim(0, end)
            mapping.set_xlabel("minutes, as on AWS")
            mapping.xaxis.set_major_locator(MultipleLocator(5 * _MINUTE))
            mapping.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock_text(seconds)))
        axes[0][0].set_ylabel("failed calls a minute", color=RED)
        axes[1][0].set_ylabel("messages")
        axes[2][0].set_yticks([0], ["consumer"])
        axes[1][0].legend(loc="upper left", frameon=False, fontsize=9)
        minutes = PLAN.outage / _MINUTE
        figure.suptitle(
            f"{minutes:.0f} minutes of outage, {PLAN.rate:g} order a second, dead-lettered after 5 receives",
            x=0.008,
            ha="left",
            fontsize=10,
        )
        save_picture(figure, path)
        plt.close(figure)
    return path


def _title(name: str, result: OutageResult) -> str:
    dead = len(result.account.dead_lettered)
    return f"{name}: {result.failed_calls} failed calls, {dead} dead-lettered"


def _draw_failures(axis: Any, result: OutageResult, end: float) -> None:
    bins = int(end // _MINUTE) + 1
    counted: Sequence[float] = failures_per_bin(result.failed_by_second, bins, _MINUTE)
    axis.bar([(n + 0.5) * _MINUTE for n in range(bins)], counted, width=_MINUTE * 0.8, color=RED, alpha=0.85)
    axis.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def _draw_queue(axis: Any, result: OutageResult) -> None:
    at = [sample.at for sample in result.samples]
    depth = [sample.depth for sample in result.samples]
    axis.fill_between(at, depth, color=BLUE, alpha=0.18, linewidth=0)
    axis.plot(at, depth, color=BLUE, linewidth=1.6, label="in the queue")
    axis.plot(at, [sample.dead_lettered for sample in result.samples], color=RED, linewidth=2, label="dead-lettered")
    axis.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _draw_mapping(axis: Any, result: OutageResult) -> None:
    colours = {"Enabled": GREEN, "Updating": GREEN, "Disabled": AMBER, "Disabling": AMBER, "Enabling": AMBER}
    samples = result.samples
    for sample, following in pairwise(samples):
        axis.broken_barh(
            [(sample.at, following.at - sample.at)], (-0.4, 0.8), facecolors=colours.get(sample.mapping), linewidth=0
        )
    paused, flowing = result.milestones.paused, result.milestones.flowing
    middle = (paused + flowing) / 2 if paused is not None and flowing is not None else samples[-1].at / 2
    axis.text(middle, 0, "paused" if paused is not None else "running", ha="center", va="center", color="white",
              fontsize=9, fontweight="bold")  # fmt: skip
    axis.set_ylim(-0.6, 0.6)
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    axis.tick_params(axis="y", length=0)
