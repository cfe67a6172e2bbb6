"""What can be seen of the running application, sampled in a thread of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from lab.accounting import Account, LedgerEntry, ReceiveLog, order_id_of, settle, times_processed
from lab.background import Background
from lab.clock import Scale, clock_text
from lab.emulator import WaitingMessage
from lab.orders import Sent

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.literals import StatisticType
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.literals import QueueAttributeNameType
    from mypy_boto3_stepfunctions import SFNClient

_TICK_SECONDS = 0.3
_DETAIL_SECONDS = 0.5
# Reading the ledger and the queue grows with them. It may take this share of the time, not more.
_DETAIL_SHARE = 0.2
_MOST_REFUSALS = 5
_TROUBLE_LENGTH = 300
_QUEUE_ATTRIBUTES: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class ObservationFailed(RuntimeError):
    """The application could not be observed any more."""


@dataclass(frozen=True)
class Sample:
    """The application at one moment. Times are in real-equivalent seconds since the start."""

    at: float
    circuit: str = "-"
    mapping: str = "-"
    # The mapping's maximum concurrency, 0 for none of its own.
    limit: int = 0
    alarm: str = "-"
    step: str = ""
    trouble: str = ""
    next_probe_in: float | None = None
    visible: int = 0
    in_flight: int = 0
    delayed: int = 0
    dead_lettered: int = 0
    sent: int = 0
    processed: int = 0
    duplicates: int = 0
    failed_calls: int = 0
    running_executions: int = 0

    @property
    def flowing(self) -> bool:
        """Whether the mapping is on. It is ``Updating`` while its concurrency is raised."""
        return self.mapping in ("Enabled", "Updating")

    @property
    def depth(self) -> int:
        """All messages in the queue: visible, in flight and delayed."""
        return self.visible + self.in_flight + self.delayed


@dataclass(frozen=True)
class Change:
    """Something that changed, for the log of the timeline."""

    at: float
    subject: str
    text: str


@dataclass(frozen=True)
class Places:
    """Where to look: the stack's outputs that the observer reads."""

    queue_url: str
    dead_letter_queue_url: str
    function_name: str
    ledger_table: str
    mapping_id: str
    state_machine_arn: str
    circuit_table: str
    circuit: str


@dataclass(frozen=True)
class Eyes:
    """The clients that the observer looks through."""

    sqs: SQSClient
    functions: LambdaClient
    tables: DynamoDBClient
    states: SFNClient
    metrics: CloudWatchClient
    peek: Callable[[str], list[WaitingMessage]]


def changes_between(before: Sample, after: Sample) -> Iterator[Change]:
    """What to say about the step from one sample to the next."""
    for subject in ("circuit", "mapping", "alarm"):
        old, new = getattr(before, subject), getattr(after, subject)
        if old != new:
            yield Change(after.at, subject, f"{old} -> {new}" if old != "-" else new)
    if after.limit != before.limit:
        yield Change(after.at, "mapping", f"at most {after.limit} batches at once" if after.limit else "no limit set")
    if after.step and after.step != before.step:
        yield Change(after.at, "step", after.step)
    if after.trouble and after.trouble != before.trouble:
        yield Change(after.at, "breaker", after.trouble)
    if after.failed_calls and not before.failed_calls:
        yield Change(after.at, "target", "first failed call")
    if after.dead_lettered > before.dead_lettered:
        yield Change(after.at, "queue", f"{after.dead_lettered} in the dead-letter queue")


@dataclass
class Observer:
    """Samples the application until it is stopped.

    Parameters
    ----------
    sent
        The orders sent so far. Grows while the observer runs.
    alarm_state
        The alarm's state, known without a call.
    """

    eyes: Eyes
    places: Places
    scale: Scale
    sent: list[Sent]
    alarm_state: Callable[[], str]
    samples: list[Sample] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    receives: ReceiveLog = field(default_factory=ReceiveLog)

    def __post_init__(self) -> None:
        self._began = time.time()
        self._refusals = 0
        self._background = Background(
            "observer",
            self._sample,
            every=_TICK_SECONDS,
            failed=lambda error: ObservationFailed(f"the application could not be observed: {error}"),
        )
        self.start, self.stop = self._background.start, self._background.stop
        self.require_working = self._background.require_working
        self._detail_due = 0.0
        self._times: dict[str, int] = {}
        self._probe_due: tuple[str, float] | None = None
        self.latest = Sample(at=0.0)

    @property
    def began(self) -> float:
        """When it all began, in seconds since the epoch."""
        return self._began

    @property
    def processed_ids(self) -> frozenset[str]:
        """The orders that were in the ledger when it was last read."""
        return frozenset(self._times)

    def now(self) -> float:
        """Real-equivalent seconds since the start."""
        return self.scale.real(time.time() - self._began)

    def say(self, subject: str, text: str) -> None:
        """Add something that the lab itself did to the log."""
        self.changes.append(Change(self.now(), subject, text))

    def look(self) -> Sample:
        """Take one sample now."""
        record = self.circuit_record()
        queue = self._queue_depths(self.places.queue_url)
        dead = self._queue_depths(self.places.dead_letter_queue_url)
        running, step, trouble = self._running_step(record.get("owner"))
        mapping = self.eyes.functions.get_event_source_mapping(UUID=self.places.mapping_id)
        sample = Sample(
            at=self.now(),
            circuit=record.get("state", "-"),
            mapping=mapping["State"],
            limit=mapping.get("ScalingConfig", {}).get("MaximumConcurrency", 0),
            alarm=self.alarm_state(),
            step=step,
            trouble=trouble,
            next_probe_in=self._next_probe_in(record.get("next_probe_at"), step),
            visible=queue[0],
            in_flight=queue[1],
            delayed=queue[2],
            dead_lettered=sum(dead),
            sent=len(self.sent),
            failed_calls=self.failed_calls(),
            running_executions=running,
        )
        if time.monotonic() >= self._detail_due:
            self.look_closely()
        return replace(sample, processed=len(self._times), duplicates=sum(count - 1 for count in self._times.values()))

    def look_closely(self) -> None:
        """Read the ledger and the whole queue."""
        began = time.monotonic()
        self._times = times_processed(self.sent, self.ledger())
        self.receives.look(time.time(), self.eyes.peek(self.places.queue_url))
        took = time.monotonic() - began
        self._detail_due = began + max(_DETAIL_SECONDS, took / _DETAIL_SHARE)

    def ledger(self) -> list[LedgerEntry]:
        """All that the target has processed."""
        pages = self.eyes.tables.get_paginator("scan").paginate(TableName=self.places.ledger_table, ConsistentRead=True)
        return [_ledger_entry(item) for page in pages for item in page["Items"]]

    def account(self) -> Account:
        """Where every order that was sent is now, also while orders are on their way.

        An order goes from the queue to the ledger or to the dead-letter queue. The places are looked at in that order:
        an order that moves between two looks is found twice. The other way round it would be found in neither place.
        """
        sent = list(self.sent)
        waiting = [order_id_of(message.body) for message in self.eyes.peek(self.places.queue_url)]
        dead_lettered = [order_id_of(message.body) for message in self.eyes.peek(self.places.dead_letter_queue_url)]
        return settle(sent, self.ledger(), waiting, dead_lettered)

    def failed_calls(self) -> int:
        """Lambda's own count of the target's failed invocations."""
        return round(sum(self.metric_by_second("Errors", period=60).values()))

    def metric_by_second(self, name: str, *, period: int = 1, statistic: StatisticType = "Sum") -> dict[float, float]:
        """One of the target's metrics, by the start of each period (seconds since the epoch)."""
        answer = self.eyes.metrics.get_metric_statistics(
            Namespace="AWS/Lambda",
            MetricName=name,
            Dimensions=[{"Name": "FunctionName", "Value": self.places.function_name}],
            StartTime=datetime.fromtimestamp(self._began, UTC) - timedelta(seconds=1),
            EndTime=datetime.now(UTC) + timedelta(seconds=60),
            Period=period,
            Statistics=[statistic],
        )
        return {point["Timestamp"].timestamp(): point[statistic] for point in answer["Datapoints"]}

    def real_time_of(self, epoch: float) -> float:
        """Real-equivalent seconds since the start for a moment given in seconds since the epoch."""
        return self.scale.real(epoch - self._began)

    def _sample(self) -> None:
        try:
            sample = self.look()
        except (BotoCoreError, ClientError, OSError):
            # One refused or timed-out call must not end the demo; a series means the application is gone.
            self._refusals += 1
            if self._refusals >= _MOST_REFUSALS:
                raise
            return
        self._refusals = 0
        self.changes.extend(changes_between(self.latest, sample))
        self.samples.append(sample)
        self.latest = sample

    def circuit_record(self) -> dict[str, Any]:
        """The circuit's record, its attributes without their types."""
        answer = self.eyes.tables.get_item(
            TableName=self.places.circuit_table,
            Key={"pk": {"S": f"CIRCUIT#{self.places.circuit}"}, "sk": {"S": "CIRCUIT"}},
            ConsistentRead=True,
        )
        return {name: next(iter(value.values())) for name, value in answer.get("Item", {}).items()}

    def _queue_depths(self, queue_url: str) -> tuple[int, int, int]:
        answer = self.eyes.sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=list(_QUEUE_ATTRIBUTES))
        attributes: Mapping[str, str] = dict(answer["Attributes"].items())
        visible, in_flight, delayed = (int(attributes.get(name, "0")) for name in _QUEUE_ATTRIBUTES)
        return visible, in_flight, delayed

    def _running_step(self, owner: str | None) -> tuple[int, str, str]:
        """How many executions run, the step of the one that owns the circuit (else of the newest), and its trouble."""
        answer = self.eyes.states.list_executions(stateMachineArn=self.places.state_machine_arn, statusFilter="RUNNING")
        running = [item["executionArn"] for item in answer["executions"]]
        if not running:
            return 0, "", ""
        chosen = owner if owner in running else running[0]
        history = self.eyes.states.get_execution_history(executionArn=chosen, reverseOrder=True, maxResults=20)
        newest_first = history["events"]
        return len(running), _step_of(newest_first), _trouble_of(newest_first)

    def step_of(self, execution: str) -> str:
        """The state that an execution has entered last."""
        answer = self.eyes.states.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=20)
        return _step_of(answer["events"])

    def _next_probe_in(self, next_probe_at: str | None, step: str) -> float | None:
        """Seconds until the next probe.

        The breaker writes when the probe is due by its own clock, where a wait takes its full length. The emulator
        shortens the wait, so what counts is how far ahead the probe was when the record was first seen.
        """
        if next_probe_at is None or step not in ("WaitBeforeFirstProbe", "WaitBeforeProbe"):
            return None
        if self._probe_due is None or self._probe_due[0] != next_probe_at:
            due = datetime.fromisoformat(next_probe_at).timestamp()
            self._probe_due = (next_probe_at, self.now() + max(0.0, due - time.time()))
        return max(0.0, self._probe_due[1] - self.now())


