"""What the mapping shows, and the other mappings of its function and of its queue. See `breaker.findings`."""

from collections.abc import Iterator

from breaker.filtering import UnknownPattern, check_filters
from breaker.finding import Finding, Level, Plan, Rule, function_of, name_of
from breaker.pipeline import Pipeline


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


def _other_consumers(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for other in pipeline.others:
        if other.source != pipeline.mapping.source:
            continue
        what = f"another consumer, {name_of(other.target)}, reads from the same queue by mapping {other.id}"
        if other.is_paused:
            yield Finding(
                Level.NOTE,
                "other-consumer-paused",
                "QueueArn",
                f"{what} ({other.state})",
                "As long as it stays so, it takes nothing away.",
                "Delete it if it is not needed. If it is enabled one day, pausing this mapping stops only a part.",
            )
        else:
            yield Finding(
                Level.WARNING,
                "other-consumer",
                "QueueArn",
                f"{what} ({other.state})",
                "Pausing this mapping leaves the messages to the other one. If it fails too, they use up their receives"
                " and are dead-lettered although the circuit is open.",
                "Give each consumer a queue of its own, or delete the other mapping.",
            )


def _other_sources(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for other in pipeline.others:
        if other.source == pipeline.mapping.source or function_of(other.target) != function_of(pipeline.mapping.target):
            continue
        source = name_of(other.source) or "another source"
        what = f"the function, as {name_of(other.target)}, also reads from {source} by mapping {other.id}"
        if other.is_paused:
            yield Finding(
                Level.NOTE,
                "other-source-paused",
                "TargetFunction",
                f"{what} ({other.state})",
                "As long as it stays so, it disturbs nothing. The breaker never enables it.",
                "Nothing.",
            )
        else:
            yield Finding(
                Level.WARNING,
                "other-source",
                "TargetFunction",
                f"{what} ({other.state})",
                "It stays enabled while this circuit is open, and its messages go on failing. Calls from both count in"
                " the same alarm, so either can open this circuit, or delay its recovery.",
                "Register a circuit for that queue, too, or give each queue a function of its own.",
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


RULES: tuple[Rule, ...] = (
    _encrypted_filters,
    _unknown_filters,
    _mapping_state,
    _partial_batches,
    _event_counts,
    _other_consumers,
    _other_sources,
    _provisioned_pollers,
    _filters,
    _batching_window,
)
