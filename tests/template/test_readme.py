"""The README and the page of parameters say what the templates say."""

import re
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

from publish import parameters

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
_ROW = re.compile(r"^\| `(\w+)` \| (.*?) \| (.*) \|$", re.MULTILINE)
# They must be in the README, whatever else is.
_MOST_IMPORTANT = {"TargetFunction", "QueueName", "Mode", "Recovery"}
_LINKED = ["README.md", "CONTRIBUTING.md", "docs/installing.md", "docs/parameters.md", "examples/nested/README.md"]


def rows(readme: str) -> dict[str, tuple[str, str]]:
    return {name: (default, meaning) for name, default, meaning in _ROW.findall(readme)}


def wrong_rows(readme: str) -> list[str]:
    """Which parameters the README knows otherwise than the template, or not although they are important."""
    specs = yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]
    told = rows(readme)
    right = {name: (parameters.default(spec), parameters.meaning(spec)) for name, spec in specs.items()}
    return [name for name in told if told[name] != right.get(name)] + sorted(_MOST_IMPORTANT - set(told))


def test_readme_tells_default_and_meaning_of_the_most_important_parameters() -> None:
    assert wrong_rows(README) == []


@pytest.mark.parametrize(
    ("right", "wrong", "name"),
    [
        ("| `120` |", "| `121` |", "MaxProbeIntervalSeconds"),
        ("| `Mode` |", "| `Mood` |", "Mood"),
        ("| `Recovery` | `RAMP` | After", "| `Recovery` | `RAMP` | Before", "Recovery"),
    ],
)
def test_readme_row_that_differs_is_named(right: str, wrong: str, name: str) -> None:
    assert right in README
    assert name in wrong_rows(README.replace(right, wrong))


def test_page_of_parameters_is_what_make_docs_generates() -> None:
    assert (ROOT / parameters.PAGE).read_text() == parameters.page(ROOT)


def test_page_of_parameters_has_every_parameter_of_both_templates() -> None:
    page = (ROOT / parameters.PAGE).read_text()
    for template in ("template.yaml", "attach.yaml"):
        specs = yaml_parse((ROOT / template).read_text())["Parameters"]
        assert [name for name in specs if f"`{name}`" not in page] == []


@pytest.mark.parametrize(
    ("spec", "default", "allowed"),
    [
        ({"Default": "", "AllowedPattern": "^(a|b)?$"}, "(empty)", "`^(a\\|b)?$`"),
        ({"AllowedPattern": "^a$", "ConstraintDescription": "An a."}, "none, must be given", "An a. `^a$`"),
        ({"Default": 3, "MinValue": 1, "MaxValue": 5}, "`3`", "1 to 5"),
        ({"Default": "x", "AllowedValues": ["x", "y"]}, "`x`", "`x`, `y`"),
    ],
)
def test_page_of_parameters_tells_default_and_rule(spec: dict[str, object], default: str, allowed: str) -> None:
    assert (parameters.default(spec), parameters.allowed(spec)) == (default, allowed)


@pytest.mark.parametrize("document", _LINKED)
def test_links_lead_to_files(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_readme_has_links() -> None:
    assert len(re.findall(r"\]\((?!https?://)[^)#]+\)", README)) > 5
