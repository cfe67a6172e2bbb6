"""LoadCircuit: what may open a circuit, and what is refused before anything is changed."""

from datetime import timedelta
from typing import Any

import pytest

from breaker import clock
from breaker.errors import InvalidTrip, StaleTrip, UnknownCircuit
from tests.functions.world import ALARM, MACHINE_ARN, TABLE, World

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:CircuitBreaker:first"
BY_HAND = {"circuit": "orders", "command": "OPEN", "reason": "maintenance"}


def load(world: World, start: Any) -> Any:
    """Run the step the way the state machine does."""
    return world.run("load_circuit", {"execution": EXECUTION, "state_machine": MACHINE_ARN, "input": start})


def alarm_start(name: str = ALARM, **changes: Any) -> dict[str, Any]:
    """Return what a rule starts the machine with."""
    cause = {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "time": "2026-03-01T11:59:30Z",
        "detail": {"alarmName": name, "state": {"value": "ALARM"}},
        **changes,
    }
    return {"circuit": "orders", "cause": cause}


def test_load_circuit_alarm_returns_the_whole_state_document(world: World) -> None:
    assert load(world, alarm_start()) == {
        "format": 2,
        "execution": EXECUTION,
        "state_machine": MACHINE_ARN,
        "mode": "ACTIVE",
        "circuit": world.record().circuit.as_dict(),
        "trip": {"kind": "ALARM", "reason": f"alarm {ALARM} is in ALARM", "at": "2026-03-01T11:59:30Z"},
        "schedule": {
            "failures": 0,
            "successes": 0,
            "cycles": 0,
            "began": "2026-03-01T12:00:00Z",
            "wait_seconds": 30,
        },
    }


def test_load_circuit_by_hand_does_not_ask_the_alarm(world: World) -> None:
    world.set_alarm("OK")
    assert load(world, BY_HAND)["trip"] == {
        "kind": "COMMAND",
        "reason": "maintenance",
        "at": "2026-03-01T12:00:00Z",
        "command": "OPEN",
    }


def test_load_circuit_twice_is_the_same(world: World) -> None:
    before = world.items()
    assert load(world, BY_HAND) == load(world, BY_HAND)
    assert world.items() == before


def test_load_circuit_event_from_code_opens(world: World) -> None:
    event = {
        "source": "shop",
        "detail-type": "Circuit Trip Requested",
        "time": clock.iso(world.now),
        "detail": {"circuit": "orders"},
    }
    assert load(world, {"circuit": "orders", "cause": event})["trip"]["kind"] == "EVENT"


@pytest.mark.parametrize("mode", ["ACTIVE", "WATCH", "OFF"])
def test_load_circuit_mode_is_the_circuits(world: World, mode: str) -> None:
    world.register(Mode=mode)
    assert load(world, BY_HAND)["mode"] == mode


def test_load_circuit_resume_goes_on_with_the_incident_even_when_switched_off(world: World) -> None:
    world.target = lambda event: 1 / 0
    world.send()
    document = world.open()
    world.run("probe_target", document)
    world.register(Mode="OFF")
    resumed = load(world, {"circuit": "orders", "resume": document["claim"]["incident"]})
    assert resumed["mode"] == "ACTIVE"
    assert (resumed["schedule"]["failures"], resumed["schedule"]["cycles"]) == (1, 0)
    assert resumed["trip"]["kind"] == "RESUME"


def test_load_circuit_resume_of_an_incident_that_is_over_is_stale(world: World) -> None:
    with pytest.raises(StaleTrip, match="resume: 'orders-old' is over; the circuit's incident is None"):
        load(world, {"circuit": "orders", "resume": "orders-old"})


def test_load_circuit_unknown_circuit_is_refused(world: World) -> None:
    with pytest.raises(UnknownCircuit, match="circuit: 'payments' is not registered"):
        load(world, {**BY_HAND, "circuit": "payments"})


