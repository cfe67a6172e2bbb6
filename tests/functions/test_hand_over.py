"""HandOver: the successor's name is written down before it is started."""

import json
from typing import Any

import pytest

from tests.functions.world import MACHINE_ARN, World


def input_of(world: World, execution: str) -> Any:
    """Return what an execution was started with."""
    return json.loads(world.stepfunctions.describe_execution(executionArn=execution)["input"])


def test_hand_over_starts_a_successor_that_resumes_the_incident(world: World) -> None:
    document = world.open()
    incident = document["claim"]["incident"]
    successor = world.run("hand_over", document)["successor"]
    assert successor == MACHINE_ARN.replace(":stateMachine:", ":execution:") + f":{incident}-1"
    assert world.execution_status(successor) == "RUNNING"
    assert input_of(world, successor) == {"circuit": "orders", "resume": incident}
    record = world.record()
    assert (record.owner, record.successor) == (document["execution"], successor)
    assert record.incident["hand_overs"] == 1
    assert world.changes() == ["HANDED_OVER"]


def test_hand_over_name_is_written_before_the_successor_is_started(world: World) -> None:
    document = world.open()
    world.refuse(world.stepfunctions, "start_execution", "ExecutionLimitExceeded")
    with pytest.raises(world.stepfunctions.exceptions.ExecutionLimitExceeded):
        world.run("hand_over", document)
    named = world.record().successor
    assert named
    assert world.run("hand_over", document) == {"successor": named}
    assert world.execution_status(named) == "RUNNING"
    assert world.record().incident["hand_overs"] == 1
    assert world.changes() == ["HANDED_OVER"]


def test_hand_over_twice_starts_one_successor(world: World) -> None:
    document = world.open()
    first = world.run("hand_over", document)
    world.refuse(world.stepfunctions, "start_execution", "ExecutionAlreadyExists")
    assert world.run("hand_over", document) == first
    executions = world.stepfunctions.list_executions(stateMachineArn=MACHINE_ARN)["executions"]
    assert len(executions) == 2


def test_hand_over_answer_lost_and_successor_at_work_is_the_same_answer(world: World) -> None:
    document = world.open()
    first = world.run("hand_over", document)
    successor = world.document(first["successor"])
    world.run("open_circuit", successor)
    assert world.run("hand_over", document) == first
    assert world.record().owner == first["successor"]


def test_hand_over_of_the_successor_has_the_next_name(world: World) -> None:
    document = world.open()
    first = world.run("hand_over", document)["successor"]
    successor = world.document(first)
    world.run("open_circuit", successor)
    second = world.run("hand_over", successor)["successor"]
    assert (first[-2:], second[-2:]) == ("-1", "-2")
    assert world.execution_status(second) == "RUNNING"