def _step_of(newest_first: Sequence[Mapping[str, Any]]) -> str:
    """The state that was entered last."""
    entered = (event.get("stateEnteredEventDetails", {}).get("name", "") for event in newest_first)
    return next((name for name in entered if name), "")


def _trouble_of(newest_first: Sequence[Mapping[str, Any]]) -> str:
    """The last failure of a step, or nothing."""
    for place, event in enumerate(newest_first):
        failure = event.get("taskFailedEventDetails")
        # To wait for a mapping that is changing is no trouble.
        if failure is not None and failure.get("error") != "MappingNotSettled":
            return f"{_step_of(newest_first[place:])} failed: {_cause(failure)}"
    return ""


def _cause(failure: Mapping[str, Any]) -> str:
    """What a failed step said, short enough for a line."""
    cause = failure.get("cause", "")
    try:
        message = json.loads(cause)["errorMessage"]
    except (ValueError, KeyError, TypeError):
        message = cause
    return f"{failure.get('error', '?')}: {message}"[:_TROUBLE_LENGTH]


def _ledger_entry(item: dict[str, Any]) -> LedgerEntry:
    times = item.get("deliveries", {}).get("N", "1")
    return LedgerEntry(item["message_id"]["S"], item.get("order_id", {}).get("S"), int(times))


def change_line(change: Change) -> str:
    """A change as one plain line."""
    return f"{clock_text(change.at):>6}  {change.subject:<8} {change.text}"
