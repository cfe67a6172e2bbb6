"""Every AWS call of every step, made to fail in every way, and what became of the circuit.

The faults are not written down: a clean run of each scenario shows which calls each step makes. A step is tried in the
first scenario that reaches it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from calls import KILLED_AFTER, Call, Calls, Fault, Made, hooked
from harness import CIRCUIT, TARGET, World, after_failures, build_world, client, failing, healthy
from machine_checks import tasks_of

from breaker import next_probe

RECONCILER = "ReconcileCircuits"
RECONCILER_SECONDS = 300
OWN_CONCURRENCY = 7
# What passes: the machine tries the step again, and the next kind meets the same call.
PASSING = ("throttle", "service error", "timeout", "killed before", KILLED_AFTER)
# A refusal outlasts the machine's retries, 993 s, so that the step fails for good; it is mended after that.
LASTING = "denied"
_LASTS_SECONDS = 1000
STOPPED = "stopped"
# How many calls' faults come in one run. The machine tries a step 20 times more, which is enough for all that pass of
# three calls. One that lasts ends the execution, and the reconciler's next meets that of the other call.
_PASSING_TOGETHER, _LASTING_TOGETHER = 3, 2
KINDS = (*PASSING, LASTING, STOPPED)
# Short metric periods save hundreds of looks at a recovery, and change no call.
_QUICK = {"FirstProbeSeconds": 10, "MaxProbeIntervalSeconds": 60, "MetricPeriodSeconds": 10, "MetricDelaySeconds": 5}
# Long after every fault is over.
_LONGEST_SECONDS = 8 * 3600


@dataclass(frozen=True, eq=False)
class Scenario:
    """An incident.

    Attributes
    ----------
    prepare
        What happens around it.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[World], None] = lambda world: None
    cycles: int | None = None


def _fails_once(world: World) -> None:
    world.target.behaviour = after_failures(1)


def _recovery_fails_once(world: World) -> None:
    world.fail_recoveries(1, after=24)


def _step_breaks(world: World) -> None:
    world.break_step("ProbeTarget", times=30)
    world.target.behaviour = after_failures(1)


def _dead_letters(world: World) -> None:
    world.dead_letter_the_queue()
    world.send_to_the_dead_letter_queue()
    world.send(4)


def _dies(world: World) -> None:
    """Leave an incident to the reconciler, whose oldest message is old; afterwards errors go on although CLOSED."""
    world.target.behaviour = failing
    world.clock.after(5, lambda: world.age_oldest_message(300_000))
    world.clock.after(35, lambda: client("stepfunctions").stop_execution(executionArn=world.started[0]))
    world.clock.after(600, lambda: setattr(world.target, "behaviour", healthy))


def _is_told_to_close(world: World) -> None:
    world.target.behaviour = failing
    world.clock.after(30, lambda: world.start({"circuit": CIRCUIT, "command": "STATUS"}))
    world.clock.after(35, lambda: world.start({"circuit": CIRCUIT, "command": "CLOSE", "reason": "by hand"}))
    world.clock.after(600, lambda: setattr(world.target, "behaviour", healthy))


