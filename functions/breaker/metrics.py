"""Reads CloudWatch's metrics of a circuit's function, mapping and queue."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from breaker.errors import MetricsUnanswered
from breaker.health import Counts, HealthRule
from breaker.retention import LONGEST_RETENTION_SECONDS
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef

# Metrics that are published every minute or five, the latest of which counts.
_RECENT_SECONDS = 900
# From a judgement that can be made to the mapping Disabled.
_LOOK_AND_PAUSE_SECONDS = 60
# A queue's approximate numbers settle within about a minute; twice that, and the minute itself.
_SETTLING_SECONDS = 180
_UNANSWERED = {"InternalError", "Forbidden"}


def health_rule(circuit: Circuit) -> HealthRule:
    """Return the rule that the circuit's settings ask for."""
    settings = circuit.settings
    return HealthRule(
        percent=settings["ErrorRatePercent"],
        minimum=settings["MinimumInvocations"],
        period_seconds=settings["MetricPeriodSeconds"],
        delay_seconds=settings["MetricDelaySeconds"],
        timeout_seconds=circuit.target_timeout_seconds,
        slow_seconds=settings["SlowTargetSeconds"],
    )


def wait_for_metrics_seconds(
    circuit: Circuit, began: datetime, now: datetime, *, looked: datetime | None = None
) -> int:
    """Return when what followed `began` is to be looked at again, in seconds, by the circuit's rule."""
    return health_rule(circuit).wait_seconds(
        began.timestamp(),
        now.timestamp(),
        enough_periods=circuit.settings["HealthPeriods"],
        looked=looked.timestamp() if looked else None,
    )


def trial_seconds(circuit: Circuit) -> int:
    """Return how long a trial that goes wrong lets messages flow, at most."""
    rule = health_rule(circuit)
    # The step may begin just after a period did.
    periods = 1 + int(circuit.settings["HealthPeriods"])
    return periods * rule.period_seconds + rule.settle_seconds + _LOOK_AND_PAUSE_SECONDS


