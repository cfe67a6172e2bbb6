"""What of a pipeline the breaker cannot work with, works badly with, or its owner should know.

One place for these rules: registration refuses what is an ERROR here, and says the rest in its log; `make check` shows
all of it before anything is attached. What could not be read raises nothing, except a note that says so.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html for the visibility timeout,
maxReceiveCount and concurrency, https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html for
retries, https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html for
retention.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from breaker.errors import InvalidSetting
from breaker.filtering import UnknownPattern, check_filters
from breaker.pipeline import DEFAULT_RETENTION_SECONDS, LONGEST_RETENTION_SECONDS, NEAR_RETENTION, Pipeline
from breaker.ramp import LEAST_CONCURRENCY

# A probe waits for the target inside one handler, which Lambda ends after 900 s.
MAX_TARGET_TIMEOUT_SECONDS = 840
# A step of a recovery is judged only when the target's timeout has passed, too.
LONG_TARGET_TIMEOUT_SECONDS = 300
# What AWS recommends.
RECOMMENDED_TIMEOUTS_IN_VISIBILITY = 6
RECOMMENDED_RECEIVES = 5
# Without stored contents a message on its last receive cannot be tried again.
RECEIVES_WITHOUT_STORED_CONTENT = 3
# SQS lets about 120,000 messages of a queue be hidden at once.
MANY_HIDDEN_MESSAGES = 100_000

_AWS_MANAGED_KEY = "alias/aws/sqs"


class Level(StrEnum):
    """ERROR: registration refuses it. WARNING: it works badly until somebody acts. NOTE: worth knowing."""

    ERROR = "ERROR"
    WARNING = "WARNING"
    NOTE = "NOTE"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes
    ----------
    rule
        Name of the rule, for machines.
    field
        The setting whose part of the pipeline it is about, for example QueueArn.
    what
        What was found, with the value.
    means
        What follows from it.
    remedy
        What to set.
    """

    level: Level
    rule: str
    field: str
    what: str
    means: str
    remedy: str


@dataclass(frozen=True)
class AlarmTiming:
    """How long the alarm takes. The defaults are those of the built-in alarm.

    Attributes
    ----------
    datapoints
        Periods that must be bad.
    """

    period_seconds: int = 60
    datapoints: int = 1


@dataclass(frozen=True)
class Plan:
    """How the pipeline is to be protected.

    Attributes
    ----------
    settings
        The checked settings, by the names of settings.schema.json.
    messages_per_second
        For the number of messages that an outage would dead-letter.
    """

    settings: Mapping[str, Any]
    alarm: AlarmTiming = AlarmTiming()
    messages_per_second: float = 1

    def detection_seconds(self, timeout_seconds: int) -> int:
        """Return the longest time from the first failure to the request that disables the mapping.

        The period in which an outage begins is only partly bad, so one more than the alarm wants may pass. Lambda
        counts an error in the period in which the call began, which is known when the call has ended.
        """
        periods = self.alarm.period_seconds * (self.alarm.datapoints + 1)
        return int(periods + self.settings["MetricDelaySeconds"] + timeout_seconds)


def find(pipeline: Pipeline, plan: Plan) -> list[Finding]:
    """Return what there is to say about the pipeline: errors first, then warnings, then notes."""
    found = [finding for rule in _RULES for finding in rule(pipeline, plan)]
    return sorted(found, key=lambda finding: [*Level].index(finding.level))


def refuse(findings: list[Finding]) -> None:
    """Refuse what cannot work.

    Raises
    ------
    InvalidSetting
        One of the findings is an ERROR. The message names field, value and rule.
    """
    for finding in findings:
        if finding.level is Level.ERROR:
            raise InvalidSetting(f"{finding.field}: {finding.what}")


def receives_until_paused(pipeline: Pipeline, plan: Plan) -> int:
    """Return how often one message can be received and fail before the mapping is disabled."""
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    return detection // max(1, pipeline.queue.visibility_timeout_seconds) + 1


def messages_used_up(pipeline: Pipeline, plan: Plan) -> int:
    """Return how many messages have used up all their receives when the mapping is disabled.

    SQS dead-letters such a message at its next receive, whether the target works again or not.
    """
    if pipeline.queue.max_receive_count is None:
        return 0
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    last_receive_after = (pipeline.queue.max_receive_count - 1) * pipeline.queue.visibility_timeout_seconds
    return round(plan.messages_per_second * max(0, detection - last_receive_after))


