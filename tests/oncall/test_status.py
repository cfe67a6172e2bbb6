"""`make status`: what is printed for a stack, and for what is none."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from breaker.errors import MappingNotSettled
from oncall import status
from tests.functions.world import World, new_world

STACK = "orders-breaker"


@pytest.fixture
def world() -> Iterator[World]:
    """A pipeline with its circuit registered."""
    with new_world() as world:
        world.register()
        yield world


def deploy(world: World, name: str = STACK, **outputs: str) -> None:
    """Deploy a stack that says where its table is."""
    template = {
        "Resources": {"Queue": {"Type": "AWS::SQS::Queue"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))


def table_of(world: World) -> str:
    return str(world.table._table)


def test_main_prints_every_circuit_for_a_person(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(world, CircuitTableName=table_of(world))
    world.send()
    assert status.main([STACK]) == 0
    said = capsys.readouterr().out
    assert "orders: CLOSED (flowing)" in said
    assert "1 waiting" in said
    assert "to do" in said


def test_main_prints_json_for_machines(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    deploy(world, CircuitTableName=table_of(world))
    assert status.main(["--json", STACK]) == 0
    (seen,) = json.loads(capsys.readouterr().out)["circuits"]
    assert (seen["circuit"], seen["standing"]) == ("orders", "FLOWING")


def test_main_changes_nothing(world: World) -> None:
    deploy(world, CircuitTableName=table_of(world))
    before = world.items()
    status.main([STACK])
    assert world.items() == before
    assert world.mapping_is() == "Enabled"


@pytest.mark.parametrize(
    ("name", "said"),
    [("other", "STACK: 'other' is no stack in this account and region"), ("plain", "STACK: 'plain' is no circuit br")],
)
def test_main_stack_that_is_none_is_named(
    world: World, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(world, "plain", SomethingElse="x")
    assert status.main([name]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("arguments", [[], [""], ["a", "b"]])
def test_main_without_one_stack_says_how_it_is_used(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status.main(arguments) == 2
    assert "usage: make status STACK=" in capsys.readouterr().err


def test_main_circuit_that_cannot_be_looked_at_is_named_and_hides_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(world, CircuitTableName=table_of(world))
    look = status.look

    def refuse(table: Any, name: str) -> Any:
        if name == "broken":
            raise MappingNotSettled("mapping 1: Lambda answered TooManyRequestsException")
        return look(table, name)

    monkeypatch.setattr(status, "look", refuse)
    monkeypatch.setattr(status.CircuitTable, "names", lambda self: ["broken", "orders"])
    assert status.main([STACK]) == 1
    printed = capsys.readouterr()
    assert "broken: could not be looked at: mapping 1" in printed.err
    assert "orders: CLOSED" in printed.out
