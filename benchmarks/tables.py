"""Measurements as tables: markdown for docs/performance.md, between markers, and the same in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import calibration, limits, policies, scenarios
from benchmarks.aims import Aim, incident_of
from benchmarks.figures import Measurement
from benchmarks.sweep import CASES, mean_of, rows_of

_REPOSITORY = Path(__file__).resolve().parent.parent
PAGE, README = _REPOSITORY / "docs" / "performance.md", _REPOSITORY / "README.md"
BEGIN, END = "<!-- {}: written by make bench -->", "<!-- {}: end -->"
_SIMULATED_NAMES = {
    "none": "no breaker",
    "reference": "reference policy",
    "breaker": "this breaker",
    "fast-trip": "this breaker, fast trip",
}


class PageNotWritten(RuntimeError):
    """A part of the page has no place there."""


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column is left-aligned and whose others are right-aligned."""
    lines = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def seconds(value: float | None) -> str:
    """Seconds, or that it never happened."""
    return "never" if value is None else f"{value:,.0f} s"


def _opened(measured: Measurement) -> str:
    if measured.time_to_open is None and measured.opened_after is not None:
        # Calls that are slow do not fail.
        return f"{seconds(measured.opened_after)} after the break"
    return seconds(measured.time_to_open) if measured.probes or measured.executions else "-"


def _transitions(measured: Measurement) -> str:
    if not measured.executions:
        return "0"
    return f"{measured.transitions:,}, {measured.retries}"


def _closed(measured: Measurement) -> str:
    if measured.opened_after is None:
        return "-"
    if measured.fix_to_closed is None and measured.fix_to_flowing is not None:
        return "not in time"
    return seconds(measured.fix_to_closed)


_LAB_ROWS: tuple[tuple[str, Callable[[Measurement], str]], ...] = (
    ("messages sent", lambda m: f"{m.sent:,}"),
    ("failed calls until the fix", lambda m: f"{m.failed_calls:,}"),
    ("failed calls after it", lambda m: f"{m.failed_after_fix:,}"),
    ("dead-lettered", lambda m: f"{m.dead_lettered:,}"),
    ("left in the dead-letter queue", lambda m: f"{m.left_dead_lettered:,}"),
    ("lost", lambda m: f"{m.lost:,}"),
    ("processed more than once", lambda m: f"{m.duplicated:,}"),
    ("waiting at the end", lambda m: f"{m.waiting:,}"),
    ("receives burnt, mean of a message", lambda m: f"{m.burnt_of_each:.2f}"),
    ("most receives of a message", lambda m: f"{m.most_receives}"),
    ("first failure to `Disabled`", _opened),
    ("fix to flowing", lambda m: seconds(m.fix_to_flowing)),
    ("fix to drained", lambda m: seconds(m.fix_to_drained)),
    ("fix to closed", _closed),
    ("peak after the fix, messages a second", lambda m: f"{m.peak:.1f}"),
    ("probes", lambda m: f"{m.probes}"),
    ("executions, of these failed", lambda m: f"{m.executions}, {m.executions_failed}"),
    ("mapping left disabled for good", lambda m: "**yes**" if m.stuck else "no"),
    ("state transitions, of these retries", _transitions),
    ("functions' time on this machine", lambda m: f"{m.function_seconds:.0f} s"),
    ("cost of the incident on AWS", lambda m: f"${incident_of(m).dollars:.5f}"),
)


def lab_tables(measured: Sequence[Measurement]) -> str:
    """A table for each scenario, a column for each policy."""
    by_run = {(each.scenario, each.policy): each for each in measured}
    parts = []
    for scenario in scenarios.SCENARIOS:
        runs = [by_run[scenario.name, name] for name in scenario.policies if (scenario.name, name) in by_run]
        if not runs:
            continue
        head = ["", *(policies.BY_NAME[run.policy].title for run in runs)]
        rows = [[name, *(show(run) for run in runs)] for name, show in _LAB_ROWS]
        loads = ", ".join(f"{run.load:g}" for run in runs)
        about = (
            f"**Lab: {scenario.title}** (`{scenario.name}`). {_sent(scenario)}, "
            f"visibility timeout {scenario.visibility} s, dead-lettered after {scenario.max_receives} receives, scale "
            f"{scenario.scale}; "
            f"load of the machine when it began: {loads}."
        )
        parts.append(f"{about}\n\n{markdown(head, rows)}")
    return "\n\n".join(parts) or "Not measured yet."


_README_ROWS: tuple[tuple[str, Callable[[Measurement], str]], ...] = (
    ("failed calls of the function", lambda m: f"{m.failed_calls + m.failed_after_fix:,}"),
    ("receives that did not end in a processed message", lambda m: f"{m.receives_burnt:,}"),
    ("dead-lettered, lost", lambda m: f"{m.dead_lettered:,}, {m.lost:,}"),
    ("from the first failure to the pause", lambda m: seconds(m.time_to_open) if m.opened_after is not None else "-"),
    ("from the fix until messages flow", lambda m: seconds(m.fix_to_flowing) if m.opened_after is not None else "-"),
)
_README_POLICIES = ("none", "reference", "ramp", "fast-trip")