def test_load_circuit_another_alarm_is_refused(world: World) -> None:
    world.make_alarm("payments-errors")
    world.set_alarm("ALARM", "payments-errors")
    with pytest.raises(
        InvalidTrip, match=rf"alarmName: 'payments-errors' must be one of the circuit's alarms, \['{ALARM}'\]"
    ):
        load(world, alarm_start("payments-errors"))


@pytest.mark.parametrize("state", ["OK", "INSUFFICIENT_DATA"])
def test_load_circuit_alarm_that_has_left_alarm_is_stale(world: World, state: str) -> None:
    world.set_alarm(state)
    with pytest.raises(StaleTrip, match=f"alarmName: '{ALARM}' is {state} now; it must be in ALARM"):
        load(world, alarm_start())


def several_alarms(world: World, **states: str) -> None:
    """Register the circuit with an alarm for each name, in the state given."""
    for name, state in states.items():
        world.make_alarm(name)
        world.set_alarm(state, name)
    world.register(AlarmNames=[*states])


@pytest.mark.parametrize("name", ["errors", "slow"])
def test_load_circuit_each_of_the_circuits_alarms_trips(world: World, name: str) -> None:
    several_alarms(world, **{"errors": "OK", "slow": "OK"} | {name: "ALARM"})
    assert load(world, alarm_start(name))["trip"]["reason"] == f"alarm {name} is in ALARM"


def test_load_circuit_alarm_that_has_left_alarm_is_stale_only_if_no_other_rings(world: World) -> None:
    several_alarms(world, errors="ALARM", slow="OK")
    assert load(world, alarm_start("slow"))["trip"]["kind"] == "ALARM"
    world.set_alarm("OK", "errors")
    with pytest.raises(StaleTrip, match="it must be in ALARM, or another of the circuit's alarms"):
        load(world, alarm_start("slow"))


def test_load_circuit_registered_by_the_release_before_takes_its_one_alarm(world: World) -> None:
    world.dynamodb.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "CIRCUIT#orders"}, "sk": {"S": "CIRCUIT"}},
        UpdateExpression="SET circuit.settings.AlarmName = :name REMOVE circuit.settings.AlarmNames,"
        " circuit.settings.SlowTargetSeconds",
        ExpressionAttributeValues={":name": {"S": ALARM}},
    )
    settings = load(world, alarm_start())["circuit"]["settings"]
    assert (settings["AlarmNames"], settings["SlowTargetSeconds"]) == ([ALARM], 0)
    assert "AlarmName" not in settings


def test_load_circuit_alarm_that_is_gone_is_stale(world: World) -> None:
    world.cloudwatch.delete_alarms(AlarmNames=[ALARM])
    with pytest.raises(StaleTrip, match=f"'{ALARM}' is gone now"):
        load(world, alarm_start())


def test_load_circuit_old_event_from_code_is_stale(world: World) -> None:
    event = {
        "source": "shop",
        "detail-type": "Circuit Trip Requested",
        "time": clock.iso(world.now - timedelta(minutes=6)),
        "detail": {"circuit": "orders"},
    }
    with pytest.raises(StaleTrip, match="is 360 s old"):
        load(world, {"circuit": "orders", "cause": event})


@pytest.mark.parametrize(
    "start",
    [
        "OPEN",
        {**BY_HAND, "command": "STOP"},
        {**BY_HAND, "reason": ""},
        alarm_start(detail={"alarmName": ALARM, "state": {"value": "OK"}}),
        alarm_start(source="aws.s3"),
    ],
)
def test_load_circuit_bad_start_is_refused_before_anything_is_changed(
    world: World, start: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    before = world.items()
    with pytest.raises(InvalidTrip):
        load(world, start)
    assert world.items() == before
    assert world.mapping_is() == "Enabled"
    assert world.events == []
    assert '"TripRefused"' in capsys.readouterr().out


def test_load_circuit_alarm_cannot_be_asked_raises_what_aws_said(world: World) -> None:
    world.refuse(world.cloudwatch, "describe_alarms", "InternalServiceFault")
    with pytest.raises(Exception, match="InternalServiceFault"):
        load(world, alarm_start())
    assert load(world, alarm_start())["mode"] == "ACTIVE"
