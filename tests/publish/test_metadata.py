"""The metadata that the repository shows, and the files that it names."""

import re
from pathlib import Path
from typing import Any

import pytest

from publish import command
from publish.capabilities import document_problems, required_capabilities
from publish.metadata import SECTION, application, file_problems, metadata_problems, version_problems
from publish.packaging import REPOSITORY, load

CHANGELOG = "# Changelog\n\n## 1.2.3 - 2026-01-31\n\nText.\n\n## 1.2.2 - 2026-01-01\n"


@pytest.fixture
def section() -> dict[str, Any]:
    return application(load(REPOSITORY / "template.yaml"))


def complaints(section: dict[str, Any]) -> list[str]:
    return [str(problem) for problem in metadata_problems({"Metadata": {SECTION: section}})]


def test_sources_can_be_published() -> None:
    assert [str(problem) for problem in command.source_problems(REPOSITORY, release=False)] == []


@pytest.mark.parametrize("name", ["docs/installing.md", "examples/nested/template.yaml"])
def test_documents_install_the_version_that_is_published(section: dict[str, Any], name: str) -> None:
    told = re.findall(r"(?:SemanticVersion:|--semantic-version) (\S+)", (REPOSITORY / name).read_text())
    assert set(told) == {section["SemanticVersion"]}


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("Name", "sqs circuit breaker", "be 1 to 140 letters, digits and hyphens"),
        ("Name", "", "be 1 to 140 letters, digits and hyphens"),
        ("Description", "", "have 1 to 256 characters"),
        ("Author", "SQS", "be at most 127 lower case letters, digits and single hyphens, none of these at an end"),
        ("Author", "a--b", "be at most 127 lower case letters, digits and single hyphens, none of these at an end"),
        ("Author", "a" * 128, "be at most 127 lower case letters, digits and single hyphens, none of these at an end"),
        ("SemanticVersion", "1.2", "be a version of the form 1.2.3, or 1.2.3-word"),
        ("SemanticVersion", 1.2, "be a version of the form 1.2.3, or 1.2.3-word"),
        ("SourceCodeUrl", "http://example.com", "be an address that begins with https://"),
        ("HomePageUrl", None, "be an address that begins with https://"),
        ("LicenseUrl", {"Ref": "Licence"}, "be a file"),
        ("Labels", [], "be a list of 1 to 10 labels"),
        ("Labels", [str(n) for n in range(11)], "be a list of 1 to 10 labels"),
        ("Labels", "sqs", "be a list of 1 to 10 labels"),
    ],
)
def test_wrong_value_is_named_with_its_rule(section: dict[str, Any], field: str, value: object, rule: str) -> None:
    (complaint,) = complaints({**section, field: value})
    assert complaint.startswith(f"{SECTION} {field}: ")
    assert complaint.endswith(f" must {rule}")


@pytest.mark.parametrize("length", [256, 257])
def test_description_has_256_characters_at_most(section: dict[str, Any], length: int) -> None:
    assert bool(complaints({**section, "Description": "x" * length})) == (length > 256)


def test_label_with_a_blank_and_unknown_field_are_named(section: dict[str, Any]) -> None:
    section["Labels"][0] = "message queue"
    assert complaints({**section, "Keywords": "sqs"}) == [
        f"{SECTION} Labels: 'message queue' must be 1 to 127 letters, digits and any of +-_:/@",
        f"{SECTION} Keywords: 'sqs' must not be there",
    ]


def test_template_without_the_section_has_every_field_named() -> None:
    assert len(metadata_problems({"Resources": {}})) == 10


