"""The README says what the template says."""

import re
from pathlib import Path

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)


def rows(readme: str) -> dict[str, tuple[str, str]]:
    return {name: (default, meaning) for name, default, meaning in _ROW.findall(readme)}


def expected(template: str) -> dict[str, tuple[str, str]]:
    return {
        name: (f"`{spec['Default']}`" if spec["Default"] != "" else "(empty)", " ".join(spec["Description"].split()))
        for name, spec in yaml_parse(template)["Parameters"].items()
    }


def test_readme_lists_every_parameter_with_its_default_and_meaning() -> None:
    template = (ROOT / "template.yaml").read_text()
    assert rows((ROOT / "README.md").read_text()) == expected(template)


def test_readme_rows_with_another_default_differ() -> None:
    readme = (ROOT / "README.md").read_text()
    template = (ROOT / "template.yaml").read_text()
    assert rows(readme.replace("| `120` |", "| `121` |")) != expected(template)


def test_readme_links_lead_to_files() -> None:
    readme = (ROOT / "README.md").read_text()
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", readme)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []
