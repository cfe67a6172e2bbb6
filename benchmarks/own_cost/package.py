"""The deployment package and the runtime, laid out as on Lambda, from what is installed here.

`sam build` unpacks the same wheels. It compiles nothing, so neither is anything compiled here, and each cold start
compiles what it imports. The runtime's own boto3 is compiled.
"""

import compileall
import re
import shutil
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTIONS = REPOSITORY / "functions"


def lay_out_package(folder: Path) -> Path:
    """Copy the functions and what they require into `folder`."""
    shutil.copytree(FUNCTIONS, folder, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    lines = (FUNCTIONS / "requirements.txt").read_text().splitlines()
    _copy_with_requirements([line for line in lines if line and not line.startswith("#")], folder)
    return folder


def lay_out_runtime(folder: Path) -> Path:
    """Copy what Lambda's runtime brings along into `folder`, compiled."""
    folder.mkdir()
    _copy_with_requirements(["boto3"], folder)
    compileall.compile_dir(folder, quiet=2)
    return folder


def zipped_bytes(folder: Path, archive: Path) -> int:
    """Zip a folder as `sam deploy` does and return the archive's size."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                zipped.write(path, path.relative_to(folder))
    return archive.stat().st_size


def _copy_with_requirements(requirements: list[str], folder: Path) -> None:
    copied: set[str] = set()
    left = [Requirement(line) for line in requirements]
    while left:
        requirement = left.pop()
        name = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if name in copied or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        copied.add(name)
        installed = distribution(name)
        _copy(installed, folder)
        left += [Requirement(line) for line in installed.requires or []]


def _copy(installed: Distribution, folder: Path) -> None:
    for file in installed.files or []:
        # What is outside of the library folder are commands.
        if ".." in file.parts or file.suffix == ".pyc":
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(str(installed.locate_file(file)), target)
