"""The list of mutations fits the code and the tests. That they are noticed is shown by `make mutants`."""

import re
from pathlib import Path

import pytest

from tests.mutations import __main__ as runner

DOCUMENT = runner.REPOSITORY / "docs" / "reliability.md"
MUTATIONS = runner.read_mutations()


def table() -> str:
    """Return the table of docs/reliability.md as the list of mutations makes it."""
    rows = [
        f"| {mutation.promise} | `{mutation.name}`: {mutation.breaks} | "
        + "<br>".join(f"`{test.removeprefix('tests/')}`" for test in mutation.tests)
        + " |"
        for mutation in sorted(MUTATIONS, key=lambda mutation: int(mutation.promise[1:]))
    ]
    return "\n".join(["| promise | mutation | tests that it turns red |", "| --- | --- | --- |", *rows])


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_changes_one_line_that_is_there(mutation: runner.Mutation, tmp_path: Path) -> None:
    copy = tmp_path / mutation.file
    copy.parent.mkdir(parents=True, exist_ok=True)
    before = (runner.REPOSITORY / mutation.file).read_text()
    copy.write_text(before)
    mutation.apply(tmp_path)
    changed = [
        pair for pair in zip(before.splitlines(), copy.read_text().splitlines(), strict=True) if len(set(pair)) > 1
    ]
    assert len(changed) == 1


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_names_tests_that_exist(mutation: runner.Mutation) -> None:
    assert mutation.tests
    for test in mutation.tests:
        path, _, name = test.partition("::")
        text = (runner.REPOSITORY / path).read_text()
        assert not name or re.search(rf"^def {re.escape(name.partition('[')[0])}\(", text, re.MULTILINE), test


def test_every_promise_has_a_mutation() -> None:
    assert {mutation.promise for mutation in MUTATIONS} == {f"P{number}" for number in range(1, 14)}


def test_reliability_document_lists_every_mutation() -> None:
    assert table() in DOCUMENT.read_text()


def test_line_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text("if True:\n")
    mutation = runner.Mutation("P1", "none", "nothing", "module.py", "if False:", "if None:", [])
    with pytest.raises(ValueError, match="it must be once"):
        mutation.apply(tmp_path)
