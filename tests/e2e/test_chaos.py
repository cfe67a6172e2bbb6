"""Errors, latency and lost answers for the functions' calls, stopped executions, killed probes, alarms in tens."""

from pathlib import Path

import pytest
from rich.console import Console

from lab.chaos import run_chaos
from lab.options import ChaosOptions

pytestmark = pytest.mark.e2e


def test_all_comes_right_by_itself_after_everything_has_failed(build_dir: Path) -> None:
    assert run_chaos(ChaosOptions(seed=1, minutes=0.25), Console(), build_dir=build_dir) == 0
