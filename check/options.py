"""What the check can be asked, and the rules that refuse the rest."""

import argparse
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

_ABOUT = """\
Look at a pipeline before the breaker is attached to it. Reads the function, its event source mappings, the queue and
its dead-letter queue with your own credentials, and changes nothing. AWS_PROFILE, AWS_REGION and AWS_ENDPOINT_URL are
honoured as in the AWS CLI.
"""
_ENDING = """\
Exits with 0 if the pipeline can be attached, with 1 if registration would refuse it (an ERROR), and with 2 if an
argument is wrong or AWS does not answer.
"""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True)
class Options:
    """A checked request.

    Attributes
    ----------
    mapping
        "" for the one there is.
    alarm
        "" for the built-in alarm with its defaults.
    rate
        Messages a second.
    """

    function: str
    queue: str
    mapping: str = ""
    alarm: str = ""
    rate: float = 1.0
    as_json: bool = False


def parse_options(arguments: Sequence[str]) -> Options:
    """Read the command line. Refusals name the argument, the value and the rule, and end the program with code 2."""
    parser = argparse.ArgumentParser(
        prog="python -m check", description=_ABOUT, epilog=_ENDING, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--function", default="", metavar="NAME", help="the function, as name, name:alias or ARN")
    parser.add_argument("--queue", default="", metavar="NAME", help="the queue that it reads from, as name or ARN")
    parser.add_argument("--mapping", default="", metavar="UUID", help="the mapping, where several join the two")
    parser.add_argument(
        "--alarm", default="", metavar="NAME", help="an alarm of your own that shall trip (default: the built-in one)"
    )
    parser.add_argument(
        "--rate",
        default="1",
        metavar="N",
        help="messages a second, to tell how many an outage would dead-letter (default 1)",
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    given = parser.parse_args(arguments)
    for name, what in (("function", "name, name:alias or ARN of the function"), ("queue", "name or ARN of its queue")):
        if not getattr(given, name):
            parser.error(f"{name.upper()}: missing; it must be the {what}")
    if given.mapping and not _UUID.fullmatch(given.mapping):
        parser.error(f"MAPPING: {given.mapping!r} must be the UUID of an event source mapping")
    return Options(given.function, given.queue, given.mapping, given.alarm, _rate(parser, given.rate), given.as_json)


def _rate(parser: argparse.ArgumentParser, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        parser.error(f"RATE: {text!r} must be a number of messages a second above 0")
    return rate
