"""The outages that are staged in the lab, as data. All durations are seconds on AWS."""

from __future__ import annotations

from dataclasses import dataclass, field

from lab.alarm_stand_in import CLOUDWATCH_DELAY_SECONDS
from lab.emulator import MAPPING_CHANGE_SECONDS

_MINUTE = 60.0


@dataclass(frozen=True)
class Trouble:
    """One stretch of time in which the target does not work.

    Attributes
    ----------
    seconds
        How long.
    value
        The example target's SHOULD_ERROR meanwhile.
    calm_before
        Time from the end of the trouble before, in which the target works.
    """

    seconds: float
    value: str = "true"
    calm_before: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """An outage, the pipeline that it meets, and what is sent.

    Attributes
    ----------
    rate
        Messages a second.
    sends_for
        How long after the break messages are sent until the fix; None for all the time.
    backlog
        Messages that are sent at once at the break.
    poison
        Messages that the target can never process, sent one after another at the break.
    limit
        How long after the fix the run is ended in any case. Else it ends when the incident has.
    scale
        How many times faster than AWS it is run. Ten where times count; twenty where it is counts that matter.
    parameters
        Of the breaker's stack, for the breaker alone.
    policies
        Those that it is run under.
    core
        Whether ``make bench`` runs it where nothing is said.
    delay_seconds, mapping_change_seconds
        How late metrics can be seen, and what a change of the mapping takes.
    """

    name: str
    title: str
    troubles: tuple[Trouble, ...]
    rate: float = 0.5
    sends_for: float | None = None
    backlog: int = 0
    poison: int = 0
    healthy: float = 60.0
    limit: float = 900.0
    scale: int = 10
    visibility: int = 30
    timeout: int = 30
    batch_size: int = 10
    max_receives: int = 15
    parameters: dict[str, str] = field(default_factory=dict)
    policies: tuple[str, ...] = ("none", "reference", "ramp")
    core: bool = False
    delay_seconds: float = CLOUDWATCH_DELAY_SECONDS
    mapping_change_seconds: float = MAPPING_CHANGE_SECONDS

    @property
    def trouble_seconds(self) -> float:
        """From the first break to the last fix."""
        return sum(trouble.seconds + trouble.calm_before for trouble in self.troubles)


# The pipeline is the sample's own where nothing else is said: visibility timeout 30 s, ten messages a batch,
# dead-lettered after 15 receives. At scale 20 the visibility timeout is 60 s: that is 3 s on the clock, and a function
# needs as much to start.
SCENARIOS = (
    # What was measured of the sample fits metrics that are seen at once, and a mapping that changes at once.
    Scenario(
        "calibration",
        "10 minutes of outage, as the sample was measured",
        (Trouble(10 * _MINUTE),),
        policies=("reference",),
        delay_seconds=0.0,
        mapping_change_seconds=0.0,
        core=True,
    ),
    Scenario(
        "ten-minutes",
        "10 minutes of outage",
        (Trouble(10 * _MINUTE),),
        policies=("none", "reference", "ramp", "immediate", "rejitter", "fast-trip"),
        core=True,
    ),
    Scenario(
        "low-traffic",
        "10 minutes of outage, a message every 20 s, dead-lettered after 3 receives",
        (Trouble(10 * _MINUTE),),
        rate=0.05,
        visibility=90,
        max_receives=3,
        limit=1500.0,
        policies=("none", "reference", "ramp", "redrive", "redrive-minimum-3", "fast-trip"),
        core=True,
    ),
    Scenario(
        "empty-queue",
        "10 minutes of outage, nothing is sent from its second minute to its end, dead-lettered after 3 receives",
        (Trouble(10 * _MINUTE),),
        sends_for=_MINUTE,
        policies=("reference", "ramp", "redrive", "fast-trip"),
        core=True,
        max_receives=3,
        scale=20,
        visibility=60,
        limit=1500.0,
    ),
    Scenario(
        "poison",
        "healthy target, a message every 2 minutes, three that nobody can process",
        (Trouble(15 * _MINUTE, "false"),),
        rate=1 / 120,
        poison=3,
        policies=("reference", "ramp"),
        core=True,
        scale=20,
        visibility=60,
        healthy=180.0,
        limit=600.0,
    ),
    Scenario(
        "partial-60",
        "10 minutes in which 60 % of the messages fail",
        (Trouble(10 * _MINUTE, "60%"),),
        scale=20,
        visibility=60,
        parameters={"FailedMessagesPercent": "40"},
        limit=1500.0,
        # Without a breaker it is the same as with the reference policy, which does not open.
        policies=("reference", "ramp"),
        core=True,
    ),
    Scenario(
        "partial-30",
        "10 minutes in which 30 % of the messages fail",
        (Trouble(10 * _MINUTE, "30%"),),
        scale=20,
        visibility=60,
        parameters={"FailedMessagesPercent": "20"},
    ),
    Scenario("long", "30 minutes of outage", (Trouble(30 * _MINUTE),), limit=1200.0),
    Scenario(
        "repeated",
        "two outages of 6 minutes, 5 minutes apart",
        (Trouble(6 * _MINUTE), Trouble(6 * _MINUTE, calm_before=5 * _MINUTE)),
        limit=1200.0,
    ),
    Scenario(
        "slow-target",
        "10 minutes of calls that take a third of their timeout and succeed",
        (Trouble(10 * _MINUTE, "slowly"),),
        # The minutes in which functions start are over, and can be seen, before the alarms are evaluated.
        healthy=240.0,
        parameters={"SlowTargetSeconds": "5"},
    ),
    Scenario(
        "backlog",
        "10 minutes of outage, 1,500 messages at its beginning",
        (Trouble(10 * _MINUTE),),
        backlog=1500,
    ),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
