"""Medians, ratios, tables and money. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.prices import EVENT, GIGABYTE_SECOND, INVOCATION, READ_UNIT, SQS_REQUEST, TRANSITION, WRITE_UNIT


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


# What a call of the table costs in units, for items of at most 1 KB written and 4 KB read. A transaction counts twice,
# for each of its two items.
_UNITS = {
    "get_item": READ_UNIT,
    "query": READ_UNIT,
    "scan": READ_UNIT,
    "put_item": WRITE_UNIT,
    "update_item": WRITE_UNIT,
    "delete_item": WRITE_UNIT,
    "transact_write_items": 4 * WRITE_UNIT,
}
# The record with its settings is larger than an item of one unit.
RECORD_KILOBYTES = 4


@dataclass(frozen=True)
class Usage:
    """What something used: state transitions, invocations of the breaker's functions, AWS calls by `service:call`."""

    transitions: int = 0
    invocations: int = 0
    calls: Mapping[str, int] = field(default_factory=dict)

    def __sub__(self, other: "Usage") -> "Usage":
        calls = {name: number - other.calls.get(name, 0) for name, number in self.calls.items()}
        return Usage(
            self.transitions - other.transitions,
            self.invocations - other.invocations,
            {name: number for name, number in calls.items() if number},
        )

    def dollars(self, *, seconds: float, gigabytes: float) -> dict[str, float]:
        """Return the price by service, where each invocation takes `seconds` in a function of `gigabytes`."""
        by_service = {"Step Functions": self.transitions * TRANSITION}
        by_service["Lambda"] = self.invocations * (INVOCATION + seconds * gigabytes * GIGABYTE_SECOND)
        for name, number in self.calls.items():
            service, _, call = name.partition(":")
            if service == "dynamodb":
                # Written units count by the kilobyte, read ones by four.
                size = RECORD_KILOBYTES if call == "update_item" else 1
                by_service["DynamoDB"] = by_service.get("DynamoDB", 0) + number * _UNITS[call] * size
            elif service == "sqs":
                by_service["SQS"] = by_service.get("SQS", 0) + number * SQS_REQUEST
            elif service == "eventbridge":
                by_service["EventBridge"] = by_service.get("EventBridge", 0) + number * EVENT
        return by_service


def price_table(bills: Mapping[str, Mapping[str, float]]) -> str:
    """Return prices as a table in Markdown: a row for each bill, a column for each service, the sum last."""
    services = list(dict.fromkeys(service for bill in bills.values() for service in bill))
    rows = [
        (name, *(dollars(bill.get(service, 0)) for service in services), dollars(sum(bill.values())))
        for name, bill in bills.items()
    ]
    return table(("US dollars", *services, "together"), rows)


def dollars(amount: float) -> str:
    """Write an amount with two digits that tell something: cents from a dollar on, fractions of a cent below."""
    if amount == 0:
        return "0"
    digits = 2
    while round(amount, digits) < 10 ** (1 - digits) and digits < 8:
        digits += 1
    return f"{amount:.{digits}f}"
