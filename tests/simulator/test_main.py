from pathlib import Path
from typing import Any

import pytest

from simulator.__main__ import main


def test_main_prints_figures_advice_and_a_picture(tmp_path: Path, capsys: Any) -> None:
    picture = tmp_path / "picture.png"
    assert main(["run", "--outage", "15", "--picture", str(picture)]) == 0
    said = capsys.readouterr().out
    for expected in ("no breaker", "reference sample", "this breaker", "dead-lettered", "Recommended", "keep 5"):
        assert expected in said
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_main_with_the_same_seed_prints_the_same(tmp_path: Path, capsys: Any) -> None:
    said = []
    for _ in range(2):
        main(["run", "--outage", "15", "--seed", "3", "--no-recommendation", "--picture", str(tmp_path / "same.png")])
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_main_agreement_without_anything_kept_says_so(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulator.options.MEASURED", tmp_path / "missing.json")
    assert main(["agreement", "--kept"]) == 1
    assert "missing.json is not there" in capsys.readouterr().out.replace("\n", "")
