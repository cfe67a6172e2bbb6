"""``python -m publish``: builds what would be published, checks it, and says what it found."""

import argparse
import tomllib
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from lab.deployment import runtime_name
from publish import capabilities, metadata, packages, template
from publish.packaging import (
    PUBLISH_DIR,
    REPOSITORY,
    PackagingFailed,
    Uploaded,
    build,
    load,
    package_locally,
    prepare,
    transform,
)
from publish.problem import Problem

# The document with the commands that install the application from the repository.
INSTALLING = "docs/installing.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Check, and return 0 where nothing is refused, 1 where something is, 2 where sam failed."""
    parser = argparse.ArgumentParser(prog="python -m publish", description="Builds and checks what would be published.")
    parser.add_argument("--release", action="store_true", help="also demand that the changelog dates the version")
    parser.add_argument("--runtime", default=runtime_name(), help="Python to build with, which must be on the path")
    options = parser.parse_args(arguments)
    console = Console(soft_wrap=True, highlight=False)
    # What the sources say is known at once, before anything is built.
    problems = source_problems(REPOSITORY, release=options.release)
    uploaded = None
    if not problems:
        try:
            prepared = prepare(REPOSITORY, PUBLISH_DIR)
            built = build(prepared, options.runtime, PUBLISH_DIR / "sam-build.log")
            uploaded = package_locally(built, PUBLISH_DIR / "packaged.yaml")
        except PackagingFailed as error:
            Console(stderr=True, soft_wrap=True).print(str(error), markup=False)
            return 2
        problems = packaged_problems(uploaded.template, REPOSITORY)
        problems += packages.package_problems(code_of(built))
    for problem in problems:
        Console(stderr=True, soft_wrap=True).print(str(problem), markup=False)
    if problems or uploaded is None:
        return 1
    report(uploaded, console)
    return 0


def source_problems(root: Path, *, release: bool) -> list[Problem]:
    """What can be said of the template's metadata and the files it names, before it is packaged."""
    source = load(root / "template.yaml")
    problems = metadata.metadata_problems(source)
    section = metadata.application(source)
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    changelog = (root / "CHANGELOG.md").read_text()
    return [
        *problems,
        *metadata.file_problems(section, root),
        *metadata.version_problems(section, changelog, project, release=release),
    ]


def packaged_problems(path: Path, root: Path) -> list[Problem]:
    """What can be said of a packaged template, and of the document that tells how to install it."""
    packaged = load(path)
    problems = [
        *template.type_problems(packaged),
        *template.property_problems(packaged),
        *template.place_problems(packaged),
        *template.definition_problems(packaged),
    ]
    if problems:
        return problems  # the transform may not take it
    transformed = transform(packaged)
    required = capabilities.required_capabilities(transformed)
    return [
        *template.type_problems(transformed),
        *template.permission_problems(transformed),
        *template.limit_problems(packaged, transformed, path.read_text()),
        *capabilities.document_problems((root / INSTALLING).read_text(), INSTALLING, required),
    ]


def code_of(built: Path) -> dict[str, Path]:
    """Return the directory of each function's built code."""
    return {
        name: built.parent / resource["Properties"]["CodeUri"]
        for name, resource in load(built)["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def report(uploaded: Uploaded, console: Console) -> None:
    """Say what would be published."""
    packaged = load(uploaded.template)
    section = metadata.application(packaged)
    transformed = transform(packaged)
    required = " ".join(sorted(capabilities.required_capabilities(transformed)))
    largest = max(uploaded.objects.values())
    console.print(f"{section['Name']} {section['SemanticVersion']} by {section['Author']} can be published.")
    console.print(f"template      {uploaded.template}, {uploaded.template.stat().st_size:,} bytes")
    console.print(f"resources     {len(transformed['Resources'])} after the transform, of 500")
    console.print(f"parameters    {len(packaged['Parameters'])}, of 60 that a nested application may have")
    console.print(f"uploads       {len(uploaded.objects)}, the largest {largest:,} bytes")
    console.print(f"capabilities  {required}")
