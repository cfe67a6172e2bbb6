"""Medians, ratios, tables and prices. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Timing:
    """One cold start, in seconds: CPU of the import, CPU and wall time of import and first invocation."""

    import_cpu: float
    cpu: float
    wall: float


@dataclass(frozen=True)
class ColdStart:
    """The cold starts of one function.

    Attributes
    ----------
    calls
        The AWS calls of its first invocation.
    rounds
        Each round's timings: the function, the bare handler with the same calls, the bare handler with the first call.
    """

    module: str
    calls: tuple[str, ...]
    rounds: tuple[tuple[Timing, Timing, Timing], ...]

    def milliseconds(self, which: int, part: Callable[[Timing], float]) -> float:
        """Return the median of the function (0), of the bare handler with the same calls (1), or with one call (2)."""
        return median(part(timings[which]) for timings in self.rounds) * 1000

    def ratio(self, part: Callable[[Timing], float], *, to: int = 1) -> float:
        """Return how many times as long as the bare handler the function takes.

        The median of the rounds' ratios: what slows the machine down for a while slows both of a round down.
        """
        return median(part(timings[0]) / part(timings[to]) for timings in self.rounds)


def cpu(timing: Timing) -> float:
    """Return the CPU seconds of import and first invocation."""
    return timing.cpu


def wall(timing: Timing) -> float:
    """Return the wall seconds of import and first invocation."""
    return timing.wall


def import_cpu(timing: Timing) -> float:
    """Return the CPU seconds of the import."""
    return timing.import_cpu


def cold_start_table(starts: Sequence[ColdStart]) -> str:
    """Return the cold starts as a table in Markdown, the worst first."""
    rows = [
        (
            start.module,
            f"{len(start.calls)}",
            f"{start.milliseconds(0, cpu):.0f}",
            f"{start.milliseconds(1, cpu):.0f}",
            f"{start.ratio(cpu):.2f}",
            f"{start.ratio(wall):.2f}",
            f"{start.ratio(import_cpu):.2f}",
            f"{start.ratio(cpu, to=2):.2f}",
        )
        for start in sorted(starts, key=lambda start: -start.ratio(cpu))
    ]
    heads = ("function", "calls", "CPU ms", "bare ms", "CPU ratio", "wall ratio", "import alone", "to one call")
    return table(heads, rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown: the first column to the left, figures to the right."""
    lines = [heads, ("---", *["---:"] * (len(heads) - 1)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(calls: Iterable[str]) -> str:
    """Return calls as text, each with how often it is made, in the order of the first of each."""
    return ", ".join(f"{number} {call}" if number > 1 else call for call, number in Counter(calls).items())
