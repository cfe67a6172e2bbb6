"""Writes what was found, for people and for machines."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from breaker.finding import Finding, Level, Plan
from breaker.pipeline import MappingFacts, Pipeline

_COLOURS = {Level.ERROR: "bold red", Level.WARNING: "bold yellow", Level.NOTE: "cyan"}
_SUBJECTS = {"TargetFunction": "function", "QueueArn": "queue", "MappingId": "mapping"}
_WORDS = {Level.ERROR: "error", Level.WARNING: "warning", Level.NOTE: "note"}


@dataclass(frozen=True)
class Checked:
    """A pipeline and what there is to say about it.

    Attributes
    ----------
    alarm
        Name of the alarm that shall trip, "" for the built-in one.
    """

    pipeline: Pipeline
    plan: Plan
    alarm: str
    findings: list[Finding]

    @property
    def detection_seconds(self) -> int:
        """Longest time, by estimate, from the first failure to the disabled mapping."""
        return self.plan.detection_seconds(self.pipeline.function.timeout_seconds)


def describe(mapping: MappingFacts) -> str:
    """Return one line about a mapping."""
    target = ":".join(mapping.target.split(":")[6:])
    source = mapping.source.rpartition(":")[2] or "another source"
    return f"{target} reads from {source} by mapping {mapping.id} ({mapping.state})"


def write_table(checked: Checked, console: Console) -> None:
    """Write a table for people."""
    console.print(describe(checked.pipeline.mapping), markup=False, highlight=False)
    alarm = f"the alarm {checked.alarm}" if checked.alarm else "the built-in alarm"
    console.print(
        f"Tripped by {alarm}, the mapping is disabled within about {checked.detection_seconds} s of the first failure.",
        markup=False,
        highlight=False,
    )
    table = Table(show_lines=True, expand=False)
    table.add_column("", no_wrap=True)
    for heading in ("what was found", "what it means", "what to set"):
        table.add_column(heading, overflow="fold")
    for finding in checked.findings:
        # No markup: a text may hold brackets.
        table.add_row(
            Text(f"{finding.level.value}\n", style=_COLOURS[finding.level]).append(
                _SUBJECTS.get(finding.field, finding.field), style="not bold default"
            ),
            Text(finding.what[0].upper() + finding.what[1:]),
            Text(finding.means),
            Text(finding.remedy),
        )
    console.print(table)
    counts = Counter(finding.level for finding in checked.findings)
    sums = ", ".join(f"{counts[level]} {_WORDS[level]}{'' if counts[level] == 1 else 's'}" for level in Level)
    verdict = "Registration would refuse this pipeline." if counts[Level.ERROR] else "This pipeline can be attached."
    console.print(f"{sums}. {verdict}", markup=False, highlight=False)


def write_json(checked: Checked, stream: TextIO) -> None:
    """Write one JSON document for machines."""
    pipeline = checked.pipeline
    document = {
        "function": pipeline.function.arn,
        "queue": pipeline.queue.arn,
        "mapping": pipeline.mapping.id,
        "detection_seconds": checked.detection_seconds,
        "findings": [
            {
                "level": finding.level.value,
                "rule": finding.rule,
                "field": finding.field,
                "what": finding.what,
                "means": finding.means,
                "remedy": finding.remedy,
            }
            for finding in checked.findings
        ],
    }
    stream.write(json.dumps(document, indent=2) + "\n")
