"""Prints what the breaker's own code costs, as Markdown."""

import argparse
import contextlib
import io
import logging
import platform
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# First of all: it says where functions/ is, and gives the account that does not exist.
from tests import conftest as _conftest  # noqa: F401  # isort: skip

from benchmarks.own_cost.cold_starts import CannotCompare, measure
from benchmarks.own_cost.figures import (
    Usage,
    cold_start_table,
    counted,
    price_table,
    table,
)
from benchmarks.own_cost.incidents import incident, quiet_look
from benchmarks.own_cost.package import FUNCTIONS, lay_out_package, zipped_bytes
from benchmarks.prices import ALARM_METRIC_MONTH

# A step's time, most of which is waiting for AWS's answers; a probe also waits for the target. The memory is as
# in template.yaml.
_STEP_SECONDS, _GIGABYTES = 0.3, 0.25
# Waits of up to two minutes, shortened by 10 % on average.
_PROBES_A_DAY = 24 * 60 * 60 // 108
_LOOKS_A_MONTH = 30 * 24 * 60 // 5
# The error rate alarm looks at two metrics; the alarms on the breaker itself at one each.
_ALARM_METRICS = 2 + 6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print. Returns the exit code: 1 where a cold start could not be compared."""
    modules = sorted(path.stem for path in FUNCTIONS.glob("*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_cost", description=__doc__)
    parser.add_argument("--rounds", type=_a_number, default=15, help="cold starts of each function (default 15)")
    parser.add_argument("--function", choices=modules, help="only the cold start of this one")
    options = parser.parse_args(arguments)
    # moto logs what a state machine asks whether it is there.
    logging.getLogger("moto").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if not options.function:
            print(_package_size(folder), _usage(), sep="\n\n", end="\n\n")
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                starts = measure([options.function] if options.function else modules, folder, rounds=options.rounds)
        except CannotCompare as error:
            print(error, file=sys.stderr)
            return 1
    print(f"Cold starts, medians of {options.rounds}, Python {platform.python_version()}:\n")
    print(cold_start_table(starts))
    return 0


def _a_number(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} must be a whole number from 1 to 1000")
    return int(text)


def _package_size(folder: Path) -> str:
    size = zipped_bytes(lay_out_package(folder / "sized"), folder / "package.zip")
    return f"The package, zipped: {size / 2**20:.2f} MiB."


def _usage() -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        shortest = incident(failed_probes=0)
        two, three = incident(failed_probes=2), incident(failed_probes=3)
        look = quiet_look()
    used = {"shortest incident": shortest, "each failed probe": three - two, "the reconciler's look": look}
    rows = [
        (name, str(usage.transitions), str(usage.invocations), counted(_each(usage))) for name, usage in used.items()
    ]
    in_an_incident, in_a_probe, in_a_look = (
        usage.dollars(seconds=_STEP_SECONDS, gigabytes=_GIGABYTES) for usage in used.values()
    )
    bills = {
        "shortest incident": in_an_incident,
        f"an outage of a day, {_PROBES_A_DAY} probes": _sum(in_an_incident, in_a_probe, _PROBES_A_DAY),
        "a month at rest": _sum({"CloudWatch": _ALARM_METRICS * ALARM_METRIC_MONTH}, in_a_look, _LOOKS_A_MONTH),
    }
    return table(("used by", "transitions", "invocations", "AWS calls"), rows) + "\n\n" + price_table(bills)


def _each(usage: Usage) -> list[str]:
    return [name for name, number in usage.calls.items() for _ in range(number)]


def _sum(fixed: dict[str, float], each: dict[str, float], number: int) -> dict[str, float]:
    services = dict.fromkeys([*each, *fixed])
    return {service: fixed.get(service, 0) + number * each.get(service, 0) for service in services}


if __name__ == "__main__":
    sys.exit(main())
