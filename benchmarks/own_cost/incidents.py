"""State transitions, invocations and AWS calls of whole incidents, and of a breaker at rest.

Run in process: the machine's own file with the real handlers.
"""

import contextlib
import io
from collections import Counter

from botocore import xform_name
from calls import Calls, hooked
from harness import TARGET, after_failures, build_world

from benchmarks.own_cost.figures import Usage
from benchmarks.own_cost.recording import calls_made
from tests.functions.world import new_world

# So long a mapping takes to change. Each look at it before that is a retry, and a retry is a transition.
_MAPPING_SECONDS = 15


def incident(*, failed_probes: int, recovery: str = "RAMP") -> Usage:
    """Return what an incident uses: so many failed probes, one that heals, and a recovery in which nothing fails."""
    with build_world() as world:
        world.register(Recovery=recovery)
        # Few enough to be no backlog, for which a recovery would go on.
        world.send(failed_probes + 5)
        world.mapping_settles(after=_MAPPING_SECONDS)
        world.target.behaviour = after_failures(failed_probes)
        invoked_before = len(world.cloud.invocations)
        calls = Calls(world)
        calls.watch()
        with hooked(calls):
            ended = world.run().expect("SUCCEEDED", last="CircuitClosed")
        steps = [call for call in world.cloud.invocations[invoked_before:] if call.function != TARGET]
        retries = [function for function, _ in world.failed_steps() if function != TARGET]
        return Usage(
            transitions=len(ended.states) + len(retries),
            invocations=len(steps),
            calls=Counter(f"{made.call.service}:{xform_name(made.call.operation)}" for made in calls.made),
        )


def quiet_look() -> Usage:
    """Return what the reconciler uses each time it looks at one circuit that is CLOSED, with no alarm in ALARM."""
    with contextlib.redirect_stdout(io.StringIO()), new_world() as world:
        world.register()
        world.set_alarm("OK")
        with calls_made() as calls:
            world.run("reconcile_circuits", {"source": "aws.events"})
        return Usage(invocations=1, calls=Counter(str(call) for call in calls))
