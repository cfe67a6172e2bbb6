"""How a circuit stands, as a person wants to read it: state, since when, why, what comes next, what to do.

Pure: made from the circuit's record and a few figures about its surroundings.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from breaker import clock
from breaker.circuit_table import REMOVAL_PREFIX, CircuitState, Record
from breaker.commands import has_incident, held_until


@dataclass(frozen=True)
class Figures:
    """What is to be seen around a circuit.

    Attributes
    ----------
    mapping
        The mapping's state in Lambda's words.
    alarm
        The most urgent state of the circuit's alarms in CloudWatch's words, "" where there are none of their names.
    owner
        The status of the owning execution in Step Functions' words, "" where there is none.
    visible, hidden, delayed
        Messages in the queue.
    oldest_seconds
        Age of the oldest message as CloudWatch saw it last, 0 where it saw none.
    """

    mapping: str
    alarm: str
    owner: str
    visible: int
    hidden: int
    delayed: int
    oldest_seconds: int


class Standing(StrEnum):
    """How a circuit stands, in more words than its state has."""

    FLOWING = "FLOWING"
    PAUSED_BY_OTHERS = "PAUSED_BY_OTHERS"
    OPENING = "OPENING"
    PAUSED = "PAUSED"
    HELD_OPEN = "HELD_OPEN"
    GAVE_UP = "GAVE_UP"
    CLOSING = "CLOSING"
    RECOVERING = "RECOVERING"
    WITHOUT_OWNER = "WITHOUT_OWNER"
    BEING_REMOVED = "BEING_REMOVED"


@dataclass(frozen=True)
class Status:
    """A circuit's status.

    Attributes
    ----------
    since, next_probe_at, held_until
        ISO 8601; the latter two "" where there is none.
    why
        One line: what brought the circuit into its state.
    what_next
        What happens by itself.
    to_do
        What a person should do.
    mode_by_hand
        Who set the mode by a command, and why; "" where the stack's parameter holds.
    """

    circuit: str
    standing: Standing
    state: str
    since: str
    why: str
    mode: str
    mode_by_hand: str
    incident: str
    failed_probes: int
    next_probe_at: str
    held_until: str
    figures: Figures
    what_next: str
    to_do: str

    def as_dict(self) -> dict[str, Any]:
        """Return the status as plain JSON values."""
        figures = self.figures
        return {
            "circuit": self.circuit,
            "standing": self.standing.value,
            "state": self.state,
            "since": self.since,
            "why": self.why,
            "mode": self.mode,
            "mode_by_hand": self.mode_by_hand,
            "incident": self.incident,
            "failed_probes": self.failed_probes,
            "next_probe_at": self.next_probe_at,
            "held_until": self.held_until,
            "mapping": figures.mapping,
            "alarm": figures.alarm,
            "owner": figures.owner,
            "queue": {
                "visible": figures.visible,
                "hidden": figures.hidden,
                "delayed": figures.delayed,
                "oldest_seconds": figures.oldest_seconds,
            },
            "what_next": self.what_next,
            "to_do": self.to_do,
        }


def status_of(record: Record, figures: Figures, *, now: datetime) -> Status:
    """Return how a circuit stands."""
    standing = _standing(record, figures, now)
    what_next, to_do = _NEXT[standing]
    mode_set, incident = record.mode_set, record.incident
    return Status(
        circuit=record.circuit.name,
        standing=standing,
        state=record.state.value,
        since=record.since,
        why=_why(record),
        mode=record.circuit.settings["Mode"],
        mode_by_hand=f"{mode_set['at']}: {mode_set['reason']}" if mode_set else "",
        incident=incident.get("id", ""),
        failed_probes=incident.get("failed_probes", 0),
        next_probe_at=record.next_probe_at if standing in (Standing.PAUSED, Standing.HELD_OPEN) else "",
        held_until=held_until(record, now=now) if standing is Standing.HELD_OPEN else "",
        figures=figures,
        what_next=what_next,
        to_do=to_do,
    )


def headline(status: Status) -> str:
    """Return the status in a few words, such as "OPEN (gave up)"."""
    return f"{status.state} ({status.standing.lower().replace('_', ' ')})"


def as_rows(status: Status, *, now: datetime) -> list[tuple[str, str]]:
    """Return what there is to say of a circuit, as pairs of a name and a text."""
    figures = status.figures
    waiting = f"{figures.visible} waiting, {figures.hidden} hidden, {figures.delayed} delayed"
    age = f"; the oldest is {_duration(figures.oldest_seconds)} old" if figures.oldest_seconds else ""
    return [
        ("since", as_moment(status.since, now=now)),
        ("why", status.why),
        *([("next probe", as_moment(status.next_probe_at, now=now))] if status.next_probe_at else []),
        ("queue", waiting + age),
        ("mapping", figures.mapping),
        ("alarm", figures.alarm or "gone"),
        ("mode", status.mode + (f", by hand since {status.mode_by_hand}" if status.mode_by_hand else "")),
        *([("incident", f"{status.incident}, {status.failed_probes} failed probes")] if status.incident else []),
        ("next", status.what_next),
        ("to do", status.to_do),
    ]


def as_lines(status: Status, *, now: datetime) -> list[str]:
    """Return the status as lines for a terminal, every character of them printable."""
    rows = [f"  {name:<12}{text}" for name, text in as_rows(status, now=now)]
    return [printable(line) for line in (f"{status.circuit}: {headline(status)}", *rows)]


def as_moment(text: str, *, now: datetime) -> str:
    """Return an ISO 8601 text with how far that is from now."""
    seconds = round((now - clock.parse(text)).total_seconds())
    return f"{text} ({_duration(seconds)} ago)" if seconds >= 0 else f"{text} (in {_duration(-seconds)})"


def printable(text: str) -> str:
    """Return the text with a question mark for each character that shows nothing, or changes how others show."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _standing(record: Record, figures: Figures, now: datetime) -> Standing:
    if record.owner.startswith(REMOVAL_PREFIX):
        return Standing.BEING_REMOVED
    if not has_incident(record):
        return Standing.PAUSED_BY_OTHERS if figures.mapping in ("Disabled", "Disabling") else Standing.FLOWING
    paused = record.state is CircuitState.OPEN
    runs = figures.owner == "RUNNING"
    stays_open = record.circuit.settings["OnGiveUp"] == "STAY_OPEN"
    if paused and not runs and stays_open and record.incident.get("outcome") == "GAVE_UP":
        return Standing.GAVE_UP
    if not runs:
        return Standing.WITHOUT_OWNER
    if record.state is CircuitState.HALF_OPEN and record.intent != "DISABLE":
        return Standing.RECOVERING
    if not paused:
        return Standing.OPENING
    if record.order.get("command") == "CLOSE":
        return Standing.CLOSING
    return Standing.HELD_OPEN if held_until(record, now=now) else Standing.PAUSED


