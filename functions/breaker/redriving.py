"""Moves the messages that an incident dead-lettered back to their queue, at a bounded rate.

Only if the dead-letter queue was empty before the errors began, so that what is in it is the incident's. The incident's
record says how far a redrive is, so that whoever takes the incident over goes on from there. Nothing is moved twice: a
copy was sent after the redrive began, so one that is dead-lettered again stays where it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from breaker import clock, source_queue
from breaker.circuit_table import Record
from breaker.metrics import Metrics, health_rule
from breaker.onset import LOOK_BACK_PERIODS, first_bad_period, longest_silence
from breaker.requeueing import BATCH_MESSAGES, Requeuer
from breaker.retention import LONGEST_RETENTION_SECONDS
from breaker.state_document import Circuit
from breaker.time_budget import TimeBudget

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# One piece, after which the target is judged before the next. What is received stays hidden for longer, so that no
# piece receives a message twice.
LONGEST_RUN_SECONDS = 240
_VISIBILITY_SECONDS = LONGEST_RUN_SECONDS + 60
# The whole redrive, judging included. What is left after it stays in the dead-letter queue.
LONGEST_REDRIVE_SECONDS = 6 * 3600
# A recovery that ended so was judged, and good.
_HEALED = {"HEALED", "QUEUE_EMPTY", "TRIAL"}
# What trying again does not mend. An incident must not stay open for it.
_REFUSALS = ("AccessDenied", "QueueDoesNotExist", "NonExistentQueue", "KmsDisabled", "KmsNotFound", "KmsInvalid")


@dataclass
class Moved:
    """What one piece of a redrive did.

    Attributes
    ----------
    copied
        Messages that are back in their queue.
    duplicated
        Of these, messages that could not be deleted from the dead-letter queue too.
    left
        Receipt handles of those that stay: dead-lettered again, of another queue, or not accepted as a copy.
    """

    copied: int = 0
    duplicated: int = 0
    left: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Redrive:
    """Where a redrive stands.

    Attributes
    ----------
    began
        When it began, ISO 8601. Only messages sent before are moved.
    reopened
        How often the circuit had been opened again by then.
    piece_began
        When the piece under way, or one that was cut off, began; else "". Written before the piece, so that whoever
        finds it knows that messages may have been moved, and that some may be hidden still.
    result
        One line on what came of it, "" until it is over.
    """

    began: str
    reopened: int
    piece_began: str = ""
    result: str = ""

    @classmethod
    def current(cls, record: Record) -> "Redrive | None":
        """Return where the incident's redrive stands, None where none has begun."""
        redrive = record.incident.get("redrive")
        return cls(**redrive) if redrive else None

    @classmethod
    def begin(cls, record: Record, now: datetime) -> "Redrive":
        """Return a redrive that begins now."""
        return cls(clock.iso(now), record.incident.get("reopened", 0))

    def with_piece(self, now: datetime) -> "Redrive":
        """Return it with a piece under way."""
        return replace(self, piece_began=clock.iso(now))

    def ended(self, result: str) -> "Redrive":
        """Return it as it is when over."""
        return replace(self, result=result)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)

    def after_piece(self, moved: Moved, now: datetime, *, cut_off: bool, refused: str) -> "Redrive":
        """Return it, as it was before a piece, after it: over where nothing is there to move, or nothing may be.

        Parameters
        ----------
        cut_off
            True where an error ended the piece early.
        refused
            One line on what is not permitted, "" where all is.
        """
        hidden = cut_off or self._hides_messages(now)
        if refused:
            result = refused
        elif moved.copied or hidden:
            result = ""
        elif moved.left:
            result = (
                f"done; {len(moved.left)} stay that were dead-lettered again, not accepted, or never the incident's"
            )
        else:
            result = "done"
        piece_began = clock.iso(now) if cut_off else self.piece_began
        return replace(self, piece_began=piece_began if hidden else "", result=result)

    def _hides_messages(self, now: datetime) -> bool:
        """Tell whether what a piece that was cut off has received may still be hidden."""
        if not self.piece_began:
            return False
        shown = clock.parse(self.piece_began).timestamp() + LONGEST_RUN_SECONDS + _VISIBILITY_SECONDS
        return now.timestamp() < shown

    def why_stop(self, incident: Mapping[str, Any], now: datetime) -> str:
        """Return why nothing more may be moved, "" while more may be."""
        if incident["outcome"] not in _HEALED:
            return f"stopped: {incident['outcome']}"
        if incident.get("reopened", 0) != self.reopened:
            return "stopped: the circuit was opened again meanwhile"
        if now.timestamp() >= clock.parse(self.began).timestamp() + LONGEST_REDRIVE_SECONDS:
            return f"stopped: it took {LONGEST_REDRIVE_SECONDS // 3600} hours"
        return ""


