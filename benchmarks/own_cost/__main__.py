"""Prints what the breaker's own code costs."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests import conftest as _offline  # noqa: F401 - an AWS account that does not exist, and where functions/ is

from benchmarks.own_cost.cold_starts import measure
from benchmarks.own_cost.figures import cold_start_table
from benchmarks.own_cost.package import FUNCTIONS, lay_out_package, zipped_bytes


def main() -> int:
    """Measure and print. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="cold starts of each function (default 15)")
    parser.add_argument("--function", help="only this function's cold start, by its module")
    options = parser.parse_args()
    modules = [options.function] if options.function else sorted(path.stem for path in FUNCTIONS.glob("*.py"))
    with tempfile.TemporaryDirectory() as name:
        print(cold_start_table(measure(modules, Path(name), rounds=options.rounds)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