SCENARIOS = (
    Scenario("heals", {"Recovery": "IMMEDIATE"}, _fails_once),
    Scenario("ramps", {"Recovery": "RAMP", "RampConcurrency": "2"}, _recovery_fails_once),
    # Without a delay chance changes no call.
    Scenario("re-jitters", {"Recovery": "REJITTER", "RejitterSeconds": 0}),
    Scenario("hands over", {"Recovery": "IMMEDIATE"}, _fails_once, cycles=1),
    Scenario(
        "gives up", {"Recovery": "IMMEDIATE", "MaxProbes": 1}, lambda world: setattr(world.target, "behaviour", failing)
    ),
    Scenario("watches", {"Mode": "WATCH"}),
    Scenario("breaks", {"Recovery": "IMMEDIATE"}, _step_breaks),
    # A message that a killed step leaves hidden is waited for, with a look in each period.
    Scenario("redrives", {"Recovery": "IMMEDIATE", "Redrive": True, "MetricPeriodSeconds": 60}, _dead_letters),
    Scenario("is told to close", {"Recovery": "IMMEDIATE"}, _is_told_to_close),
    Scenario("dies", {"Recovery": "IMMEDIATE"}, _dies),
)


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    outcome
        closed, left paused and announced, owned; anything else is stuck.
    problems
        What must not be.
    """

    outcome: str
    problems: list[str]


@contextmanager
def incident(
    scenario: Scenario, *, faults: Sequence[Fault] = (), reconciled: bool = True
) -> Iterator[tuple[World, Calls]]:
    """Run an incident to its end, and yield its world."""
    cycles = next_probe.CYCLES_PER_EXECUTION
    with build_world(target_timeout=5) as world:
        client("lambda").update_event_source_mapping(
            UUID=world.mapping_id, ScalingConfig={"MaximumConcurrency": OWN_CONCURRENCY}
        )
        world.clock.sleep(20)
        settings = {**_QUICK, **scenario.settings}
        assert world.register(**settings)["Status"] == "SUCCESS"
        world.send(4)
        world.notify()
        world.cloud.mapping_updates.clear()
        world.reconcile()
        calls = Calls(world, faults)
        scenario.prepare(world)
        calls.watch()
        next_probe.CYCLES_PER_EXECUTION = scenario.cycles or cycles
        try:
            with hooked(calls):
                world.start()
                if reconciled:
                    world.reconcile_every(RECONCILER_SECONDS)
                _let_it_end(world, faults, reconciled=reconciled)
                yield world, calls
        finally:
            next_probe.CYCLES_PER_EXECUTION = cycles


def _let_it_end(world: World, faults: Sequence[Fault], *, reconciled: bool) -> None:
    """Let time pass until nothing goes on any more."""
    while world.clock.elapsed() < _LONGEST_SECONDS:
        world.clock.sleep(60)
        if any(world.status(arn) == "RUNNING" for arn in world.executions()):
            continue
        if not reconciled:
            return
        if any(world.clock.elapsed() < fault.until for fault in faults):
            continue
        if _is_at_rest(world) or not faults:
            # The reconciler has had its say.
            world.clock.sleep(2 * RECONCILER_SECONDS)
            if all(world.status(arn) != "RUNNING" for arn in world.executions()):
                return


def _is_at_rest(world: World) -> bool:
    record = world.record()
    return (record["state"] == "CLOSED" and "owner" not in record) or "GAVE_UP" in world.announced()


def ending(world: World) -> Ending:
    """Judge how an incident ended."""
    record, announced = world.record(), world.announced()
    mapping = client("lambda").get_event_source_mapping(UUID=world.mapping_id)
    concurrency = (mapping.get("ScalingConfig") or {}).get("MaximumConcurrency")
    problems = []
    if world.lost():
        problems.append(f"lost {sorted(world.lost())}")
    if concurrency != OWN_CONCURRENCY:
        problems.append(f"the mapping's maximum concurrency is {concurrency}, its owner's {OWN_CONCURRENCY}")
    # A step that is repeated may announce again, but always the same incident.
    incidents = {detail["incident"] for detail in world.announcements() if detail["change"] == "OPENED"}
    if len(incidents) > 1:
        problems.append(f"one trip made several incidents: {sorted(incidents)}")
    if record["state"] == "CLOSED" and "owner" not in record:
        outcome = "closed"
        if mapping["State"] != "Enabled":
            problems.append(f"CLOSED, and the mapping is {mapping['State']}")
    elif "owner" in record and record["owner"] in world.executions() and world.status(record["owner"]) == "RUNNING":
        outcome = "owned"
    elif record["incident"].get("outcome") == "GAVE_UP" and "GAVE_UP" in announced:
        outcome = "left paused and announced"
    else:
        outcome = "stuck"
        problems.append(f"stuck: {record['state']}, the mapping is {mapping['State']}")
    return Ending(outcome, problems)


def steps_of(definition: Mapping[str, Any]) -> list[str]:
    """Return every step, the reconciler among them."""
    return [*tasks_of(definition), RECONCILER]


def recorded(step: str) -> tuple[Scenario, list[Call], list[Made]]:
    """Return the first scenario whose clean run reaches a step, and the calls that the step makes in it."""
    order = SCENARIOS if step != RECONCILER else tuple(reversed(SCENARIOS))
    for scenario in order:
        made = [made for made in _clean_run(scenario) if made.call.step == step]
        if made:
            return scenario, list(dict.fromkeys(made.call for made in made)), made
    raise AssertionError(f"no scenario reaches {step}")


@cache
def _clean_run(scenario: Scenario) -> tuple[Made, ...]:
    """Return the calls of a scenario without a fault. It is the same in each run."""
    with incident(scenario) as (world, calls):
        assert world.lost() == set()
        return tuple(calls.made)


def runs_of(calls: list[Call], step: str) -> Iterator[list[Fault]]:
    """Return the runs to make: in each of them, the faults of one or more calls.

    Every kind of fault for each call, and a stop of the execution within the step. The kinds that pass come in one run,
    one after another, and so do the faults of some calls.
    """
    for kinds, seconds, together in ((PASSING, 0, _PASSING_TOGETHER), ((LASTING,), _LASTS_SECONDS, _LASTING_TOGETHER)):
        for first in range(0, len(calls), together):
            yield [Fault(kinds, call, seconds) for call in calls[first : first + together]]
    if calls and step != RECONCILER:
        yield [Fault((STOPPED,), calls[-1])]


def runs_left(made: Sequence[Sequence[Fault]]) -> list[list[Fault]]:
    """Return the runs to make for what did not happen in those that were made; none where nothing more can be done.

    It did not happen because the step goes on without a call's answer, or without a call that has had its effect. So
    all that passes is tried together, all that lasts is, and each fault alone where that got nowhere.
    """
    faults = [fault for run in made for fault in run]
    left = [Fault(fault.left, fault.call, fault.lasts) for fault in faults if fault.left]
    if any(fault.fired for fault in faults):
        together = [[fault for fault in left if bool(fault.lasts) is lasting] for lasting in (False, True)]
        return [run for run in together if run]
    return [[fault] for fault in left] if any(len(run) > 1 for run in made) else []


__all__ = ["TARGET", "Ending", "Scenario", "ending", "incident", "recorded", "runs_left", "runs_of", "steps_of"]
