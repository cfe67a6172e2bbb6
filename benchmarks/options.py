"""What the benchmarks may be asked for, and the rules that refuse the rest."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import policies, scenarios

PARTS = ("lab", "simulated")
_ABOUT = """\
Stage the same outages without a breaker, under the reference sample's policy and with this breaker: in the lab, one
after another, each in an emulated cloud of its own, and many more in the simulator. Each run is kept as soon as it has
ended: if this is stopped, the next one goes on with what is missing. At the end tables and pictures are written anew.
"""


@dataclass(frozen=True)
class RunOptions:
    """A checked request to measure: pairs of scenario and policy, and whether to simulate."""

    pairs: tuple[tuple[str, str], ...]
    simulated: bool


@dataclass(frozen=True)
class ReportOptions:
    """A request to write tables and pictures of what is kept."""


def parse_options(arguments: Sequence[str]) -> RunOptions | ReportOptions:
    """Read the command line. Refusals name the option, the value and the rule, and end the program with code 2."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What the breaker is worth, measured.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="measure", description=_ABOUT, formatter_class=formatter)
    commands.add_parser("report", help="write tables and pictures of what is kept in benchmarks/results")
    known = [scenario.name for scenario in scenarios.SCENARIOS]
    run.add_argument(
        "--scenarios",
        type=_names("scenario", [*known, "all"]),
        metavar="NAMES",
        help=f"for the lab, with commas between: {', '.join(known)}; or all. By default the core set, "
        f"{', '.join(scenario.name for scenario in scenarios.SCENARIOS if scenario.core)}",
    )
    run.add_argument(
        "--policies",
        type=_names("policy", [policy.name for policy in policies.POLICIES]),
        metavar="NAMES",
        help=f"for the lab, with commas between: {', '.join(policy.name for policy in policies.POLICIES)}. By default "
        "those that each scenario names",
    )
    run.add_argument(
        "--parts", type=_names("part", PARTS), default=PARTS, metavar="NAMES", help="lab, simulated, or both (default)"
    )
    given = parser.parse_args(arguments)
    if given.command == "report":
        return ReportOptions()
    pairs = _pairs(given.scenarios, given.policies) if "lab" in given.parts else ()
    if "lab" in given.parts and not pairs:
        run.error("argument --policies: none of them is run in any of these scenarios")
    return RunOptions(pairs, "simulated" in given.parts)


def _pairs(names: Sequence[str] | None, chosen: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    found = []
    for scenario in scenarios.SCENARIOS:
        wanted = scenario.core if names is None else scenario.name in names or "all" in names
        if wanted:
            # Who names a policy wants it, also where it is not usually run.
            those = scenario.policies if chosen is None else [*chosen]
            found.extend((scenario.name, policy) for policy in those)
    return tuple(found)


def _names(kind: str, known: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202
    def read(text: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in text.split(",") if name.strip())
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown) or text!r} is refused: a {kind} must be one of {', '.join(known)}"
            )
        return names

    return read
