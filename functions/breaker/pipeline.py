"""What there is to know of a pipeline: its function, queue and mapping, and what else is attached to them.

Nothing here holds a message's content, nor the value of an environment variable.
"""

from dataclasses import dataclass

from breaker.retention import DEFAULT_RETENTION_SECONDS, LONGEST_RETENTION_SECONDS


@dataclass(frozen=True)
class FunctionFacts:
    """The target.

    Attributes
    ----------
    name
        As the settings name it.
    environment_names
        Names of its environment variables. Values may be secrets, and are not kept.
    idempotency_disabled
        True when POWERTOOLS_IDEMPOTENCY_DISABLED says so.
    reserved_concurrency
        None where none is reserved, or where it was not read.
    calls_last_day
        As its metric Invocations counts them, whatever called it. None where it was not read.
    """

    name: str
    arn: str
    timeout_seconds: int
    environment_names: tuple[str, ...] = ()
    idempotency_disabled: bool = False
    reserved_concurrency: int | None = None
    calls_last_day: int | None = None


@dataclass(frozen=True)
class QueueFacts:
    """The queue.

    Attributes
    ----------
    max_receive_count
        None without a dead-letter queue.
    dead_letter_arn
        "" without a dead-letter queue.
    kms_key
        Id, alias or ARN of its KMS key, "" for none.
    hidden_messages
        How many messages are received and not yet deleted.
    """

    arn: str
    visibility_timeout_seconds: int
    max_receive_count: int | None = None
    dead_letter_arn: str = ""
    retention_seconds: int = DEFAULT_RETENTION_SECONDS
    delay_seconds: int = 0
    kms_key: str = ""
    hidden_messages: int = 0

    @property
    def is_fifo(self) -> bool:
        """True for a FIFO queue."""
        return self.arn.endswith(".fifo")


@dataclass(frozen=True)
class DeadLetterFacts:
    """The dead-letter queue, as far as it was read."""

    exists: bool
    retention_seconds: int = LONGEST_RETENTION_SECONDS
    messages: int = 0


@dataclass(frozen=True)
class MappingFacts:
    """An event source mapping.

    Attributes
    ----------
    target
        ARN of the function that it names, with alias or version.
    source
        ARN of the queue or stream, "" for a source without one.
    filters
        Its filter patterns, JSON texts.
    filters_hidden
        True when they are encrypted, so that nobody but Lambda knows them.
    maximum_concurrency
        0 for none.
    provisioned
        True in provisioned mode.
    counts_events
        True when it publishes the EventCount metrics.
    """

    id: str
    target: str
    source: str
    state: str
    batch_size: int = 10
    batching_window_seconds: int = 0
    filters: tuple[str, ...] = ()
    filters_hidden: bool = False
    partial_batch_response: bool = False
    maximum_concurrency: int = 0
    provisioned: bool = False
    counts_events: bool = False

    @property
    def is_paused(self) -> bool:
        """True when it is, or is about to be, disabled."""
        return self.state in ("Disabled", "Disabling")


@dataclass(frozen=True)
class Unread:
    """A part that could not be read.

    Attributes
    ----------
    part
        What it is, in words.
    needs
        The permission, and what on.
    """

    field: str
    part: str
    needs: str


@dataclass(frozen=True)
class Pipeline:
    """What was read of a pipeline.

    Attributes
    ----------
    others
        The other mappings of the function and of the queue.
    dead_letter
        None without a dead-letter queue, or where it was not read.
    """

    function: FunctionFacts
    queue: QueueFacts
    mapping: MappingFacts
    others: tuple[MappingFacts, ...] = ()
    dead_letter: DeadLetterFacts | None = None
    unread: tuple[Unread, ...] = ()
