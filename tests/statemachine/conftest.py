"""Prints the fault matrix at the end of a run."""

from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print a line for each step: faults, in how many runs, how they ended."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    rows = [
        value
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in getattr(report, "user_properties", [])
        if name == "fault_matrix"
    ]
    if not rows:
        return
    terminalreporter.section("fault matrix")
    terminalreporter.write_line(f"{'step':<20} {'scenario':<16} {'faults':>6} {'runs':>6}  outcomes")
    for step, scenario, runs, outcomes in sorted(rows):
        ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
        terminalreporter.write_line(f"{step:<20} {scenario:<16} {sum(outcomes.values()):>6} {runs:>6}  {ended}")
    faults, runs = sum(sum(row[3].values()) for row in rows), sum(row[2] for row in rows)
    terminalreporter.write_line(f"{'all':<20} {'':<16} {faults:>6} {runs:>6}")
