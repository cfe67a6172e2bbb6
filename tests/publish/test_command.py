"""`python -m publish`: what it prints, and how it ends."""

import shutil
from pathlib import Path

import pytest

from publish import command
from publish.metadata import application
from publish.packaging import REPOSITORY, PackagingFailed, Uploaded, load

VERSION = application(load(REPOSITORY / "template.yaml"))["SemanticVersion"]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uploaded: Uploaded) -> Path:
    """A copy of what the check reads. It is not built again: `uploaded` stands for that."""
    for name in ("template.yaml", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "docs/installing.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    for name in ("statemachine", "functions"):
        shutil.copytree(REPOSITORY / name, tmp_path / name)
    monkeypatch.setattr(command, "REPOSITORY", tmp_path)
    monkeypatch.setattr(command, "PUBLISH_DIR", tmp_path / "publish")
    monkeypatch.setattr(command, "build", lambda template, runtime, log: template)
    monkeypatch.setattr(command, "package_locally", lambda built, output: uploaded)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_check_of_what_can_be_published_ends_with_0_and_says_what_it_is(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main([]) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert f"sqs-circuit-breaker {VERSION} by sqs-circuit-breaker can be published." in told.out
    assert "capabilities  CAPABILITY_IAM CAPABILITY_RESOURCE_POLICY" in told.out


@pytest.mark.parametrize(
    ("name", "old", "new", "complaint"),
    [
        ("template.yaml", "Author: sqs-circuit-breaker", "Author: SQS", "Author: 'SQS' must be at most 127 lower case"),
        (
            "pyproject.toml",
            f'version = "{VERSION}"',
            'version = "9.9.9"',
            "pyproject.toml version: '9.9.9' must be",
        ),
        (
            "docs/installing.md",
            "--capabilities CAPABILITY_IAM CAPABILITY_RESOURCE_POLICY",
            "--capabilities CAPABILITY_IAM",
            "docs/installing.md, --capabilities: 'CAPABILITY_IAM' must be CAPABILITY_IAM CAPABILITY_RESOURCE_POLICY",
        ),
    ],
)
def test_check_of_what_is_refused_ends_with_1_and_says_why(
    repository: Path, capsys: pytest.CaptureFixture[str], name: str, old: str, new: str, complaint: str
) -> None:
    change(repository / name, old, new)
    assert command.main([]) == 1
    told = capsys.readouterr()
    assert complaint in told.err
    assert told.out == ""


def test_compiled_code_in_the_package_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "functions" / "fast.so").write_text("machine code")
    assert command.main([]) == 1
    assert "LoadCircuitFunction, package: 'fast.so' must not be compiled" in capsys.readouterr().err


def test_release_without_a_date_is_refused(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "CHANGELOG.md").write_text(f"# Changelog\n\n## {VERSION} - unreleased\n")
    assert command.main(["--release"]) == 1
    assert f"CHANGELOG.md, date of {VERSION}: 'unreleased' must be a date" in capsys.readouterr().err


def test_build_that_fails_ends_with_2_and_sam_s_own_words(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(template: Path, runtime: str, log: Path) -> Path:
        raise PackagingFailed("sam build ended with 1")

    monkeypatch.setattr(command, "build", fail)
    assert command.main([]) == 2
    assert "sam build ended with 1" in capsys.readouterr().err