# What registration refuses


def _encrypted_filters(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.mapping.filters_hidden:
        yield Finding(
            Level.ERROR,
            "filters-encrypted",
            "MappingId",
            f"{pipeline.mapping.id!r} must not have a KMS key: a probe cannot apply encrypted filters",
            "A probe would hand the function messages that the mapping drops.",
            "Remove the mapping's KMSKeyArn.",
        )


def _unknown_filters(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    try:
        check_filters(pipeline.mapping.filters)
    except UnknownPattern as error:
        yield Finding(
            Level.ERROR,
            "filter-unknown",
            "MappingId",
            f"{pipeline.mapping.id!r} has a filter that a probe cannot apply as Lambda does: {error}",
            "A probe would hand the function messages that the mapping drops, or keep messages from it.",
            "Write the filter with exists, prefix, suffix, equals-ignore-case, anything-but, numeric and $or.",
        )


def _target_timeout(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    timeout = pipeline.function.timeout_seconds
    if timeout > MAX_TARGET_TIMEOUT_SECONDS:
        yield Finding(
            Level.ERROR,
            "target-timeout-too-long",
            "TargetFunction",
            f"{pipeline.function.name!r} has a timeout of {timeout} s; it must be at most"
            f" {MAX_TARGET_TIMEOUT_SECONDS} s, so that a probe can wait for it",
            "A probe waits for the function inside one of the breaker's own, which Lambda ends after 900 s.",
            f"Set the function's Timeout to {MAX_TARGET_TIMEOUT_SECONDS} s or less.",
        )
    elif timeout >= LONG_TARGET_TIMEOUT_SECONDS:
        settings = plan.settings
        step = settings["MetricPeriodSeconds"] * (settings["HealthPeriods"] + 1) + settings["MetricDelaySeconds"]
        yield Finding(
            Level.NOTE,
            "target-timeout-long",
            "TargetFunction",
            f"{pipeline.function.name!r} has a timeout of {timeout} s",
            f"Each step of a recovery takes up to {_duration(step + timeout)} to be called good: calls that began in it"
            " must have ended. A probe may take as long as the timeout.",
            "Set the function's Timeout no longer than its work needs.",
        )


def _visibility_timeout(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    visibility, timeout = pipeline.queue.visibility_timeout_seconds, pipeline.function.timeout_seconds
    window = pipeline.mapping.batching_window_seconds
    recommended = RECOMMENDED_TIMEOUTS_IN_VISIBILITY * timeout + window
    beside = f", and the batching window of {window} s" if window else ""
    if visibility < timeout:
        yield Finding(
            Level.ERROR,
            "visibility-below-timeout",
            "QueueArn",
            f"the queue's visibility timeout of {visibility} s must be at least the target's timeout of {timeout} s, or"
            " Lambda refuses to enable the mapping again",
            "Once paused, the pipeline would stay paused.",
            f"Set the queue's VisibilityTimeout to {recommended} s.",
        )
    elif visibility < recommended:
        yield Finding(
            Level.WARNING,
            "visibility-short",
            "QueueArn",
            f"the queue's visibility timeout of {visibility} s is below {recommended} s, which AWS recommends: six"
            f" times the function's timeout of {timeout} s{beside}",
            "Messages come again while Lambda still holds them, for example when calls are throttled. They are"
            " processed twice, and an outage uses up their receives sooner.",
            f"Set the queue's VisibilityTimeout to {recommended} s.",
        )


def _rejitter_fifo(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.queue.is_fifo and plan.settings["Recovery"] == "REJITTER":
        yield Finding(
            Level.ERROR,
            "rejitter-fifo",
            "Recovery",
            "'REJITTER' must not be used with a FIFO queue: it would break the order, and SQS would drop copies as"
            " duplicates",
            "Messages would be lost.",
            "Set Recovery to RAMP or IMMEDIATE.",
        )


def _filters_with_one_receive(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.mapping.filters and pipeline.queue.max_receive_count == 1:
        yield Finding(
            Level.ERROR,
            "filters-one-receive",
            "QueueArn",
            f"{pipeline.queue.arn!r} has a maxReceiveCount of 1; it must be at least 2 where the mapping has filters,"
            " or a probe would use up the only receive of messages that the mapping drops",
            "Such messages would be dead-lettered instead of dropped.",
            f"Set maxReceiveCount to {RECOMMENDED_RECEIVES} or more.",
        )


# The mapping


def _mapping_state(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    mapping = pipeline.mapping
    if mapping.is_paused:
        yield Finding(
            Level.WARNING,
            "mapping-paused",
            "MappingId",
            f"{mapping.id!r} is {mapping.state}",
            "The breaker leaves a mapping alone that somebody else has disabled: it neither opens nor enables it.",
            "Enable the mapping. If the breaker itself has paused it just now, there is nothing to do.",
        )
    elif mapping.state == "Deleting":
        yield Finding(
            Level.WARNING,
            "mapping-deleting",
            "MappingId",
            f"{mapping.id!r} is being deleted",
            "Soon there is nothing left to protect.",
            "Name the mapping that takes its place.",
        )


def _partial_batches(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    mapping = pipeline.mapping
    if mapping.partial_batch_response:
        yield Finding(
            Level.NOTE if mapping.counts_events else Level.WARNING,
            "partial-batches-unseen",
            "MappingId",
            "the mapping reports batch item failures (ReportBatchItemFailures)",
            "A call that reports failed messages is a success to Lambda, and the error rate alarm does not see it. If"
            " the function reports every message as failed and does not raise, the circuit never opens.",
            "Raise when all messages of a batch fail, as Powertools' batch processor does. Or trip on an alarm of your"
            " own on the mapping's FailedInvokeEventCount metric.",
        )
    elif mapping.batch_size > 1:
        yield Finding(
            Level.NOTE,
            "whole-batches-fail",
            "MappingId",
            f"the mapping does not report batch item failures, and hands over up to {mapping.batch_size} messages at"
            " once",
            "One bad message fails its whole batch: the alarm sees it, and the other messages use up receives, too.",
            "Set FunctionResponseTypes to ReportBatchItemFailures, if the function can say which messages failed.",
        )


def _event_counts(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if not pipeline.mapping.counts_events:
        yield Finding(
            Level.NOTE,
            "no-event-counts",
            "MappingId",
            "the mapping does not publish its EventCount metrics",
            "A recovery is judged by failed calls alone. Failed messages in calls that succeed are not seen.",
            "Set the mapping's MetricsConfig to Metrics: [EventCount].",
        )


def _provisioned_pollers(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.mapping.provisioned and plan.settings["Recovery"] == "RAMP":
        yield Finding(
            Level.WARNING,
            "provisioned-pollers",
            "MappingId",
            "the mapping has provisioned pollers",
            "Lambda takes no maximum concurrency there, so messages cannot be let in step by step: the mapping is"
            " enabled whole, and the service that has just come back gets the whole backlog.",
            "Remove ProvisionedPollerConfig, or set Recovery to REJITTER, or to IMMEDIATE if the service can take it.",
        )


def _filters(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.mapping.filters and not pipeline.mapping.filters_hidden:
        yield Finding(
            Level.NOTE,
            "filters",
            "MappingId",
            f"the mapping has filters, {len(pipeline.mapping.filters)} in number",
            "A probe does not send messages that the mapping would drop. It holds them and shows them again, which"
            " costs each a receive.",
            "Nothing, while the filters stay as they are. Register the circuit again when they change.",
        )


def _batching_window(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    window, least = pipeline.mapping.batching_window_seconds, plan.settings["MinimumInvocations"]
    period = plan.alarm.period_seconds
    if window * least > period:
        yield Finding(
            Level.NOTE,
            "batching-window",
            "MappingId",
            f"the mapping waits up to {window} s for a batch to fill",
            f"With few messages there are fewer than {least} calls in {period} s. The built-in alarm wants as many, and"
            " does not trip. A recovery is judged by the same minimum.",
            f"Set MaximumBatchingWindowInSeconds to {period // least} s or less, or MinimumInvocations lower.",
        )


# Other mappings


def _other_consumers(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for other in pipeline.others:
        if other.source != pipeline.mapping.source:
            continue
        what = f"the mapping {other.id} to {_name(other.target)} reads from the same queue"
        if other.is_paused:
            yield Finding(
                Level.NOTE,
                "other-consumer-paused",
                "QueueArn",
                f"{what}; it is {other.state}",
                "As long as it stays so, it takes nothing away.",
                "Delete it if it is not needed. If it is enabled one day, pausing this mapping stops only a part.",
            )
        else:
            yield Finding(
                Level.WARNING,
                "other-consumer",
                "QueueArn",
                f"{what}; it is {other.state}",
                "Pausing this mapping leaves the messages to the other one. If it fails too, they use up their receives"
                " and are dead-lettered although the circuit is open.",
                "Give each consumer a queue of its own, or delete the other mapping.",
            )


def _other_sources(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for other in pipeline.others:
        if other.source == pipeline.mapping.source or _function(other.target) != _function(pipeline.mapping.target):
            continue
        what = f"{_name(other.target)} also reads from {_name(other.source) or 'another source'}, by {other.id}"
        if other.is_paused:
            yield Finding(
                Level.NOTE,
                "other-source-paused",
                "TargetFunction",
                f"{what}; that mapping is {other.state}",
                "As long as it stays so, it disturbs nothing. The breaker never enables it.",
                "Nothing.",
            )
        else:
            yield Finding(
                Level.WARNING,
                "other-source",
                "TargetFunction",
                f"{what}; that mapping is {other.state}",
                "It stays enabled while this circuit is open, and its messages go on failing. Calls from both count in"
                " the same alarm, so either can open this circuit, or delay its recovery.",
                "Register a circuit for that queue, too, or give each queue a function of its own.",
            )


# Receives and the dead-letter queue


def _receives(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    most = pipeline.queue.max_receive_count
    if most is None:
        return
    burnt, lost = receives_until_paused(pipeline, plan), messages_used_up(pipeline, plan)
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    visibility = pipeline.queue.visibility_timeout_seconds
    wanted = max(RECOMMENDED_RECEIVES, burnt + 2)
    until = (
        f"It takes up to {_duration(detection)} until the mapping is disabled, and a message comes every {visibility} s"
    )
    pace = (
        "With ReportBatchItemFailures Lambda goes on polling at full pace."
        if pipeline.mapping.partial_batch_response
        else "Lambda polls more slowly while calls fail, so it may be less."
    )
    if burnt >= most:
        yield Finding(
            Level.WARNING,
            "receives-used-up",
            "QueueArn",
            f"an outage can use up all of a message's receives before the circuit opens: maxReceiveCount is {most}, and"
            f" {burnt} can fail",
            f"{until}. At a rate of {plan.messages_per_second:g} a second, up to {lost} messages have no receive"
            f" left then. SQS dead-letters them, even if the service is back. {pace}",
            f"Set maxReceiveCount to {wanted} or more, or a longer VisibilityTimeout.",
        )
    else:
        yield Finding(
            Level.NOTE,
            "receives-left",
            "QueueArn",
            f"an outage can use up {burnt} of a message's {most} receives before the circuit opens",
            f"{until}. No message is dead-lettered by that. Each failed trial or step of a recovery can cost one more."
            f" {pace}",
            "Nothing." if most >= wanted else f"Set maxReceiveCount to {wanted} for a recovery that fails at first.",
        )


def _few_receives(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    most = pipeline.queue.max_receive_count
    if most is None:
        return
    if most < RECOMMENDED_RECEIVES:
        yield Finding(
            Level.NOTE,
            "few-receives",
            "QueueArn",
            f"the queue's maxReceiveCount is {most}",
            f"AWS recommends at least {RECOMMENDED_RECEIVES}: throttled deliveries cost receives, too.",
            f"Set maxReceiveCount to {RECOMMENDED_RECEIVES} or more.",
        )
    if most < RECEIVES_WITHOUT_STORED_CONTENT and not plan.settings["StoreHeldMessages"]:
        yield Finding(
            Level.WARNING,
            "content-not-stored",
            "QueueArn",
            f"the queue's maxReceiveCount is {most}, and StoreHeldMessages is false",
            "A message on its last receive cannot be tried again. It is dead-lettered when its hold ends.",
            f"Set maxReceiveCount to {RECEIVES_WITHOUT_STORED_CONTENT} or more, or StoreHeldMessages to true.",
        )


def _dead_letter_queue(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    queue, dead = pipeline.queue, pipeline.dead_letter
    if not queue.dead_letter_arn:
        yield Finding(
            Level.WARNING,
            "no-dead-letter-queue",
            "QueueArn",
            "the queue has no dead-letter queue",
            "A message that always fails comes again until it expires, and is then gone."
            + (" Until then nothing of its group is processed." if queue.is_fifo else ""),
            f"Give the queue a RedrivePolicy with a maxReceiveCount of {RECOMMENDED_RECEIVES} or more.",
        )
        return
    if dead is not None and not dead.exists:
        yield Finding(
            Level.WARNING,
            "dead-letter-queue-missing",
            "QueueArn",
            f"SQS says that the dead-letter queue {_name(queue.dead_letter_arn)} does not exist",
            "SQS cannot put messages there that have used up their receives.",
            "Make that queue, or name another one in the queue's RedrivePolicy.",
        )
        return
    if queue.dead_letter_arn.endswith(".fifo") is not queue.is_fifo:
        yield Finding(
            Level.WARNING,
            "dead-letter-queue-kind",
            "QueueArn",
            f"{_name(queue.arn)} and its dead-letter queue {_name(queue.dead_letter_arn)} are not of one kind",
            "SQS wants both to be FIFO queues, or both standard queues. Messages may not get there.",
            "Name a dead-letter queue of the queue's own kind in its RedrivePolicy.",
        )
    # A FIFO queue's dead-letter queue counts from the moment of the move.
    if dead is not None and not queue.is_fifo and dead.retention_seconds <= queue.retention_seconds:
        yield Finding(
            Level.WARNING,
            "dead-letter-retention",
            "QueueArn",
            f"the dead-letter queue keeps messages for {_duration(dead.retention_seconds)}, the queue for"
            f" {_duration(queue.retention_seconds)}",
            "A message's age goes on counting from when it was first sent. After a long outage dead-lettered messages"
            " can expire before anybody has seen them.",
            "Set the dead-letter queue's MessageRetentionPeriod to 14 days, and the queue's below that.",
        )
    if dead is not None and dead.messages:
        yield Finding(
            Level.NOTE,
            "dead-letters-waiting",
            "QueueArn",
            f"the dead-letter queue has about {dead.messages} messages",
            "They are hard to tell from those of a later incident.",
            "Look at them, and redrive or purge them before you attach.",
        )


# The queue


def _retention(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    retention = pipeline.queue.retention_seconds
    if retention >= LONGEST_RETENTION_SECONDS:
        return
    short = retention < DEFAULT_RETENTION_SECONDS
    yield Finding(
        Level.WARNING if short else Level.NOTE,
        "retention-short" if short else "retention",
        "QueueArn",
        f"the queue keeps messages for {_duration(retention)}",
        "Messages expire in a paused queue as in any other: an outage that lasts longer loses them. The breaker says so"
        f" when the oldest message is {_duration(int(retention * NEAR_RETENTION))} old.",
        "Set the queue's MessageRetentionPeriod longer than any outage you expect, up to 14 days, and that of its"
        " dead-letter queue longer still.",
    )


def _fifo(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.queue.is_fifo:
        yield Finding(
            Level.NOTE,
            "fifo",
            "QueueArn",
            "the queue is a FIFO queue",
            "Order is kept. A message that is held for probing keeps the rest of its group waiting. With a single group"
            " nothing but its first message can be tried, and a trial decides. No more calls run at once than there are"
            " groups. REJITTER is refused.",
            "Nothing. Use many message groups, so that one bad message holds up little.",
        )


def _kms(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    key = pipeline.queue.kms_key
    if key and not key.endswith(_AWS_MANAGED_KEY):
        yield Finding(
            Level.WARNING,
            "customer-managed-key",
            "QueueArn",
            f"the queue is encrypted with the KMS key {key}",
            "Without that key the breaker can receive nothing, and no probe works. This check does not see what the"
            " breaker has been given.",
            "Set the parameter KmsKeyArn to the key's ARN, not an alias. The key's policy must let IAM grant its use."
            " If both are done, nothing.",
        )


def _delay(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if pipeline.queue.delay_seconds:
        yield Finding(
            Level.NOTE,
            "delay",
            "QueueArn",
            f"the queue delays new messages by {pipeline.queue.delay_seconds} s",
            "A probe that finds only delayed messages waits for them; that is no empty queue.",
            "Nothing.",
        )


def _hidden_messages(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    hidden = pipeline.queue.hidden_messages
    if hidden >= MANY_HIDDEN_MESSAGES:
        yield Finding(
            Level.WARNING,
            "many-hidden-messages",
            "QueueArn",
            f"about {hidden} messages of the queue are received and not deleted",
            "At about 120,000 SQS gives out no more, and a probe finds nothing to try.",
            "Find out who receives messages and does not delete them. A shorter VisibilityTimeout shows them sooner.",
        )


# The function


def _reserved_concurrency(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    reserved, mapping = pipeline.function.reserved_concurrency, pipeline.mapping
    if reserved is None:
        return
    if reserved == 0:
        yield Finding(
            Level.WARNING,
            "reserved-concurrency-zero",
            "TargetFunction",
            f"{pipeline.function.name!r} has a reserved concurrency of 0",
            "Every call is throttled. Messages are received all the same, and each receive counts. Throttled calls are"
            " no errors, so the error rate alarm does not trip.",
            "Remove the reserved concurrency, or raise it. To stop messages, disable the mapping.",
        )
        return
    if mapping.provisioned:
        return
    limits = [mapping.maximum_concurrency]
    limits += [
        other.maximum_concurrency
        for other in pipeline.others
        if _function(other.target) == _function(mapping.target) and not other.is_paused
    ]
    if 0 in limits or reserved < sum(limits):
        yield Finding(
            Level.WARNING,
            "reserved-concurrency-low",
            "TargetFunction",
            f"{pipeline.function.name!r} has a reserved concurrency of {reserved}, and its mappings may run"
            f" {'more' if 0 in limits else sum(limits)} batches at once",
            "Lambda receives more than may run. The rest is throttled, and each throttled message can lose a receive,"
            " most of all when a backlog drains.",
            (
                f"Set MaximumConcurrency of the function's mappings to {reserved} or less, together."
                if reserved >= LEAST_CONCURRENCY * len(limits)
                else f"Reserve {LEAST_CONCURRENCY * len(limits)} or more, and set the mappings' MaximumConcurrency to"
                " that, together."
            ),
        )


def _idempotency(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    function = pipeline.function
    twice = "SQS delivers a message more than once now and then, and so can a probe."
    if function.idempotency_disabled:
        yield Finding(
            Level.WARNING,
            "idempotency-disabled",
            "TargetFunction",
            f"{function.name!r} has POWERTOOLS_IDEMPOTENCY_DISABLED set",
            f"Powertools' idempotency does nothing there. {twice}",
            "Remove that environment variable.",
        )
    elif not any("IDEMPOTEN" in name.upper() for name in function.environment_names):
        yield Finding(
            Level.NOTE,
            "idempotency-unknown",
            "TargetFunction",
            f"nothing shows whether {function.name!r} is safe to call twice with the same message",
            f"It must be. {twice} This check only looks for an environment variable whose name speaks of idempotency.",
            "See to it in the code, for example with Powertools' idempotency utility.",
        )


def _unread(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for unread in pipeline.unread:
        yield Finding(
            Level.NOTE,
            "not-readable",
            unread.field,
            f"{unread.part}: not readable, needs {unread.needs}",
            "What stands there was not checked.",
            "Give yourself that permission and check again, or look for yourself.",
        )


# In the order in which they are told, within a level.
_RULES: tuple[Callable[[Pipeline, Plan], Iterator[Finding]], ...] = (
    _encrypted_filters,
    _unknown_filters,
    _target_timeout,
    _visibility_timeout,
    _rejitter_fifo,
    _filters_with_one_receive,
    _mapping_state,
    _receives,
    _few_receives,
    _dead_letter_queue,
    _retention,
    _partial_batches,
    _event_counts,
    _other_consumers,
    _other_sources,
    _reserved_concurrency,
    _provisioned_pollers,
    _kms,
    _filters,
    _batching_window,
    _fifo,
    _delay,
    _hidden_messages,
    _idempotency,
    _unread,
)


def _duration(seconds: int) -> str:
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{round(seconds / size, 1):g} {unit}"
    return f"{seconds} s"


def _name(arn: str) -> str:
    """Return the name that an ARN ends with, with alias or version."""
    return ":".join(arn.split(":")[6 if ":function:" in arn else 5 :])


def _function(arn: str) -> str:
    """Return a function's ARN without alias or version."""
    return ":".join(arn.split(":")[:7])
