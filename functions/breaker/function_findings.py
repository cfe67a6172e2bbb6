"""What the target shows. See `breaker.findings`."""

from collections.abc import Iterator

from breaker.finding import Finding, Level, Plan, Rule, duration, function_of
from breaker.pipeline import Pipeline
from breaker.ramp import LEAST_CONCURRENCY

# A probe waits for the target inside one handler, which Lambda ends after 900 s.
MAX_TARGET_TIMEOUT_SECONDS = 840
# A step of a recovery is judged only when the target's timeout has passed, too.
LONG_TARGET_TIMEOUT_SECONDS = 300


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
            f"Each step of a recovery takes up to {duration(step + timeout)} to be called good: calls that began in it"
            " must have ended. A probe may take as long as the timeout.",
            "Set the function's Timeout no longer than its work needs.",
        )


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
        if function_of(other.target) == function_of(mapping.target) and not other.is_paused
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


RULES: tuple[Rule, ...] = (
    _target_timeout,
    _reserved_concurrency,
    _idempotency,
)
