"""Rules for the code packages.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from collections.abc import Mapping
from pathlib import Path

from publish.problem import Problem

# Unzipped, all layers included.
_LARGEST_BYTES = 262_144_000
_NATIVE = {".so", ".pyd", ".dylib"}


def size_of(directory: Path) -> int:
    """Return the size of all files in a directory, in bytes."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def package_problems(directories: Mapping[str, Path]) -> list[Problem]:
    """Each function's package must fit Lambda and run under every runtime that the template offers."""
    problems = []
    for function, directory in directories.items():
        size = size_of(directory)
        if not 0 < size <= _LARGEST_BYTES:
            problems.append(
                Problem(f"{function}, package, unzipped bytes", size, f"be there, and be {_LARGEST_BYTES:,} at most")
            )
        problems += [
            Problem(f"{function}, package", str(path.relative_to(directory)), "not be compiled for one runtime alone")
            for path in sorted(directory.rglob("*"))
            if path.suffix in _NATIVE
        ]
    return problems