def why_not(incident: Mapping[str, Any], circuit: Circuit, metrics: Metrics, now: datetime) -> str:
    """Return why nothing may be moved at all, "" where it may: the dead-letter queue was empty before the errors began.

    Raises
    ------
    MetricsUnanswered
        CloudWatch did not say.
    """
    if incident["outcome"] not in _HEALED:
        return f"no: {incident['outcome']}"
    rule = health_rule(circuit)
    look_back = LOOK_BACK_PERIODS * rule.period_seconds
    opened = clock.parse(incident["opened_at"]).timestamp()
    if now.timestamp() - opened + look_back >= LONGEST_RETENTION_SECONDS:
        return "no: the incident is too old to know whether the dead-letter queue was empty before it"
    periods = metrics.periods(began=opened - look_back, now=opened)
    began = first_bad_period(periods, rule, opened=opened, longest_silence=longest_silence(circuit, rule))
    before = round(metrics.dead_letters_before(began))
    if before:
        at = clock.iso(datetime.fromtimestamp(began, now.tzinfo))
        return f"no: {before} messages were in the dead-letter queue before the errors began at {at}"
    return ""


def is_refusal(error: ClientError | BotoCoreError) -> bool:
    """True for an error that trying again does not mend."""
    return isinstance(error, ClientError) and any(part in error.response["Error"]["Code"] for part in _REFUSALS)


@dataclass(frozen=True)
class Redriver:
    """Moves messages from the dead-letter queue of a standard queue.

    Attributes
    ----------
    began
        Only messages sent before this moment are moved, epoch seconds.
    """

    client: "SQSClient"
    circuit: Circuit
    began: float

    def dead_letters(self) -> int:
        """Return how many messages are in the dead-letter queue."""
        depth = source_queue.read_depth(self.client, self.circuit.dead_letter_queue_url)
        return depth.visible + depth.hidden + depth.delayed

    def move_a_piece(self, moved: Moved, budget: TimeBudget) -> None:
        """Move messages until there is none, or time is up. `moved` counts along, also where an error ends it."""
        ends = clock.now().timestamp() + LONGEST_RUN_SECONDS
        per_second = self.circuit.settings["RedrivePerSecond"]
        while budget.is_enough() and clock.now().timestamp() < ends:
            received = source_queue.receive(
                self.client,
                self.circuit.dead_letter_queue_url,
                most=min(BATCH_MESSAGES, per_second),
                visibility_seconds=_VISIBILITY_SECONDS,
                wait_seconds=1,
            )
            if not received:
                break
            self._move(received, moved)
            clock.sleep(len(received) / per_second)
        # Not before the piece is over, which would receive them again.
        source_queue.hide(self.client, self.circuit.dead_letter_queue_url, [(handle, 0) for handle in moved.left])

    def _move(self, received: Sequence[dict[str, Any]], moved: Moved) -> None:
        requeuer = Requeuer(self.client, self.circuit.dead_letter_queue_url, self.circuit.queue_url)
        requeued = requeuer.requeue([message for message in received if self._may_go(message)])
        moved.copied += len(requeued.copied)
        moved.duplicated += requeued.duplicated
        moved.left += [message["ReceiptHandle"] for message in received if message not in requeued.copied]

    def _may_go(self, message: dict[str, Any]) -> bool:
        # Other queues may share the dead-letter queue, and anybody may send to it.
        from_here = message["Attributes"].get("DeadLetterQueueSourceArn") == self.circuit.queue_arn
        return from_here and source_queue.sent_before(message, self.began)
