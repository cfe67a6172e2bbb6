"""Tables and sentences for a terminal, and plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from simulator.agreement import Comparison
from simulator.figures import Figures
from simulator.options import SimulateOptions
from simulator.recommendation import Advice

_NAMES = {"none": "no breaker", "reference": "reference sample", "breaker": "this breaker"}
_ROWS: tuple[tuple[str, Callable[[Figures], str]], ...] = (
    ("messages sent until the end", lambda f: f"{f.sent:,}"),
    ("failed calls", lambda f: f"{f.failed_calls:,}"),
    ("  of these after the fix", lambda f: f"{f.failed_after:,}"),
    ("dead-lettered", lambda f: f"{f.dead_lettered:,}"),
    ("receives that came to nothing", lambda f: f"{f.receives_burnt:,}"),
    ("most receives of one message", lambda f: f"{f.most_receives}"),
    ("most messages waiting", lambda f: f"{f.most_waiting:,}"),
    ("from the break to paused", lambda f: duration(f.time_to_open)),
    ("probes", lambda f: f"{f.probes:,}"),
    ("from the fix to flowing", lambda f: duration(f.fix_to_flowing)),
    ("from the fix to drained", lambda f: f"{'about ' if f.drained_is_projected else ''}{duration(f.fix_to_drained)}"),
    ("from the fix to closed", lambda f: duration(f.fix_to_closed) if f.time_to_open is not None else "-"),
    ("opened again", lambda f: f"{f.reopened}"),
    ("collapses of the target", lambda f: f"{f.collapses}"),
    ("peak after the fix, messages a second", lambda f: f"{f.peak:,.0f}"),
    ("  as a share of the target's capacity", lambda f: f"{f.peak_share:.2f}"),
)


def name_of(policy: str) -> str:
    """A policy's name for people."""
    return _NAMES[policy]


def duration(seconds: float | None) -> str:
    """A duration in the unit that reads best."""
    if seconds is None:
        return "never"
    if seconds < 600:
        return f"{seconds:.0f} s"
    if seconds < 36_000:
        return f"{seconds / 60:.0f} min"
    return f"{round(seconds / 3600, 1):g} h"


def print_figures(console: Console, options: SimulateOptions, figures: Mapping[str, Figures]) -> None:
    """Print what each policy came to, side by side."""
    pipeline, trouble = options.pipeline, options.trouble
    title = (
        f"{duration(trouble.outage)} of outage, {pipeline.rate:g} messages a second, capacity {pipeline.capacity:g}, "
        f"visibility {pipeline.visibility} s, maxReceiveCount {pipeline.max_receives}"
    )
    _print_table(
        console,
        title,
        ["", *(name_of(policy) for policy in figures)],
        [[name, *(show(each) for each in figures.values())] for name, show in _ROWS],
    )
    for policy, each in figures.items():
        if each.stuck:
            console.print(f"{name_of(policy)}: {each.stuck}.", soft_wrap=True, highlight=False)
    console.print(
        f"Simulated with the {options.profile.name} poller, seed {options.seed}. Not measured on AWS: "
        "see docs/simulator.md.",
        soft_wrap=True,
        highlight=False,
    )


def print_advice(console: Console, advice: Iterable[Advice], *, tried_minutes: float) -> None:
    """Print the recommendation, with the reasons."""
    console.print()
    console.print("Recommended", style="bold")
    for each in advice:
        mark = "change to" if each.is_change else "keep"
        console.print(
            f"  {each.setting}: {mark} {each.value}", style="bold" if each.is_change else None, highlight=False
        )
        console.print(f"    {each.reason}", soft_wrap=True, highlight=False)
    console.print(
        f"Each alternative was simulated on an outage of {tried_minutes:.0f} minutes, "
        "with what stands above it in force.",
        soft_wrap=True,
        highlight=False,
    )


def print_agreement(console: Console, comparisons: Sequence[Comparison]) -> None:
    """Print the lab and the simulator side by side."""
    _print_table(
        console,
        "The lab and the simulator",
        [
            "scenario",
            "failed calls: lab",
            "simulated",
            "off by",
            "fix to flowing: lab",
            "simulated",
            "off by",
            "agrees",
        ],
        [
            [
                each.name,
                str(each.failed_lab),
                f"{each.failed_simulated:.1f}",
                f"{100 * each.failed_off:+.0f} %",
                duration(each.flowing_lab),
                duration(each.flowing_simulated),
                "-" if each.flowing_off is None else f"{each.flowing_off:+.0f} s",
                "yes" if each.agrees else "no",
            ]
            for each in comparisons
        ],
    )


def _print_table(console: Console, title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title, title_style="bold", title_justify="left")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    if console.is_terminal:
        console.print(table)
        return
    console.print(title, highlight=False, soft_wrap=True)
    widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(heads))]
    for row in [heads, *rows]:
        cells = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        console.print("  " + "  ".join(cells).rstrip(), highlight=False, soft_wrap=True)
