"""What is deployed in the lab is what was built, once for all functions of the same code."""

import importlib.util
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from lab.deployment import Deployment, pack_functions

TEMPLATE = """
Globals:
  Function:
    CodeUri: functions/
Resources:
  First:
    Properties:
      CodeUri: First
  Same:
    Properties:
      CodeUri: Same
  Other:
    Properties:
      CodeUri: Other
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_pack_functions_packs_the_same_code_once_compiled_and_another_apart(tmp_path: Path) -> None:
    for name in ("First", "Same"):
        write(tmp_path / name / "step.py", "A = 1\n")
        write(tmp_path / name / "breaker" / "rule.py", "B = 2\n")
    # As long as the others', and not the same.
    write(tmp_path / "Other" / "step.py", "A = 3\n")
    write(tmp_path / "Other" / "breaker" / "rule.py", "B = 2\n")
    # Of a nested application: no function of this template.
    write(tmp_path / "Nested" / "template.yaml", "")
    write(tmp_path / "template.yaml", TEMPLATE)

    pack_functions(tmp_path)

    expected = TEMPLATE.replace("CodeUri: First", "CodeUri: First.zip").replace("CodeUri: Same", "CodeUri: First.zip")
    assert (tmp_path / "template.yaml").read_text() == expected.replace("CodeUri: Other", "CodeUri: Other.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["First.zip", "Nested", "Other.zip", "template.yaml"]
    for name, text in (("First", "A = 1\n"), ("Other", "A = 3\n")):
        with zipfile.ZipFile(tmp_path / f"{name}.zip") as archive:
            assert archive.read("step.py").decode() == text
            for source in ("step.py", "breaker/rule.py"):
                assert importlib.util.cache_from_source(source) in archive.namelist()


def test_two_that_want_the_same_build_at_once_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Path] = []

    def build_slowly(deployment: Deployment) -> None:
        built.append(tmp_path)
        time.sleep(0.2)
        write(tmp_path / "shared" / "template.yaml", "")

    monkeypatch.setattr(Deployment, "_build", build_slowly)
    nothing: Any = None
    deployments = [
        Deployment(Path("template.yaml"), tmp_path / name, nothing, nothing, build_dir=tmp_path / "shared")
        for name in ("one", "other")
    ]
    with ThreadPoolExecutor() as pool:
        list(pool.map(Deployment.build, deployments))
    deployments[0].build()
    assert len(built) == 1
