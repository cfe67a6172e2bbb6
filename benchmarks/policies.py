"""What is done about an outage, as data."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Policy:
    """One way to deal with an outage in the lab.

    Attributes
    ----------
    kind
        "none", "reference" or "breaker".
    parameters
        Of the breaker's stack.
    asks
        True where an event asks for the circuit to be opened as soon as a call has failed.
    """

    name: str
    title: str
    kind: str
    parameters: dict[str, str] = field(default_factory=dict)
    asks: bool = False


POLICIES = (
    Policy("none", "no breaker", "none", {"Mode": "OFF"}),
    Policy("reference", "reference policy", "reference", {"Mode": "OFF"}),
    Policy("ramp", "this breaker, RAMP", "breaker", {"Recovery": "RAMP"}),
    Policy("immediate", "this breaker, IMMEDIATE", "breaker", {"Recovery": "IMMEDIATE"}),
    Policy("rejitter", "this breaker, REJITTER", "breaker", {"Recovery": "REJITTER"}),
    Policy("redrive", "this breaker, RAMP, redrive", "breaker", {"Recovery": "RAMP", "Redrive": "true"}),
    # What `make check` advises for three calls a minute.
    Policy(
        "redrive-minimum-3",
        "this breaker, RAMP, redrive, MinimumInvocations 3",
        "breaker",
        {"Recovery": "RAMP", "Redrive": "true", "MinimumInvocations": "3"},
    ),
    Policy("fast-trip", "this breaker, RAMP, fast trip", "breaker", {"Recovery": "RAMP"}, asks=True),
)
BY_NAME = {policy.name: policy for policy in POLICIES}
