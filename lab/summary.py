"""What the demo says at the end."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from lab.outage import OutageResult

Row = tuple[str, str, str]


def rows(result: OutageResult) -> Iterator[Row | None]:
    """The summary's rows: name, value, remark. ``None`` separates groups."""
    account, times = result.account, result.milestones
    yield "orders sent", str(account.sent), f"{result.plan.rate:g} a second"
    yield "processed", str(len(account.processed)), ""
    yield "duplicates", str(account.duplicates), "processed more than once"
    yield "dead-lettered", str(len(account.dead_lettered)), ""
    yield "still waiting", str(len(account.waiting)), ""
    yield "lost", str(len(account.lost)), "sent, and found nowhere"
    yield None
    yield "failed calls", str(result.failed_calls), "of the target, its probes included"
    yield "receives burnt", str(result.receives_burnt), "that did not end in a processed message"
    yield None
    yield "time to open", _seconds(times.time_to_open), "first failed call to mapping Disabled"
    yield "from fix to flowing", _seconds(times.fix_to_flowing), "mapping Enabled for good, with less at once at first"
    yield "from fix to drained", _seconds(times.fix_to_drained), "every order sent before that, processed"
    yield "from fix to closed", _seconds(times.fix_to_closed), "ramp and watch included"
    yield None
    yield "probes", str(result.probes), ""
    yield "state transitions", str(result.state_transitions), f"${result.price:.5f} on AWS, at $25 a million"


def print_summary(console: Console, result: OutageResult) -> None:
    """Print the summary as a table, or as plain lines where the output is not a terminal."""
    note = f"Times are real-equivalent seconds; the lab ran them {result.scale} times faster."
    if not console.is_terminal:
        console.print("\nThe outage in numbers", highlight=False)
        for row in rows(result):
            if row is not None:
                name, value, remark = row
                line = f"  {name:<20} {value:>8}  {remark}".rstrip()
                console.print(line, markup=False, highlight=False, soft_wrap=True)
        console.print(note, highlight=False)
        return
    table = Table(
        title="The outage in numbers",
        title_style="bold",
        caption=note,
        caption_justify="left",
        width=90,
        show_header=False,
    )
    table.add_column("")
    table.add_column("", justify="right", style="bold", no_wrap=True)
    table.add_column("", style="dim")
    for row in rows(result):
        if row is None:
            table.add_section()
            continue
        table.add_row(*row, style=_style(row[0], result))
    console.print(table)


def _style(name: str, result: OutageResult) -> str | None:
    if name == "lost":
        return "red" if result.account.lost else "green"
    if name == "dead-lettered" and result.account.dead_lettered:
        return "yellow"
    return None


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.0f} s"
