"""What the lab does to a build before it is deployed."""

import importlib.util
from pathlib import Path

from lab.deployment import compile_functions


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_compile_functions_leaves_each_function_its_own_compiled_code(tmp_path: Path) -> None:
    for name in ("First", "Same"):
        write(tmp_path / name / "step.py", "A = 1\n")
        write(tmp_path / name / "breaker" / "rule.py", "B = 2\n")
    write(tmp_path / "Other" / "step.py", "A = 'another'\n")
    write(tmp_path / "template.yaml", "")
    compile_functions(tmp_path)
    for source in tmp_path.rglob("*.py"):
        assert Path(importlib.util.cache_from_source(str(source))).exists()
    cached = [
        Path(importlib.util.cache_from_source(str(tmp_path / name / "step.py"))) for name in ("First", "Same", "Other")
    ]
    assert cached[0].read_bytes() == cached[1].read_bytes() != cached[2].read_bytes()
