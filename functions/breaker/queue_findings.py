"""What the queue and its dead-letter queue show. See `breaker.findings`.

How many receives an outage uses up is reckoned for the worst case: a message comes again after each visibility timeout
until the mapping is disabled, and Lambda does not slow down.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html for the visibility timeout and
maxReceiveCount, https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html for retries,
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html for retention.
"""

from collections.abc import Iterator

from breaker.finding import Finding, Level, Plan, Rule, duration, name_of
from breaker.pipeline import Pipeline, QueueFacts
from breaker.retention import DEFAULT_RETENTION_SECONDS, LONGEST_RETENTION_SECONDS, NEAR_RETENTION

# What AWS recommends.
RECOMMENDED_TIMEOUTS_IN_VISIBILITY = 6
RECOMMENDED_RECEIVES = 5
# Without stored contents a message on its last receive cannot be tried again.
RECEIVES_WITHOUT_STORED_CONTENT = 3
# SQS lets about 120,000 messages of a queue be hidden at once.
MANY_HIDDEN_MESSAGES = 100_000

_AWS_MANAGED_KEY = "alias/aws/sqs"


def receives_until_paused(pipeline: Pipeline, plan: Plan) -> int:
    """Return how often one message can be received and fail before the mapping is disabled."""
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    return detection // max(1, pipeline.queue.visibility_timeout_seconds) + 1


def messages_used_up(pipeline: Pipeline, plan: Plan) -> int:
    """Return how many messages have used up all their receives when the mapping is disabled.

    SQS dead-letters such a message at its next receive, whether the target works again or not.
    """
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    return used_up_within(detection, pipeline.queue, plan.messages_per_second)


def used_up_within(seconds: int, queue: QueueFacts, messages_per_second: float) -> int:
    """Return how many messages have used up all their receives so long after the first failure."""
    if queue.max_receive_count is None:
        return 0
    last_receive_after = (queue.max_receive_count - 1) * queue.visibility_timeout_seconds
    return round(messages_per_second * max(0, seconds - last_receive_after))


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


def _redrive(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    if not plan.settings["Redrive"]:
        return
    if pipeline.queue.is_fifo:
        yield Finding(
            Level.ERROR,
            "redrive-fifo",
            "Redrive",
            "True must not be used with a FIFO queue: what comes back would come after what was sent later",
            "The order would break.",
            "Set Redrive to false.",
        )
    elif not pipeline.queue.dead_letter_arn:
        yield Finding(
            Level.ERROR,
            "redrive-nothing",
            "Redrive",
            f"True must not be used with {pipeline.queue.arn!r}, which has no dead-letter queue to move messages back"
            " from",
            "There is nothing to move.",
            "Give the queue a RedrivePolicy, or set Redrive to false.",
        )


def _receives(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    most = pipeline.queue.max_receive_count
    if most is None:
        return
    burnt, lost = receives_until_paused(pipeline, plan), messages_used_up(pipeline, plan)
    detection = plan.detection_seconds(pipeline.function.timeout_seconds)
    visibility = pipeline.queue.visibility_timeout_seconds
    wanted = max(RECOMMENDED_RECEIVES, burnt + 2)
    until = f"It can take about {duration(detection)} until the mapping is disabled. Until then a message"
    until += f" comes every {visibility} s"
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
            f"Set maxReceiveCount to {wanted} or more"
            + (f", or VisibilityTimeout to {detection // (most - 1) + 1} s or more." if most > 1 else "."),
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
    if receives_until_paused(pipeline, plan) < most < RECOMMENDED_RECEIVES:
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
            f"SQS says that the dead-letter queue {name_of(queue.dead_letter_arn)} does not exist",
            "SQS cannot put messages there that have used up their receives.",
            "Make that queue, or name another one in the queue's RedrivePolicy.",
        )
        return
    if queue.dead_letter_arn.endswith(".fifo") is not queue.is_fifo:
        yield Finding(
            Level.WARNING,
            "dead-letter-queue-kind",
            "QueueArn",
            f"the queue {name_of(queue.arn)} and its dead-letter queue {name_of(queue.dead_letter_arn)} are not of one"
            " kind",
            "SQS wants both to be FIFO queues, or both standard queues. Messages may not get there.",
            "Name a dead-letter queue of the queue's own kind in its RedrivePolicy.",
        )
    # A FIFO queue's dead-letter queue counts from the moment of the move.
    if dead is not None and not queue.is_fifo and dead.retention_seconds <= queue.retention_seconds:
        yield Finding(
            Level.WARNING,
            "dead-letter-retention",
            "QueueArn",
            f"the dead-letter queue keeps messages for {duration(dead.retention_seconds)}, the queue for"
            f" {duration(queue.retention_seconds)}",
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


def _retention(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    retention = pipeline.queue.retention_seconds
    if retention >= LONGEST_RETENTION_SECONDS:
        return
    short = retention < DEFAULT_RETENTION_SECONDS
    yield Finding(
        Level.WARNING if short else Level.NOTE,
        "retention-short" if short else "retention",
        "QueueArn",
        f"the queue keeps messages for {duration(retention)}",
        "Messages expire in a paused queue as in any other: an outage that lasts longer loses them. The breaker says so"
        f" when the oldest message is {duration(int(retention * NEAR_RETENTION))} old.",
        "Set the queue's MessageRetentionPeriod longer than any outage you expect, up to 14 days, and that of its"
        " dead-letter queue longer still.",
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


RULES: tuple[Rule, ...] = (
    _visibility_timeout,
    _filters_with_one_receive,
    _rejitter_fifo,
    _redrive,
    _receives,
    _few_receives,
    _dead_letter_queue,
    _retention,
    _kms,
    _fifo,
    _delay,
    _hidden_messages,
)
