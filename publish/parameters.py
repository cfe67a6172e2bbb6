"""docs/parameters.md, generated from template.yaml and attach.yaml: ``python -m publish.parameters``."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from publish.packaging import REPOSITORY, load

PAGE = "docs/parameters.md"
_HEAD = """\
# Parameters

Generated from the templates by `make docs`. Change the templates, not this page.

A deployment with a value that is not allowed is refused before anything is made. What can only be seen in your account,
such as a queue that does not belong to the function, is refused by the deployment, which rolls back with the reason.
"""
_ATTACH = """
## attach.yaml

It attaches one more circuit to a breaker that is deployed.
"""
_COLUMNS = "| parameter | default | allowed | meaning |\n| --- | --- | --- | --- |"


def page(root: Path) -> str:
    """Return the page's text."""
    breaker, attach = load(root / "template.yaml"), load(root / "attach.yaml")
    parts = [_HEAD, "\n## template.yaml\n"]
    for title, names in _groups(breaker):
        parts.append(f"\n### {title}\n\n{table(breaker['Parameters'], names)}\n")
    parts.append(_ATTACH)
    same = {name for name in attach["Parameters"] if attach["Parameters"][name] == breaker["Parameters"].get(name)}
    for title, names in _groups(attach):
        own = [name for name in names if name not in same]
        if own:
            parts.append(f"\n### {title}, other than above\n\n{table(attach['Parameters'], own)}\n")
    shared = [f"`{name}`" for _, names in _groups(attach) for name in names if name in same]
    parts.append("\n### As in template.yaml\n\n" + _wrapped(shared) + "\n")
    return "".join(parts)


def table(parameters: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> str:
    """Return the rows of some parameters."""
    rows = [
        f"| `{name}` | {default(parameters[name])} | {allowed(parameters[name])} | {meaning(parameters[name])} |"
        for name in names
    ]
    return "\n".join([_COLUMNS, *rows])


def default(spec: Mapping[str, Any]) -> str:
    """Return a default as the page shows it."""
    if "Default" not in spec:
        return "none, must be given"
    return f"`{spec['Default']}`" if spec["Default"] != "" else "(empty)"


def allowed(spec: Mapping[str, Any]) -> str:
    """Return the rule for a parameter's values."""
    if "AllowedValues" in spec:
        return ", ".join(f"`{value}`" for value in spec["AllowedValues"])
    if "MinValue" in spec:
        return f"{spec['MinValue']} to {spec['MaxValue']}"
    words = f"{' '.join(spec['ConstraintDescription'].split())} " if "ConstraintDescription" in spec else ""
    return words + "`" + spec["AllowedPattern"].replace("|", "\\|") + "`"


def meaning(spec: Mapping[str, Any]) -> str:
    """Return a description on one line."""
    return " ".join(spec["Description"].split())


def _groups(template: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    interface = template["Metadata"]["AWS::CloudFormation::Interface"]
    return [(group["Label"]["default"], group["Parameters"]) for group in interface["ParameterGroups"]]


def _wrapped(words: list[str], width: int = 120) -> str:
    lines = [""]
    for word in words:
        item = f"{word}," if word != words[-1] else f"{word}."
        if len(lines[-1]) + len(item) + 1 > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {item}".strip()
    return "\n".join(lines)


if __name__ == "__main__":
    (REPOSITORY / PAGE).write_text(page(REPOSITORY))