def readme_table(measured: Sequence[Measurement]) -> str:
    """Ten minutes of outage in few words."""
    by_policy = {each.policy: each for each in measured if each.scenario == "ten-minutes"}
    runs = [by_policy[name] for name in _README_POLICIES if name in by_policy]
    if not runs:
        return "Not measured yet."
    head = ["10 minutes of outage", *(policies.BY_NAME[run.policy].title.replace(", RAMP", "") for run in runs)]
    return markdown(head, [[name, *(show(run) for run in runs)] for name, show in _README_ROWS])


def _sent(scenario: scenarios.Scenario) -> str:
    every = 1 / scenario.rate
    return f"A message every {every:.0f} s" if every >= 2 else f"{scenario.rate:g} messages a second"


_SIMULATED_ROWS: tuple[tuple[str, Callable[[Sequence[dict[str, Any]]], str]], ...] = (
    ("failed calls", lambda rows: _mean(rows, "failed_calls")),
    ("dead-lettered", lambda rows: _mean(rows, "dead_lettered")),
    ("break to paused", lambda rows: _time(rows, "to_open")),
    ("fix to flowing", lambda rows: _time(rows, "to_flowing")),
    ("fix to flowing, longest", lambda rows: seconds(max((r["to_flowing"] or 0.0 for r in rows), default=0.0))),
    ("fix to drained", lambda rows: _time(rows, "to_drained")),
    ("runs that never flowed again", lambda rows: f"{sum(row['to_flowing'] is None for row in rows)} of {len(rows)}"),
    ("opened again", lambda rows: f"{mean_of(rows, 'reopened'):.1f}"),
    ("highest peak, share of capacity", lambda rows: f"{max(row['peak'] for row in rows):.2f}"),
    ("cost", lambda rows: f"${mean_of(rows, 'cost'):.4f}"),
    ("of this for the breaker's work", lambda rows: f"${mean_of(rows, 'cost_of_work'):.4f}"),
)


def simulated_tables(rows: Sequence[dict[str, Any]] | None) -> str:
    """A table for each case, a column for each policy. All figures are means over the case's runs, unless said."""
    parts = []
    for case in CASES:
        columns = {name: found for name in _SIMULATED_NAMES if (found := rows_of(rows or [], case.name, name))}
        if not columns:
            continue
        head = ["", *(_SIMULATED_NAMES[name] for name in columns)]
        table = markdown(head, [[name, *(show(found) for found in columns.values())] for name, show in _SIMULATED_ROWS])
        runs = len(next(iter(columns.values())))
        parts.append(f"**Simulated: {case.title}** (`{case.name}`). Means of {runs} runs.\n\n{table}")
    return "\n\n".join(parts) or "Not simulated yet."


def aims_table(aims: Sequence[Aim]) -> str:
    """The aims, each with what was found."""
    head = ["aim", "where", "found", ""]
    return markdown(head, [[aim.text, aim.where, aim.found, f"**{aim.verdict}**"] for aim in aims])


def calibration_table(measured: Measurement | None, without: Measurement | None = None) -> str:
    """The reference policy beside the sample, and the same outage without a breaker in both labs."""
    if measured is None:
        return "Not measured yet."
    rows = []
    others = [] if without is None else calibration.compare_without(without)
    for each in [*calibration.compare(measured), *others]:
        here = "never" if each.here is None else f"{each.here:,.0f}"
        off = "-" if each.off is None else f"{100 * each.off:+.0f} %"
        rows.append([each.name, f"{each.there:,.0f}", here, off, "yes" if each.agrees else "**no**"])
    head = ["10 minutes of outage", "the sample, in another lab", "the reference policy here", "off by", "within 10 %"]
    return markdown(head, rows) + f"\n\nLoad of the machine when it began: {measured.load:g}."


def limits_table() -> str:
    """What is computed. Sentences: so all columns are left-aligned."""
    rows = [f"| {line.question} | {line.answer} | {line.source} |" for line in limits.lines()]
    return "\n".join(["| | computed | from |", "| --- | --- | --- |", *rows])


def _mean(rows: Sequence[dict[str, Any]], name: str) -> str:
    mean = mean_of(rows, name)
    return "-" if mean is None else f"{mean:,.0f}"


def _time(rows: Sequence[dict[str, Any]], name: str) -> str:
    mean = mean_of(rows, name)
    return "-" if mean is None else f"{mean:,.0f} s"


def put(page: str, part: str, text: str) -> str:
    """The page with a part of it written anew.

    Raises
    ------
    PageNotWritten
        The page has no such part.
    """
    begin, end = BEGIN.format(part), END.format(part)
    if begin not in page or end not in page:
        raise PageNotWritten(f"the page has no part {part!r}: the lines {begin!r} and {end!r} must be in it")
    before, rest = page.split(begin, 1)
    return f"{before}{begin}\n\n{text}\n\n{end}{rest.split(end, 1)[1]}"
