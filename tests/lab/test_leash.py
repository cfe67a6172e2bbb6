"""The leash with a real program: a shell that starts a child of its own."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from lab.leash import LeashedProcess

ROOT = Path(__file__).resolve().parents[2]
FAMILY = "sleep 600 & echo $!; wait"


def child_of(log):
    """The id of the program's own child, which it prints."""
    return int(_await(lambda: log.read_text().split())[0])


def _await(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)
    return found


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


@needs_proc
def test_end_takes_the_program_and_its_children(tmp_path):
    process = LeashedProcess(["sh", "-c", FAMILY], env=dict(os.environ), log=tmp_path / "log", cwd=tmp_path)
    child = child_of(tmp_path / "log")
    process.end()
    _await(lambda: not is_running(child))
    process.end()  # twice does no harm


@needs_proc
def test_killed_owner_takes_the_program_and_its_children_along(tmp_path):
    log = tmp_path / "log"
    owner = textwrap.dedent(f"""
        import os, time
        from pathlib import Path
        from lab.leash import LeashedProcess
        LeashedProcess(["sh", "-c", {FAMILY!r}], env=dict(os.environ), log=Path({str(log)!r}), cwd=Path("/"))
        time.sleep(600)
    """)
    process = subprocess.Popen([sys.executable, "-c", owner], cwd=ROOT)
    _await(log.exists)
    child = child_of(log)
    process.kill()
    process.wait()
    _await(lambda: not is_running(child))


def test_wait_gives_the_programs_exit_code_and_tail_its_last_words(tmp_path):
    process = LeashedProcess(
        ["sh", "-c", "echo first; echo last; exit 7"], env=dict(os.environ), log=tmp_path / "log", cwd=tmp_path
    )
    assert process.wait(10) == 7
    process.end()
    assert process.tail(1) == "last"