@dataclass(frozen=True)
class Metrics:
    """The metrics of one circuit."""

    client: "CloudWatchClient"
    circuit: Circuit

    def periods(self, *, began: float, now: float) -> dict[int, Counts]:
        """Return what each whole period counted that began after `began` and has ended, by its begin.

        Calls are counted by the function as a whole, as the built-in alarm counts them. Messages are counted where the
        mapping publishes EventCount metrics, durations where the circuit has a bound for them.
        """
        rule = health_rule(self.circuit)
        ended = rule.ended_periods(began, now)
        if not ended:
            return {}
        first = rule.first_period(began)
        function = {"FunctionName": self.circuit.target.split(":")[6]}
        mapping = {"EventSourceMappingUUID": self.circuit.mapping_id}
        queries = [
            _query("calls", "AWS/Lambda", "Invocations", function, rule.period_seconds),
            _query("failed_calls", "AWS/Lambda", "Errors", function, rule.period_seconds),
            _query("messages", "AWS/Lambda", "InvokedEventCount", mapping, rule.period_seconds),
            _query("failed_messages", "AWS/Lambda", "FailedInvokeEventCount", mapping, rule.period_seconds),
        ]
        if rule.slow_seconds:
            queries += [
                _query("timed_calls", "AWS/Lambda", "Duration", function, rule.period_seconds, "SampleCount"),
                _query("milliseconds", "AWS/Lambda", "Duration", function, rule.period_seconds),
            ]
        values = self._read(queries, first, first + ended * rule.period_seconds)
        begins = {begin for series in values.values() for begin in series}
        return {
            begin: Counts(**{name: round(series.get(begin, 0)) for name, series in values.items()}) for begin in begins
        }

    def most_processed(self, began: float, ended: float) -> int:
        """Return the messages a minute that were deleted from the queue in the best whole period between; 0 if none.

        What the target has processed, its mapping deletes. Calls tell less: how many messages each took is not known.
        """
        queue = {"QueueName": self.circuit.queue_arn.rpartition(":")[2]}
        rule = health_rule(self.circuit)
        first, periods = rule.first_period(began), rule.ended_periods(began, ended)
        if not periods:
            return 0
        query = _query("deleted", "AWS/SQS", "NumberOfMessagesDeleted", queue, rule.period_seconds)
        deleted = self._read([query], first, first + periods * rule.period_seconds)["deleted"]
        return round(max(deleted.values(), default=0) * 60 / rule.period_seconds)

    def age_of_oldest_message(self, *, now: float) -> float:
        """Return the age of the queue's oldest message in seconds as CloudWatch saw it last, 0 where it saw none."""
        queue = {"QueueName": self.circuit.queue_arn.rpartition(":")[2]}
        query = _query("age", "AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 60, "Maximum")
        until = int(now) // 60 * 60 + 60
        return max(self._read([query], until - _RECENT_SECONDS, until)["age"].values(), default=0)

    def worst_of_queue(self, *, began: float, now: float) -> tuple[int | None, int | None]:
        """Return the greatest age of the oldest message in seconds, and the most visible messages, since a moment.

        None where CloudWatch saw none: a queue publishes nothing while it is not used.
        """
        queue = {"QueueName": self.circuit.queue_arn.rpartition(":")[2]}
        queries = [
            _query("age", "AWS/SQS", "ApproximateAgeOfOldestMessage", queue, 60, "Maximum"),
            _query("visible", "AWS/SQS", "ApproximateNumberOfMessagesVisible", queue, 60, "Maximum"),
        ]
        values = self._read(queries, int(began) // 60 * 60, int(now) // 60 * 60 + 60)
        age, visible = (max(values[name].values(), default=None) for name in ("age", "visible"))
        return (None if age is None else round(age), None if visible is None else round(visible))

    def dead_letters_before(self, moment: float) -> float:
        """Return how many messages CloudWatch last saw in the dead-letter queue before a moment, 0 where it saw none.

        A queue that is empty and not used publishes nothing, so it is looked back as far as SQS can keep a message.
        Whatever was seen in the last minutes before the moment counts.
        """
        until = int(moment) // 60 * 60
        from_hour = until // 3600 * 3600 - 3600
        by_minute = self._dead_letters(from_hour, until, period=60)
        last_minutes = [value for at, value in by_minute.items() if at >= until - _SETTLING_SECONDS]
        if last_minutes:
            return max(last_minutes)
        seen = by_minute or self._dead_letters(from_hour - LONGEST_RETENTION_SECONDS, from_hour, period=3600)
        return seen[max(seen)] if seen else 0

    def _dead_letters(self, start: int, end: int, *, period: int) -> dict[int, float]:
        """Return the messages in the dead-letter queue, visible or not, by begin of the period."""
        queue = {"QueueName": self.circuit.dead_letter_queue_arn.rpartition(":")[2]}
        queries = [
            _query(name, "AWS/SQS", f"ApproximateNumberOfMessages{kind}", queue, period, "Maximum")
            for name, kind in (("visible", "Visible"), ("hidden", "NotVisible"), ("delayed", "Delayed"))
        ]
        total: dict[int, float] = {}
        for series in self._read(queries, start, end).values():
            for at, value in series.items():
                total[at] = total.get(at, 0) + value
        return total

    def _read(self, queries: "list[MetricDataQueryTypeDef]", start: int, end: int) -> dict[str, dict[int, float]]:
        values: dict[str, dict[int, float]] = {query["Id"]: {} for query in queries}
        pages = self.client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            for result in page["MetricDataResults"]:
                if result.get("StatusCode") in _UNANSWERED:
                    # No data would read as no failures, or as an empty queue.
                    raise MetricsUnanswered(f"{result['Id']}: CloudWatch answered {result.get('StatusCode')}")
                for at, value in zip(result["Timestamps"], result["Values"], strict=True):
                    values[result["Id"]][int(at.timestamp())] = value
        return values


def _query(
    name: str, namespace: str, metric: str, dimensions: dict[str, str], period: int, statistic: str = "Sum"
) -> "MetricDataQueryTypeDef":
    return {
        "Id": name,
        "ReturnData": True,
        "MetricStat": {
            "Stat": statistic,
            "Period": period,
            "Metric": {
                "Namespace": namespace,
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
        },
    }
