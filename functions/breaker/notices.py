"""Words for a person whom a notification wakes at night: what happened, why, what is safe, what comes next, what to do.

Made from an announcement's detail alone, which holds no content of a message.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from breaker.finding import duration

# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
MAX_SUBJECT_CHARACTERS = 100

_KEPT = (
    "Messages wait in the queue. None is lost, and waiting costs them no receives; the queue's retention still runs."
)
_FLOW = "Messages flow. A message that fails goes back to the queue, and its failures count as always."
_PROBING = (
    "The breaker tries the consumer with one message at a time. When one is processed, it lets messages in again and"
    " watches what follows."
)


@dataclass(frozen=True)
class Notice:
    """A notification.

    Attributes
    ----------
    subject
        One line of printable ASCII, at most 100 characters.
    message
        Paragraphs for a person, then the event's fields, one a line.
    """

    subject: str
    message: str


@dataclass(frozen=True)
class _Words:
    headline: str
    happened: str
    safe: str
    happens_next: str
    to_do: str


def write_notice(detail: Mapping[str, Any]) -> Notice:
    """Return the notification of an announcement.

    Parameters
    ----------
    detail
        The event's detail, as `Announcement.detail` makes it.
    """
    circuit, reason = str(detail["circuit"]), str(detail["reason"])
    words = _words(detail)
    paragraphs = [
        f"What happened: {words.happened}",
        f"Why: {reason}",
        f"What is safe: {words.safe}",
        f"What happens by itself: {words.happens_next}",
        f"What to do: {words.to_do}",
        *([f"The incident in figures: {_figures(detail['report'])}"] if "report" in detail else []),
        "\n".join(_fields(detail)),
    ]
    return Notice(_subject(f"[{circuit}] {words.headline}: {reason}"), "\n\n".join(paragraphs))


def _fields(part: Mapping[str, Any], within: str = "") -> Iterator[str]:
    """Yield the fields of the event, one a line; those of an object by its name and theirs."""
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _fields(value, f"{within}{name}.")
        else:
            yield f"{within}{name}: {value if isinstance(value, str) else json.dumps(value)}"


def _figures(report: Mapping[str, Any]) -> str:
    """Return the report in sentences. What nobody knows is said to be so, and not shown as 0."""
    again = f" The circuit was opened again {report['reopened']} times." if report["reopened"] else ""
    began = f" The errors had begun at {report['errors_began_at']}." if report["errors_began_at"] else ""
    each_call = ", each failed call counted as one" if report["receives_burnt_from"] == "CALLS" else ""
    oldest = report["oldest_message_seconds"]
    redrive = f" Redrive: {report['redrive']}, {report['redriven']} moved back." if report["redrive"] else ""
    return (
        f"it {'lasted' if report['closed_at'] else 'has lasted'} {duration(report['duration_seconds'])}, since"
        f" {report['opened_at']}.{began}{again} Probes: {report['probes']}, of which {report['failed_probes']} failed."
        f" Receives burnt: {_about(report['receives_burnt'])}{each_call}."
        f" Most messages waiting: {_about(report['most_waiting'])}."
        f" Age of the oldest message: {'not known' if oldest is None else 'about ' + duration(oldest)}."
        f" Dead-lettered: {_about(report['dead_lettered'])}.{redrive}"
    )


def _about(figure: int | None) -> str:
    return "not known" if figure is None else f"about {figure}"


def _subject(text: str) -> str:
    line = " ".join(text.split())
    ascii_only = "".join(letter if letter.isascii() and letter.isprintable() else "?" for letter in line)
    if len(ascii_only) <= MAX_SUBJECT_CHARACTERS:
        return ascii_only
    return ascii_only[: MAX_SUBJECT_CHARACTERS - 3] + "..."


def _words(detail: Mapping[str, Any]) -> _Words:
    circuit = str(detail["circuit"])
    write = _WORDS.get(str(detail["change"]))
    return write(circuit, detail) if write else _other(circuit, detail)


def _command(circuit: str, command: str) -> str:
    start = json.dumps({"circuit": circuit, "command": command, "reason": "why"})
    return f"start the state machine with {start}"


def _opened(circuit: str, detail: Mapping[str, Any]) -> _Words:
    until = (detail.get("trip") or {}).get("until")
    return _Words(
        headline="OPEN, consumer paused",
        happened=f"Circuit {circuit} is OPEN: its consumer is paused.",
        safe=_KEPT,
        happens_next=f"Until {until} nothing is tried. After that: {_PROBING}" if until else _PROBING,
        to_do=(
            "See to the service behind the consumer; the breaker notices by itself when it is back. If the circuit is"
            " still OPEN ten minutes after that, ask why with the command STATUS. To let messages flow at once, "
            f"{_command(circuit, 'CLOSE')}."
        ),
    )


def _reopened(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="OPEN again, recovery failed",
        happened=f"Circuit {circuit} is OPEN again: messages had been let in, and it did not go well.",
        safe=_KEPT + " The messages that failed meanwhile have used up one receive each.",
        happens_next=_PROBING + " The next try comes later than the last one.",
        to_do=(
            "The service behind the consumer works only in part, or cannot stand the load. See to it. If this comes"
            " again and again, keep the circuit open until it is mended: "
            f'{_command(circuit, "OPEN")} and an end, such as "for_minutes": 60.'
        ),
    )


def _closed(circuit: str, detail: Mapping[str, Any]) -> _Words:
    outcome = (detail.get("report") or {}).get("outcome")
    if outcome in ("DISABLED_BY_OTHERS", "MAPPING_GONE"):
        return _Words(
            headline="CLOSED, but messages do not flow",
            happened=f"Circuit {circuit} is CLOSED, and its consumer does not run: its mapping is disabled or gone, and"
            " not by the breaker.",
            safe="Messages wait in the queue until its retention ends.",
            happens_next="Nothing. The breaker leaves alone what somebody else has decided.",
            to_do="If nobody meant this, enable the event source mapping, or create it again.",
        )
    if outcome == "REMOVED":
        return _Words(
            headline="CLOSED, the circuit was removed",
            happened=f"Circuit {circuit} was removed in the middle of an incident. Its consumer is no longer"
            " protected.",
            safe="Messages that the breaker held back are shown again. A message that fails uses up a receive.",
            happens_next="Nothing. The event source mapping, if it is still there, is left enabled with its owner's"
            " settings.",
            to_do="If the service behind the consumer is still down, disable the event source mapping meanwhile.",
        )
    return _Words(
        headline="CLOSED, messages flow",
        happened=f"Circuit {circuit} is CLOSED: the incident is over.",
        safe=_FLOW,
        happens_next="The backlog is worked off. If errors go on, the circuit opens again.",
        to_do="Nothing now. By day, look at the dead-letter queue: what arrived there before the circuit opened is"
        " still there.",
    )


def _gave_up(circuit: str, detail: Mapping[str, Any]) -> _Words:
    # The reconciler's reminder knows only of circuits that stay open.
    if detail.get("then") == "CLOSE":
        return _Words(
            headline="GAVE UP, messages flow all the same",
            happened=f"Circuit {circuit} has used up its probes, and lets messages in although none succeeded.",
            safe=_FLOW + " If the service is still down, messages will reach the dead-letter queue.",
            happens_next="The consumer is enabled with its own settings. What follows is not judged.",
            to_do="See to the service. To keep messages in the queue until then, "
            f'{_command(circuit, "OPEN")} and an end, such as "for_minutes": 60.',
        )
    return _Words(
        headline="GAVE UP, paused until you act",
        happened=f"Circuit {circuit} has used up its probes. Its consumer STAYS PAUSED.",
        safe=_KEPT,
        happens_next="Nothing. The breaker tries no more until somebody acts, or the alarm goes off again.",
        to_do=(
            "See to the service behind the consumer. Then let the breaker try again: "
            f"{_command(circuit, 'PROBE')}. Or let messages flow without a try: {_command(circuit, 'CLOSE')}."
        ),
    )


def _overridden(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="OVERRIDDEN, somebody changed the mapping",
        happened=f"Somebody else, or a deployment, changed the consumer's mapping while the breaker was at work on"
        f" circuit {circuit}. The change stands.",
        safe=_FLOW,
        happens_next="Messages that the breaker held back are shown again. If errors go on, the circuit opens again.",
        to_do="If nobody meant to do that and the service is still down, pause it: "
        f'{_command(circuit, "OPEN")} and, if you like, an end, such as "for_minutes": 60.',
    )


def _near_retention(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="MESSAGES WILL EXPIRE",
        happened=f"The oldest messages in the queue of circuit {circuit} are close to the end of its retention.",
        safe="Messages younger than the retention. SQS deletes the older ones; the breaker cannot keep it from that.",
        happens_next="The breaker goes on as before. It does not let messages flow for this reason.",
        to_do=(
            "Act within the hours named above. Lengthen the queue's retention, at most 14 days; it counts for messages"
            f" that wait already. Or mend the service. Or let messages flow: {_command(circuit, 'CLOSE')}."
        ),
    )


def _breaker_failed(circuit: str, detail: Mapping[str, Any]) -> _Words:
    closed = detail.get("to") == "CLOSED"
    return _Words(
        headline="BREAKER FAILED",
        happened=f"The breaker itself failed at work on circuit {circuit or 'unknown'}, which is"
        f" {detail.get('to') or 'in an unknown state'}. The next line says what failed, and the mapping's state.",
        safe="The mapping was left as it is. If it is Disabled, messages wait in the queue; if Enabled, they flow.",
        happens_next=(
            "If the incident had begun, the reconciler takes it on within minutes. If not, the alarm that rings stays"
            " unanswered until the reconciler sees errors go on."
            if closed
            else "The reconciler passes the incident to a new execution within minutes; a notice RESUMED says so."
        ),
        to_do=(
            "Wait ten minutes for RESUMED. If it does not come, or this comes again, the execution's error names the"
            " cause: often a permission, or something that was deleted. If messages must flow meanwhile, enable the"
            " event source mapping yourself: the breaker respects that."
        ),
    )


def _resumed(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="RESUMED, the breaker goes on",
        happened=f"The execution that looked after circuit {circuit} had ended too early. A new one goes on.",
        safe="Nothing was lost: the incident's record says where it stood.",
        happens_next="The incident goes on from there.",
        to_do="Nothing, if somebody stopped the execution. If this comes again and again, look at the error of the last"
        " execution that failed.",
    )


def _stayed_closed(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="NOT OPENED",
        happened=f"Circuit {circuit} was to open, and did not. The breaker changed nothing.",
        safe="Everything is as it was before.",
        happens_next="Nothing, until the next trip.",
        to_do="If the mapping is disabled and nobody meant that, enable it. The breaker leaves it alone.",
    )


def _would_open(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="WATCH, would have opened",
        happened=f"Circuit {circuit} is in mode WATCH. In mode ACTIVE it would have paused the consumer now.",
        safe="Nothing was touched. Messages flow, and those that fail use up receives.",
        happens_next="Nothing. In WATCH the breaker only says what it would do.",
        to_do="See to the service behind the consumer. To have its messages kept, switch the mode: "
        f"{_command(circuit, 'ACTIVE')}, and open it: {_command(circuit, 'OPEN')}.",
    )


def _commanded(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline="by hand",
        happened=f"Somebody gave circuit {circuit} a command.",
        safe="Nothing is lost by a command: what waits in the queue stays there until it is processed.",
        happens_next="The command is carried out now. A notice follows when the circuit's state has changed.",
        to_do=f"Nothing, if you know of it. To see how it stands: {_command(circuit, 'STATUS')}.",
    )


def _other(circuit: str, detail: Mapping[str, Any]) -> _Words:
    return _Words(
        headline=str(detail["change"]),
        happened=f"Circuit {circuit}: {detail['change']}.",
        safe="Messages stay in the queue until they are processed.",
        happens_next="The breaker goes on by itself.",
        to_do="Nothing.",
    )


_WORDS = {
    "OPENED": _opened,
    "REOPENED": _reopened,
    "CLOSED": _closed,
    "GAVE_UP": _gave_up,
    "OVERRIDDEN": _overridden,
    "NEAR_RETENTION": _near_retention,
    "BREAKER_FAILED": _breaker_failed,
    "RESUMED": _resumed,
    "STAYED_CLOSED": _stayed_closed,
    "WOULD_OPEN": _would_open,
    "COMMANDED": _commanded,
}
