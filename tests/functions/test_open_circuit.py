"""OpenCircuit: claim, write down the intent, disable."""

import pytest

from breaker.circuit_table import CircuitState
from breaker.errors import MappingNotSettled, UnknownCircuit
from tests.functions.world import World


def test_open_circuit_closed_claims_writes_the_intent_and_disables(world: World) -> None:
    execution = world.start_execution()
    answer = world.run("open_circuit", world.document(execution))
    record = world.record()
    assert answer == {"ours": True, "incident": record.incident["id"], "stands": "PAUSING"}
    assert record.incident["own"] == {"maximum_concurrency": 0, "provisioned": False}
    assert (record.owner, record.intent, record.state) == (execution, "DISABLE", CircuitState.CLOSED)
    assert record.incident["opened_at"] == "2026-03-01T12:00:00Z"
    assert record.incident["cause"] == {
        "kind": "COMMAND",
        "reason": "test",
        "at": "2026-03-01T12:00:00Z",
        "command": "OPEN",
    }
    assert world.mapping_is() == "Disabled"
    assert world.changes() == []  # not before it is confirmed


def test_open_circuit_intent_is_written_before_the_mapping_is_touched(world: World) -> None:
    world.refuse(world.lambda_, "update_event_source_mapping", "InvalidParameterValueException")
    document = world.document(world.start_execution())
    with pytest.raises(world.lambda_.exceptions.InvalidParameterValueException):
        world.run("open_circuit", document)
    assert world.record().intent == "DISABLE"
    assert world.mapping_is() == "Enabled"
    assert world.run("open_circuit", document)["ours"]
    assert world.mapping_is() == "Disabled"


def test_open_circuit_twice_keeps_the_incident(world: World) -> None:
    document = world.document(world.start_execution())
    first = world.run("open_circuit", document)
    record = world.record()
    world.wait(60)
    assert world.run("open_circuit", document) == first
    assert world.record() == record
    assert world.mapping_is() == "Disabled"


@pytest.mark.parametrize(
    "code", ["ResourceInUseException", "ResourceConflictException", "TooManyRequestsException", "ServiceException"]
)
def test_open_circuit_mapping_busy_is_to_be_retried(world: World, code: str) -> None:
    world.refuse(world.lambda_, "update_event_source_mapping", code)
    document = world.document(world.start_execution())
    with pytest.raises(MappingNotSettled, match=f"mapping {world.mapping_id}: Lambda answered {code}"):
        world.run("open_circuit", document)
    assert world.run("open_circuit", document)["ours"]


def test_open_circuit_owner_running_leaves_everything_alone(world: World) -> None:
    world.open()
    before = world.items()
    answer = world.run("open_circuit", world.document(world.start_execution("second")))
    assert answer == {"ours": False, "why": f"execution {world.record().owner} owns the circuit"}
    assert world.record().owner.endswith(":first")
    assert world.items() == before
    assert world.changes() == []


@pytest.mark.parametrize("gone", [True, False])
def test_open_circuit_owner_not_running_is_taken_over_with_its_incident(world: World, gone: bool) -> None:
    first = world.open()
    if gone:
        world.refuse(world.stepfunctions, "describe_execution", "ExecutionDoesNotExist")
    else:
        world.stop_execution(first["execution"])
    world.wait(600)
    second = world.document(world.start_execution("second"))
    assert world.run("open_circuit", second) == first["claim"] | {"stands": "OPEN"}
    record = world.record()
    assert (record.owner, record.state) == (second["execution"], CircuitState.OPEN)
    assert record.incident["opened_at"] == "2026-03-01T12:00:00Z"
    assert world.mapping_is() == "Disabled"


def test_open_circuit_owner_cannot_be_asked_raises_what_aws_said(world: World) -> None:
    world.open()
    world.refuse(world.stepfunctions, "describe_execution", "ThrottlingException")
    with pytest.raises(Exception, match="ThrottlingException"):
        world.run("open_circuit", world.document(world.start_execution("second")))
    assert world.record().owner.endswith(":first")


