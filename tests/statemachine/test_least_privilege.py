"""The functions' roles are granted what the functions call, and nothing else."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from calls import Calls, Made, hooked
from fault_matrix import SCENARIOS, incident
from harness import FORMAT_1, REPOSITORY, World, after_failures, build_world, client, failing, in_format_1
from privileges import Triple, granted, seen, table
from sam_template import TEMPLATE_FILE, source_template
from samcli.yamlhelper import yaml_parse

DOCUMENT = REPOSITORY / "docs" / "iam.md"
# Not called by a step of the breaker, but on the consumer's behalf by Lambda's poller, or by the example itself.
NOT_THE_BREAKERS = "ExampleTargetFunction"


@contextmanager
def watched(**surroundings: Any) -> Iterator[tuple[World, Calls]]:
    """Yield a world with a registered circuit and a topic, whose calls are recorded from now on."""
    with build_world(**surroundings) as world:
        assert world.register(FirstProbeSeconds=10, Recovery="IMMEDIATE")["Status"] == "SUCCESS"
        assert world.find_pipeline()["Status"] == "SUCCESS"
        world.notify()
        world.reconcile()
        world.show_circuits()
        calls = Calls(world)
        calls.watch()
        with hooked(calls):
            yield world, calls


def lives_of_a_registration() -> Iterator[Made]:
    """Register, change in the middle of nothing, remove in the middle of an incident; with contents stored and not."""
    for stored in (True, False):
        with watched() as (world, calls):
            world.find_pipeline("Update")
            world.register(
                "Update", StoreHeldMessages=stored, Recovery="REJITTER", FirstProbeSeconds=10, Redrive=stored
            )
            world.send(4)
            world.target.behaviour = after_failures(3)
            world.run()
            world.send(4)
            world.target.behaviour = failing
            world.start()
            world.clock.sleep(100)
            assert world.register("Delete")["Status"] == "SUCCESS"
        yield from calls.made


def errors_that_go_on() -> Iterator[Made]:
    """Have the reconciler trip a circuit whose alarm cannot."""
    with watched() as (world, calls):
        for _ in range(4):
            world.count_calls(10, failed=10)
            world.clock.sleep(60)
        world.reconcile()
        world.finish(world.executions()[-1])
    yield from calls.made


def other_peoples_doings() -> Iterator[Made]:
    """Have somebody disable, enable and limit the mapping, and requests get lost."""
    with watched() as (world, calls):
        world.set_mapping(enabled=False)
        world.clock.sleep(20)
        world.run()
        world.set_mapping(enabled=True)
        world.clock.sleep(20)
        world.send(4)
        world.target.behaviour = failing
        world.clock.after(60, lambda: world.set_mapping(enabled=True))
        world.run()
    yield from calls.made
    with watched() as (world, calls):
        world.register("Update", Recovery="RAMP", FirstProbeSeconds=10)
        world.send(1)
        limit = {"MaximumConcurrency": 33}
        first = iter([True])
        world.cloud.when_enabled = lambda: (
            next(first, False)
            and world.clock.after(
                60, lambda: client("lambda").update_event_source_mapping(UUID=world.mapping_id, ScalingConfig=limit)
            )
        )
        world.run()
    yield from calls.made
    with watched() as (world, calls):
        world.send(1)
        world.lose_first_switches()
        world.run()
    yield from calls.made
    with watched() as (world, calls):
        world.send(1)
        world.cloud.when_enabled = lambda: world.clock.after(60, lambda: world.set_mapping(enabled=False))
        world.run()
    yield from calls.made


def messages_at_their_last_receive() -> Iterator[Made]:
    """Have messages that their next receive would dead-letter, held by probes and met by a sweep."""
    for stored in (True, False):
        with watched(max_receive_count=1) as (world, calls):
            world.register("Update", StoreHeldMessages=stored, Recovery="REJITTER", FirstProbeSeconds=10)
            world.send(12)
            world.target.behaviour = after_failures(2)
            world.start()
            world.run()  # a second trip, which finds the circuit owned
            world.finish(world.started[0])
        yield from calls.made


def looks_at_the_dashboard() -> Iterator[Made]:
    """Have somebody look at an open circuit."""
    with watched() as (world, calls):
        world.send(1)
        world.target.behaviour = failing
        world.start()
        world.clock.sleep(60)
        assert "OPEN (paused)" in world.show_circuits()
    yield from calls.made


def upgrades() -> Iterator[Made]:
    """Have an execution that began under the release before."""
    with watched(definition=json.loads(FORMAT_1.read_text())) as (world, calls):
        world.cloud.functions["LoadCircuitFunction"] = in_format_1(world.cloud.functions["LoadCircuitFunction"])
        world.send(1)
        world.target.behaviour = after_failures(1)
        world.run().expect("SUCCEEDED", last="CircuitClosed")
    yield from calls.made


@cache
def recorded() -> frozenset[Triple]:
    """Return what the functions called, over everything that can happen to a circuit."""
    made: list[Made] = []
    for scenario in SCENARIOS:
        with incident(scenario) as (_, calls):
            made += calls.made
    happenings = (
        lives_of_a_registration,
        errors_that_go_on,
        other_peoples_doings,
        messages_at_their_last_receive,
        looks_at_the_dashboard,
        upgrades,
    )
    for happening in happenings:
        made += happening()
    return frozenset(seen(iter(made)))


def test_every_call_is_granted() -> None:
    assert sorted(recorded() - granted(source_template())) == []


def test_every_grant_is_used() -> None:
    unused = granted(source_template()) - recorded()
    assert sorted(triple for triple in unused if triple[0] != NOT_THE_BREAKERS) == []


def test_document_lists_every_grant() -> None:
    assert table(source_template()) in DOCUMENT.read_text()


def test_grant_that_nobody_uses_is_found() -> None:
    wider = TEMPLATE_FILE.read_text().replace("- sqs:GetQueueUrl\n", "- sqs:PurgeQueue\n")
    grants = granted(yaml_parse(wider))
    assert ("RegisterCircuitFunction", "sqs:PurgeQueue", "queue") in grants - recorded()
    assert ("RegisterCircuitFunction", "sqs:GetQueueUrl", "queue") in recorded() - grants


def test_resource_that_no_action_is_for_is_found() -> None:
    template = source_template()
    statement = template["Resources"]["MaySettleHeldMessagesPolicy"]["Properties"]["PolicyDocument"]["Statement"][0]
    statement["Resource"].append({"Fn::GetAtt": ["Pipeline", "MappingArn"]})
    assert ("SettleHeldMessagesFunction", "sqs:DeleteMessage", "mapping") in granted(template) - recorded()
