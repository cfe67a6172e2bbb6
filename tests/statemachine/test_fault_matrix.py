"""Whatever happens to any AWS call of any step, no message is lost and nothing stays stuck."""

from collections import Counter
from collections.abc import Callable

import pytest
from fault_matrix import KINDS, RECONCILER, STOPPED, Fault, ending, incident, recorded, runs_left, runs_of, steps_of
from harness import machine_definition

pytestmark = pytest.mark.matrix

STEPS = steps_of(machine_definition())
# Executions stopped within each step that end stuck where nobody resumes them. That of steps which change nothing does
# no harm, and after these the mapping is as somebody wants it: loading, watching, handing over, giving up, the end.
STUCK_WITHOUT_RECONCILER = 13


@pytest.mark.parametrize("step", STEPS)
def test_any_fault_of_any_call_ends_well(step: str, record_property: Callable[[str, object], None]) -> None:
    scenario, calls, _ = recorded(step)
    outcomes: Counter[str] = Counter()
    problems = []
    runs = 0
    to_make = list(runs_of(calls, step))
    while to_make:
        for faults in to_make:
            with incident(scenario, faults=faults) as (world, _):
                ended = ending(world)
            runs += 1
            outcomes[ended.outcome] += sum(len(fault.fired) for fault in faults)
            fired = "; ".join(f"{', '.join(fault.fired)} of {fault.call}" for fault in faults if fault.fired)
            problems += [f"{fired}: {problem}" for problem in ended.problems]
        never = [fault for faults in to_make for fault in faults if fault.left]
        to_make = runs_left(to_make)
    problems += [f"{', '.join(fault.left)} of {fault.call}: never happened" for fault in never]
    record_property("fault_matrix", (step, scenario.name, runs, dict(outcomes)))
    assert outcomes.total() >= len(KINDS) - 1
    assert problems == []


def test_without_the_reconciler_stopped_executions_end_stuck() -> None:
    stuck = []
    for step in STEPS:
        if step == RECONCILER:
            continue
        scenario, calls, _ = recorded(step)
        with incident(scenario, faults=[Fault((STOPPED,), calls[-1])], reconciled=False) as (world, _):
            if ending(world).outcome == "stuck":
                stuck.append(step)
    assert len(stuck) == STUCK_WITHOUT_RECONCILER, stuck
