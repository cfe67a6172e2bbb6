"""What the demo can be asked for, and the rules that refuse the rest."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# CloudWatch's period (60 s) must stay a whole number of seconds: the emulator keeps metrics by the second.
SCALES = (1, 2, 3, 4, 5, 6, 10, 12, 15)
# Up to two periods until one of them is mostly failures, the delay until it can be seen, and the trip itself.
SHORTEST_OUTAGE = 240
LONGEST_OUTAGE = 7200
SLOWEST_RATE = 0.2
# What the emulator can take beside everything else on two cores.
FASTEST_WALL_RATE = 50
HIGHEST_SEED = 4_294_967_295
# Minutes on the wall. Less would not give each kind of blow its moment.
SHORTEST_CHAOS, LONGEST_CHAOS = 0.25, 120.0
RECOVERIES = ("RAMP", "IMMEDIATE", "REJITTER")

_ABOUT = """\
Stage an outage on this machine: deploy the application to an emulated cloud with sam, send orders, break their
consumer, mend it, and watch the circuit breaker. Nothing is installed outside the project and no AWS account is used.

All durations are real-equivalent seconds: what they would be on AWS. The lab runs them SCALE times faster.
"""
_ABOUT_COMPARE = """\
Stage the same outage of 25 minutes twice, without and with the circuit breaker, each in an emulated cloud of its own.
Prints the figures beside each other and draws one picture. Takes about 8 minutes.
"""
_ABOUT_SIGNALS = """\
Stage the trouble that each signal is there to see: failed calls, failed messages, slow calls, and an event from code.
Prints how long it takes from the first failure to the disable call, and how many messages are delivered until then.
Each in an emulated cloud of its own, one after another. Takes about 5 minutes.
"""
_ABOUT_CHAOS = """\
An outage in which the breaker's own calls are throttled, fail, are slow or lose their answers, its executions are
stopped, its processes killed, its alarm delivered many times, and its mapping enabled by hand. Then the faults stop,
and everything must come right by itself. The same seed makes the same plan.
"""
_ENDING_CHAOS = """\
Exits with 1 and says why if the circuit is not CLOSED in time, if the mapping is not Enabled with its owner's settings,
if a message was lost, if two executions owned the circuit at once, or if one is left running. Ctrl-C ends everything.
"""
_ENDING = """\
Exits with 1 and says why if an order was lost, if the circuit never opened, if no call failed, if nothing was
processed, or if the mapping is not enabled at the end. Ctrl-C ends everything at any moment.
"""


@dataclass(frozen=True)
class DemoOptions:
    """A checked request for a demo."""

    rate: float = 1.0
    outage: float = 300.0
    # At this pace the demo, whose recovery is watched for ten minutes, takes two.
    scale: int = 12
    recovery: str = "RAMP"
    keep: bool = False


@dataclass(frozen=True)
class CompareOptions:
    """A request for a comparison. There is nothing to choose: its figures must be the same outage for everybody."""


@dataclass(frozen=True)
class SignalsOptions:
    """A request to measure the signals. There is nothing to choose: its figures must be the same for everybody."""


@dataclass(frozen=True)
class ChaosOptions:
    """A checked request for chaos. The minutes are those of the clock on the wall."""

    seed: int = 1
    minutes: float = 1.0


def parse_options(arguments: Sequence[str]) -> DemoOptions | CompareOptions | SignalsOptions | ChaosOptions:
    """Read the command line. Refusals name the option, the value and the rule, and end the program with code 2."""
    parser, demo = _parsers()
    given = parser.parse_args(arguments)
    if given.command == "compare":
        return CompareOptions()
    if given.command == "signals":
        return SignalsOptions()
    if given.command == "chaos":
        return ChaosOptions(given.seed, given.minutes)
    if given.rate * given.scale > FASTEST_WALL_RATE:
        demo.error(
            f"argument --rate: {given.rate:g} with --scale {given.scale} is refused: rate times scale must be at most "
            f"{FASTEST_WALL_RATE}, because that is what the emulated cloud keeps up with"
        )
    return DemoOptions(given.rate, given.outage, given.scale, given.recovery, given.keep)


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The whole parser, and the demo's own: refusals should show the usage of the latter."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m lab", description="The application on one machine.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="stage an outage and watch it", description=_ABOUT, epilog=_ENDING, formatter_class=formatter
    )
    commands.add_parser(
        "compare",
        help="stage the same outage without and with the breaker",
        description=_ABOUT_COMPARE,
        formatter_class=formatter,
    )
    commands.add_parser(
        "signals",
        help="measure how soon each signal opens the circuit",
        description=_ABOUT_SIGNALS,
        formatter_class=formatter,
    )
    chaos = commands.add_parser(
        "chaos",
        help="an outage in which everything else fails, too",
        description=_ABOUT_CHAOS,
        epilog=_ENDING_CHAOS,
        formatter_class=formatter,
    )
    chaos.add_argument(
        "--seed",
        type=_seed,
        default=ChaosOptions.seed,
        metavar="N",
        help=f"what the plan is drawn from, a whole number from 0 to {HIGHEST_SEED} (default %(default)d)",
    )
    chaos.add_argument(
        "--minutes",
        type=number_between("minutes", SHORTEST_CHAOS, LONGEST_CHAOS),
        default=ChaosOptions.minutes,
        metavar="N",
        help="how long the faults last once the circuit is tripped, in minutes on this machine's own clock, "
        f"{SHORTEST_CHAOS:g} to {LONGEST_CHAOS:g} (default %(default)g). Setting up, tripping and recovering take a "
        "minute more",
    )
    demo.add_argument(
        "--rate",
        type=number_between("orders per second", SLOWEST_RATE, FASTEST_WALL_RATE),
        default=DemoOptions.rate,
        metavar="N",
        help=f"orders per real-equivalent second, {SLOWEST_RATE:g} or more; rate times scale at most "
        f"{FASTEST_WALL_RATE} (default %(default)g)",
    )
    demo.add_argument(
        "--outage",
        type=number_between("seconds", SHORTEST_OUTAGE, LONGEST_OUTAGE),
        default=DemoOptions.outage,
        metavar="SECONDS",
        help=f"how long the target fails, {SHORTEST_OUTAGE} to {LONGEST_OUTAGE} real-equivalent seconds "
        "(default %(default)g)",
    )
    demo.add_argument(
        "--scale",
        type=_scale,
        default=DemoOptions.scale,
        metavar="N",
        help=f"how many times faster than AWS, one of {', '.join(map(str, SCALES))} (default %(default)d)",
    )
    demo.add_argument(
        "--recovery",
        type=_recovery,
        default=DemoOptions.recovery,
        metavar="HOW",
        help=f"how messages are let in again: {', '.join(RECOVERIES)} (default %(default)s)",
    )
    demo.add_argument(
        "--keep",
        action="store_true",
        help="leave the emulated cloud up until Ctrl-C and print the aws and sam commands to play with",
    )
    return parser, demo


def number_between(unit: str, least: float, most: float) -> Callable[[str], float]:
    """An argument's type for argparse: a number in these bounds. What is not is refused by the rule."""

    def read(text: str) -> float:
        rule = f"must be a number of {unit} between {least:g} and {most:g}"
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is refused: {rule}") from None
        if not math.isfinite(number) or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is refused: {rule}")
        return number

    return read


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > HIGHEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is refused: must be a whole number from 0 to {HIGHEST_SEED}")
    return int(text)


def _scale(text: str) -> int:
    if text not in {str(scale) for scale in SCALES}:
        raise argparse.ArgumentTypeError(f"{text!r} is refused: must be one of {', '.join(map(str, SCALES))}")
    return int(text)


def _recovery(text: str) -> str:
    if text.upper() not in RECOVERIES:
        raise argparse.ArgumentTypeError(f"{text!r} is refused: must be one of {', '.join(RECOVERIES)}")
    return text.upper()