def test_missing_large_and_wrong_files_are_named(tmp_path: Path) -> None:
    section = {"LicenseUrl": "LICENSE", "ReadmeUrl": "README.md", "SpdxLicenseId": "MIT-0"}
    (tmp_path / "LICENSE").write_text("Apache License\n")
    (tmp_path / "README.md").write_text("x" * 5_000_001)
    assert [str(problem) for problem in file_problems(section, tmp_path)] == [
        f"{SECTION} SpdxLicenseId: 'MIT-0' must be the licence 'Apache License'",
        "README.md, size in bytes: 5000001 must be from 1 to 5,000,000",
    ]
    (tmp_path / "README.md").unlink()
    assert f"'README.md' must be a file, seen from {tmp_path}" in str(file_problems(section, tmp_path)[1])


@pytest.mark.parametrize(
    ("published", "project", "changelog", "release", "complaint"),
    [
        ("1.2.3", "1.2.3", CHANGELOG, True, None),
        (
            "1.2.4",
            "1.2.3",
            CHANGELOG,
            False,
            f"{SECTION} SemanticVersion: '1.2.4' must be the changelog's newest, 1.2.3",
        ),
        ("1.2.3", "1.2.2", CHANGELOG, False, "pyproject.toml version: '1.2.2' must be the changelog's newest, 1.2.3"),
        ("0.1.0", "0.1.0", "## 0.1.0 - unreleased\n", False, None),
        (
            "0.1.0",
            "0.1.0",
            "## 0.1.0 - unreleased\n",
            True,
            "CHANGELOG.md, date of 0.1.0: 'unreleased' must be a date, 2026-01-31, to be published",
        ),
        ("0.1.0", "0.1.0", "# Nothing\n", False, "CHANGELOG.md: '# Nothing\\n' must have a heading"),
    ],
)
def test_versions_that_differ_and_a_release_without_a_date_are_named(
    published: str, project: str, changelog: str, release: bool, complaint: str | None
) -> None:
    problems = version_problems({"SemanticVersion": published}, changelog, project, release=release)
    assert len(problems) == (complaint is not None)
    assert str(problems[0]).startswith(complaint) if complaint else True


@pytest.mark.parametrize(
    ("kind", "properties", "required"),
    [
        ("AWS::SQS::Queue", {"QueueName": "q"}, set()),
        ("AWS::IAM::Role", {}, {"CAPABILITY_IAM"}),
        ("AWS::IAM::Role", {"RoleName": "r"}, {"CAPABILITY_NAMED_IAM"}),
        ("AWS::IAM::Policy", {"PolicyName": "p"}, {"CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"}),
        ("AWS::Lambda::Permission", {}, {"CAPABILITY_RESOURCE_POLICY"}),
        ("AWS::SQS::QueuePolicy", {}, {"CAPABILITY_RESOURCE_POLICY"}),
        ("AWS::CloudFormation::Stack", {}, {"CAPABILITY_AUTO_EXPAND"}),
    ],
)
def test_capabilities_follow_from_the_resources(kind: str, properties: dict[str, str], required: set[str]) -> None:
    assert required_capabilities({"Resources": {"One": {"Type": kind, "Properties": properties}}}) == required


def test_named_role_makes_the_capability_for_unnamed_ones_superfluous() -> None:
    roles = {"One": {"Type": "AWS::IAM::Role"}, "Two": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}}
    assert required_capabilities({"Resources": roles}) == {"CAPABILITY_NAMED_IAM"}


def test_document_with_other_capabilities_or_without_the_command_is_named() -> None:
    shown = "aws serverlessrepo create-cloud-formation-change-set --stack-name s \\\n  --capabilities CAPABILITY_IAM\n"
    assert document_problems(shown, "a.md", {"CAPABILITY_IAM"}) == []
    (problem,) = document_problems(shown, "a.md", {"CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"})
    assert str(problem) == ("a.md, --capabilities: 'CAPABILITY_IAM' must be CAPABILITY_IAM CAPABILITY_RESOURCE_POLICY")
    (problem,) = document_problems("Nothing.", "a.md", {"CAPABILITY_IAM"})
    assert str(problem) == "a.md: 'Nothing.' must show aws serverlessrepo create-cloud-formation-change-set"
