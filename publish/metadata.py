"""Rules for the template's ``AWS::ServerlessRepo::Application`` section.

https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-template-publishing-applications-metadata-properties.html
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from publish.problem import Problem

SECTION = "AWS::ServerlessRepo::Application"

# Field: what its value has to match, and the same in words.
_TEXTS = {
    "Name": (r"[a-zA-Z0-9-]{1,140}", "be 1 to 140 letters, digits and hyphens"),
    "Description": (r"(?s).{1,256}", "have 1 to 256 characters"),
    "Author": (
        r"(?=.{1,127}$)[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?",
        "be at most 127 lower case letters, digits and single hyphens, none of these at an end",
    ),
    "SpdxLicenseId": (r"[A-Za-z0-9.+-]+", "be an identifier of the SPDX licence list"),
    "LicenseUrl": (r"\S+", "be a file"),
    "ReadmeUrl": (r"\S+", "be a file"),
    "HomePageUrl": (r"https://\S+", "be an address that begins with https://"),
    "SourceCodeUrl": (r"https://\S+", "be an address that begins with https://"),
    "SemanticVersion": (
        r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?",
        "be a version of the form 1.2.3, or 1.2.3-word",
    ),
}
_LABEL = r"[a-zA-Z0-9+\-_:/@]{1,127}"
_MOST_LABELS = 10
_LARGEST_FILE = 5_000_000
# The first line of a licence: its SPDX identifier.
_LICENCES = {"MIT No Attribution": "MIT-0", "MIT License": "MIT", "Apache License": "Apache-2.0"}
_RELEASE = re.compile(r"^## (\S+) - (.+)$", re.MULTILINE)


def application(template: Mapping[str, Any]) -> dict[str, Any]:
    """Return the section, empty where there is none."""
    section = (template.get("Metadata") or {}).get(SECTION)
    return dict(section) if isinstance(section, Mapping) else {}


def metadata_problems(template: Mapping[str, Any]) -> list[Problem]:
    """Every field must be there and keep its rule. The last four make the application fit to be public."""
    section = application(template)
    problems = []
    for name, (pattern, rule) in _TEXTS.items():
        value = section.get(name)
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            problems.append(Problem(f"{SECTION} {name}", value, rule))
    labels = section.get("Labels")
    if not isinstance(labels, list) or not 1 <= len(labels) <= _MOST_LABELS:
        problems.append(Problem(f"{SECTION} Labels", labels, f"be a list of 1 to {_MOST_LABELS} labels"))
    else:
        problems += [
            Problem(f"{SECTION} Labels", label, "be 1 to 127 letters, digits and any of +-_:/@")
            for label in labels
            if not isinstance(label, str) or not re.fullmatch(_LABEL, label)
        ]
    known = {*_TEXTS, "Labels"}
    problems += [Problem(f"{SECTION} {name}", section[name], "not be there") for name in sorted(set(section) - known)]
    return problems


def file_problems(section: Mapping[str, Any], root: Path) -> list[Problem]:
    """Licence and readme must be files below ``root``, small enough, and the licence the one that is named."""
    problems = []
    for name in ("LicenseUrl", "ReadmeUrl"):
        path = root / str(section.get(name))
        if not path.is_file():
            problems.append(Problem(f"{SECTION} {name}", section.get(name), f"be a file, seen from {root}"))
        elif not 0 < path.stat().st_size <= _LARGEST_FILE:
            problems.append(Problem(f"{path.name}, size in bytes", path.stat().st_size, "be from 1 to 5,000,000"))
        elif name == "LicenseUrl":
            title = path.read_text().strip().partition("\n")[0].strip()
            if section.get("SpdxLicenseId") != _LICENCES.get(title):
                problems.append(
                    Problem(f"{SECTION} SpdxLicenseId", section.get("SpdxLicenseId"), f"be the licence {title!r}")
                )
    return problems


def version_problems(
    section: Mapping[str, Any], changelog: str, project_version: str, *, release: bool
) -> list[Problem]:
    """Template, changelog and pyproject.toml must name one version; to release it, the changelog must date it."""
    top = _RELEASE.search(changelog)
    if top is None:
        return [Problem("CHANGELOG.md", changelog[:40], "have a heading of the form '## 1.2.3 - 2026-01-31'")]
    version, date = top.groups()
    problems = []
    if (published := section.get("SemanticVersion")) != version:
        problems.append(Problem(f"{SECTION} SemanticVersion", published, f"be the changelog's newest, {version}"))
    if project_version != version:
        problems.append(Problem("pyproject.toml version", project_version, f"be the changelog's newest, {version}"))
    if release and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", date):
        problems.append(Problem(f"CHANGELOG.md, date of {version}", date, "be a date, 2026-01-31, to be published"))
    return problems