def test_open_circuit_owner_that_is_a_removal_is_left_alone(world: World) -> None:
    document = world.document(world.start_execution())
    world.table.seize("orders", owner="removal-1")
    assert world.run("open_circuit", document) == {"ours": False, "why": "execution removal-1 owns the circuit"}
    assert world.mapping_is() == "Enabled"


def test_open_circuit_successor_takes_over_while_its_predecessor_still_runs(world: World) -> None:
    first = world.open()
    successor = world.run("hand_over", first)["successor"]
    document = world.document(successor)
    assert world.run("open_circuit", document) == first["claim"] | {"stands": "OPEN"}
    assert world.record().owner == successor
    assert world.record().successor == ""


def test_open_circuit_race_lost_leaves_the_winner_alone(world: World) -> None:
    document = world.document(world.start_execution())
    winner = world.start_execution("winner")
    claim = world.table.claim
    update = world.dynamodb.update_item

    def somebody_is_faster(**arguments: object) -> object:
        world.dynamodb.update_item = update
        assert claim("orders", execution=winner, instead_of="", incident={"id": "orders-winner"})
        return update(**arguments)

    world.dynamodb.update_item = somebody_is_faster
    try:
        answer = world.run("open_circuit", document)
    finally:
        world.dynamodb.update_item = update
    assert answer == {"ours": False, "why": f"execution {winner} owns the circuit"}
    assert world.record().incident == {"id": "orders-winner"}
    assert world.mapping_is() == "Enabled"


def test_open_circuit_race_never_won_gives_up(world: World) -> None:
    document = world.document(world.start_execution())
    world.refuse(world.dynamodb, "update_item", "ConditionalCheckFailedException", times=3)
    assert not world.run("open_circuit", document)["ours"]
    assert world.record().owner == ""
    assert world.mapping_is() == "Enabled"


@pytest.mark.parametrize("state", [None, "Disabling"])
def test_open_circuit_mapping_paused_by_somebody_else_is_left_alone(world: World, state: str | None) -> None:
    world.switch_mapping(enabled=False)
    world.mapping_state = state
    document = world.document(world.start_execution())
    answer = world.run("open_circuit", document)
    assert answer == {"ours": False, "why": "the mapping was disabled already, and not by the breaker"}
    record = world.record()
    assert (record.owner, record.incident, record.intent, record.state) == ("", {}, "", CircuitState.CLOSED)
    assert world.changes() == ["STAYED_CLOSED"]
    assert world.run("open_circuit", document) == answer


def test_open_circuit_removed_meanwhile_is_refused(world: World) -> None:
    document = world.document(world.start_execution())
    world.table.remove("orders")
    with pytest.raises(UnknownCircuit, match="circuit: 'orders' is not registered"):
        world.run("open_circuit", document)
    assert world.mapping_is() == "Enabled"


def test_open_circuit_mapping_gone_is_left_alone(world: World) -> None:
    document = world.document(world.start_execution())
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    answer = world.run("open_circuit", document)
    assert answer == {"ours": False, "why": "the mapping was gone, and not by the breaker"}
    assert world.record().owner == ""


def test_open_circuit_begun_by_a_dead_owner_keeps_the_incident_and_the_owners_settings(world: World) -> None:
    world.limit_mapping(7)
    first = world.document(world.start_execution())
    claimed = world.run("open_circuit", first)
    world.stop_execution(first["execution"])
    world.limit_mapping(2)
    second = world.document(world.start_execution("second"))
    assert world.run("open_circuit", second) == claimed
    assert world.record().incident["own"] == {"maximum_concurrency": 7, "provisioned": False}


def test_open_circuit_after_giving_up_is_not_given_up_any_more(world: World) -> None:
    first = world.open()
    world.table.write("orders", owner=first["execution"], sets={"incident.outcome": "GAVE_UP"})
    world.stop_execution(first["execution"])
    world.run("open_circuit", world.document(world.start_execution("second")))
    assert "outcome" not in world.record().incident
