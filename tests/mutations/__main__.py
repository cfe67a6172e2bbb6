"""Changes one line of the product at a time and asks the promise's test whether it notices: `make mutants`.

Each mutation of `mutations.toml` is made in a copy of the repository. Its tests must pass without it and fail with it.
A test that cannot be collected proves nothing, so only failed tests count.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LIST = Path(__file__).with_name("mutations.toml")
# What the tests need of the repository.
_COPIED = [
    "functions",
    "statemachine",
    "events",
    "lab",
    "publish",
    "tests",
    "docs",
    "template.yaml",
    "README.md",
    "pyproject.toml",
]
_TESTS_FAILED = 1
_LONGEST_RUN_SECONDS = 300


@dataclass(frozen=True)
class Mutation:
    """A one-line change that breaks a promise.

    Attributes
    ----------
    promise
        P1 to P13.
    breaks
        What the change does to the promise, in words.
    line, becomes
        The line as it stands in the file, once, and what it is changed to; without indentation.
    tests
        Node ids, each of which must fail.
    """

    promise: str
    name: str
    breaks: str
    file: str
    line: str
    becomes: str
    tests: list[str]

    def apply(self, root: Path) -> None:
        """Make the change in the copy at `root`.

        Raises
        ------
        ValueError
            The line does not stand there exactly once.
        """
        path = root / self.file
        lines = path.read_text().splitlines(keepends=True)
        found = [number for number, line in enumerate(lines) if line.strip() == self.line]
        if len(found) != 1:
            raise ValueError(f"{self.name}: {self.file} has the line {self.line!r} {len(found)} times; it must be once")
        at = found[0]
        indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
        lines[at] = f"{indent}{self.becomes}\n"
        path.write_text("".join(lines))


def read_mutations() -> list[Mutation]:
    """Return the mutations of the list."""
    return [Mutation(**entry) for entry in tomllib.loads(LIST.read_text())["mutation"]]


def copy_repository(to: Path) -> None:
    """Copy what the tests need."""
    for name in _COPIED:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, to / name)


def run_tests(root: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy."""
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *tests]
    return subprocess.run(
        command,
        cwd=root,
        check=False,
        capture_output=True,
        text=True,
        timeout=_LONGEST_RUN_SECONDS,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )


def survives(mutation: Mutation) -> str | None:
    """Return why the mutation was not noticed, None where every one of its tests failed."""
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        root = Path(directory)
        copy_repository(root)
        mutation.apply(root)
        for test in mutation.tests:
            run = run_tests(root, [test])
            if run.returncode != _TESTS_FAILED:
                return f"{test} ended with {run.returncode}, expected {_TESTS_FAILED}:\n{run.stdout[-2000:]}"
    return None


def main() -> int:
    """Run the mutations and print what became of each. Returns the number of those that nobody noticed."""
    mutations = read_mutations()
    promises = sorted({mutation.promise for mutation in mutations}, key=lambda promise: int(promise[1:]))
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--promise", choices=promises, help="only the mutations of this promise")
    only = parser.parse_args().promise
    chosen = [mutation for mutation in mutations if only in (None, mutation.promise)]
    with tempfile.TemporaryDirectory(prefix="mutation-") as directory:
        copy_repository(Path(directory))
        tests = sorted({test for mutation in chosen for test in mutation.tests})
        unchanged = run_tests(Path(directory), tests)
        if unchanged.returncode:
            print(f"the tests must pass before anything is changed:\n{unchanged.stdout[-3000:]}")
            return 1
    print(f"{len(tests)} tests pass on the code as it is; now {len(chosen)} one-line changes:")
    unnoticed = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for mutation, why in zip(chosen, pool.map(survives, chosen), strict=True):
            print(f"  {mutation.promise:<4}{'SURVIVED' if why else 'noticed':<9} {mutation.name}: {mutation.breaks}")
            if why:
                print(why)
            unnoticed += why is not None
    print(f"{len(chosen) - unnoticed} of {len(chosen)} changes were noticed")
    return unnoticed


if __name__ == "__main__":
    sys.exit(main())