def _why(record: Record) -> str:
    why = record.reason if has_incident(record) or record.last_incident else "nothing has happened yet"
    if has_incident(record) and record.state is CircuitState.CLOSED:
        why = str(record.incident.get("cause", {}).get("reason", why))
    if record.failure:
        why += f"; the breaker itself failed at {record.failure['at']}: {record.failure['cause']}"
    return why


_NEXT = {
    Standing.FLOWING: ("If the alarm goes off, the circuit opens, where its mode is ACTIVE.", "Nothing."),
    Standing.PAUSED_BY_OTHERS: (
        "Nothing: somebody else has disabled the mapping, and the breaker leaves that alone.",
        "If nobody meant this, enable the mapping: aws lambda update-event-source-mapping --enabled",
    ),
    Standing.OPENING: ("The mapping is being disabled. Then the target is probed.", "Nothing."),
    Standing.PAUSED: (
        "The target is tried with one message at a time. When one is processed, messages flow again.",
        "See to the service behind the target. PROBE tries now, CLOSE lets messages flow at once.",
    ),
    Standing.HELD_OPEN: (
        "Nothing is tried until the hold ends. Then the target is probed as usual.",
        "Nothing. PROBE ends the hold early, CLOSE lets messages flow at once.",
    ),
    Standing.GAVE_UP: (
        "Nothing: the mapping stays disabled until somebody acts, or the alarm goes off again.",
        "ACT: see to the service behind the target, then PROBE to try again, or CLOSE to let messages flow.",
    ),
    Standing.CLOSING: ("Held messages are shown again, then the mapping is enabled.", "Nothing."),
    Standing.RECOVERING: (
        "Messages are let in, and each step is judged by what follows. If it goes wrong, they are paused again.",
        "Nothing. OPEN pauses again, CLOSE lets all messages flow at once and ends the watching.",
    ),
    Standing.WITHOUT_OWNER: (
        "The execution that looked after this incident has ended. The reconciler resumes it within two of its periods.",
        "Wait ten minutes. If it stays so, look at the reconciler's log; CLOSE or PROBE take over at once.",
    ),
    Standing.BEING_REMOVED: ("The stack removes this circuit, and leaves its mapping enabled.", "Nothing."),
}


def _duration(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} s"
    if seconds < 2 * 3600:
        return f"{seconds // 60} min"
    if seconds < 2 * 86400:
        return f"{seconds // 3600} h {seconds % 3600 // 60} min"
    return f"{seconds // 86400} days {seconds % 86400 // 3600} h"
