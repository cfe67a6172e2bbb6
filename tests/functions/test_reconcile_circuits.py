"""The reconciler as a function. What it repairs is in tests/statemachine/test_reconciler.py."""

import json
from typing import Any

import pytest

from tests.functions.world import World


def states_written(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, int]]:
    """Return circuit and value of each metric CircuitState that was written."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if '"CircuitState"' in line]
    return [(line["circuit"], line["CircuitState"][0]) for line in lines]


@pytest.mark.parametrize(("state", "value"), [("CLOSED", 0), ("HALF_OPEN", 1), ("OPEN", 2)])
def test_reconcile_circuits_writes_the_state_at_every_run(
    world: World, capsys: pytest.CaptureFixture[str], state: str, value: int
) -> None:
    world.set_alarm("OK")
    if state != "CLOSED":
        world.open()
        world.table.write("orders", owner=world.record().owner, sets={"state": state})
    capsys.readouterr()
    for _ in range(2):
        world.run("reconcile_circuits", {"source": "aws.events"})
        assert states_written(capsys) == [("orders", value)]


def test_reconcile_circuits_that_cannot_be_reconciled_still_has_its_state_written(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.open()
    world.refuse(world.stepfunctions, "describe_execution", "AccessDeniedException")
    capsys.readouterr()
    with pytest.raises(Exception, match="could not be reconciled"):
        world.run("reconcile_circuits", {"source": "aws.events"})
    assert states_written(capsys) == [("orders", 2)]


def test_reconcile_circuits_asks_nothing_more_for_the_state(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    read = world.dynamodb.get_item

    def counting(**arguments: Any) -> Any:
        calls.append("get_item")
        return read(**arguments)

    monkeypatch.setattr(world.dynamodb, "get_item", counting)
    world.set_alarm("OK")
    world.run("reconcile_circuits", {"source": "aws.events"})
    assert calls == ["get_item"]
