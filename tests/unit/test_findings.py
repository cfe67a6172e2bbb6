"""Each rule: a pipeline that breaks it, and one that just does not."""

import ast
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker import findings, function_findings, mapping_findings, queue_findings, traffic_findings
from breaker.errors import InvalidSetting
from breaker.finding import PAUSING_SECONDS, AlarmTiming, Finding, Level, Plan
from breaker.findings import find, refuse
from breaker.pipeline import DeadLetterFacts, FunctionFacts, MappingFacts, Pipeline, QueueFacts, Unread
from breaker.queue_findings import messages_used_up, receives_until_paused
from breaker.settings_schema import complete
from breaker.traffic_findings import Sight, sight

DAY = 86_400
SQS = "arn:aws:sqs:us-east-1:123456789012"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:orders-target"
BUILT_IN = AlarmTiming()
ERROR, WARNING, NOTE = Level.ERROR, Level.WARNING, Level.NOTE

function = FunctionFacts(
    name="orders-target", arn=FUNCTION, timeout_seconds=30, environment_names=("IDEMPOTENCY_TABLE",)
)
queue = QueueFacts(
    arn=f"{SQS}:orders",
    visibility_timeout_seconds=180,
    max_receive_count=5,
    dead_letter_arn=f"{SQS}:orders-dlq",
    retention_seconds=7 * DAY,
)
mapping = MappingFacts(
    id="11111111-2222-3333-4444-555555555555",
    target=FUNCTION,
    source=queue.arn,
    state="Enabled",
    partial_batch_response=True,
    counts_events=True,
)
good = Pipeline(function, queue, mapping, dead_letter=DeadLetterFacts(exists=True))
fifo = replace(queue, arn=f"{SQS}:orders.fifo", dead_letter_arn=f"{SQS}:orders-dlq.fifo")
# Worth knowing of any pipeline that reports batch item failures and whose queue keeps messages for less than 14 days.
ALWAYS = {"receives-left", "retention", "partial-batches-unseen"}


def plan(*, alarm: AlarmTiming = BUILT_IN, rate: float = 1, **settings: Any) -> Plan:
    return Plan(complete({"Recovery": "RAMP", **settings}), alarm, rate)


def with_(*, others: Any = (), unread: Any = (), dead: Any = good.dead_letter, **changes: dict[str, Any]) -> Pipeline:
    return Pipeline(
        function=replace(function, **changes.get("function", {})),
        queue=replace(queue, **changes.get("queue", {})),
        mapping=replace(mapping, **changes.get("mapping", {})),
        others=tuple(others),
        dead_letter=dead,
        unread=tuple(unread),
    )


def found(pipeline: Pipeline, how: Plan | None = None) -> dict[str, Finding]:
    told = find(pipeline, how or plan())
    assert len({finding.rule for finding in told}) == len(told)
    return {finding.rule: finding for finding in told}


other_consumer = replace(mapping, id="other", target=f"{FUNCTION}-2")
other_source = replace(mapping, id="other", target=f"{FUNCTION}:live", source=f"{SQS}:refunds")


def test_find_good_pipeline_says_only_what_is_always_worth_knowing() -> None:
    assert set(found(good)) == ALWAYS


CASES: dict[str, tuple[Level, Pipeline, Pipeline]] = {
    "filters-encrypted": (
        ERROR,
        with_(mapping={"filters_hidden": True}),
        with_(mapping={"filters": ('{"body": {"kind": ["gift"]}}',)}),
    ),
    "filter-unknown": (
        ERROR,
        with_(mapping={"filters": ('{"body": {"kind": [{"wildcard": "g*"}]}}',)}),
        with_(mapping={"filters": ('{"body": {"kind": [{"prefix": "g"}]}}',)}),
    ),
    "target-timeout-too-long": (
        ERROR,
        with_(function={"timeout_seconds": 841}, queue={"visibility_timeout_seconds": 6_000}),
        with_(function={"timeout_seconds": 840}, queue={"visibility_timeout_seconds": 6_000}),
    ),
    "target-timeout-long": (
        NOTE,
        with_(function={"timeout_seconds": 300}, queue={"visibility_timeout_seconds": 1_800}),
        with_(function={"timeout_seconds": 299}, queue={"visibility_timeout_seconds": 1_800}),
    ),
    "visibility-below-timeout": (
        ERROR,
        with_(queue={"visibility_timeout_seconds": 29, "max_receive_count": 50}),
        with_(queue={"visibility_timeout_seconds": 30, "max_receive_count": 50}),
    ),
    "visibility-short": (
        WARNING,
        with_(mapping={"batching_window_seconds": 1}),
        with_(mapping={"batching_window_seconds": 1}, queue={"visibility_timeout_seconds": 181}),
    ),
    "filters-one-receive": (
        ERROR,
        with_(mapping={"filters": ('{"body": {"kind": ["gift"]}}',)}, queue={"max_receive_count": 1}),
        with_(mapping={"filters": ('{"body": {"kind": ["gift"]}}',)}, queue={"max_receive_count": 2}),
    ),
    "mapping-paused": (WARNING, with_(mapping={"state": "Disabling"}), with_(mapping={"state": "Updating"})),
    "mapping-deleting": (WARNING, with_(mapping={"state": "Deleting"}), with_(mapping={"state": "Disabled"})),
    "receives-used-up": (WARNING, with_(queue={"max_receive_count": 2}), with_(queue={"max_receive_count": 3})),
    "receives-left": (NOTE, with_(queue={"max_receive_count": 3}), with_(queue={"max_receive_count": 2})),
    "few-receives": (NOTE, with_(queue={"max_receive_count": 4}), good),
    "no-dead-letter-queue": (
        WARNING,
        with_(queue={"dead_letter_arn": "", "max_receive_count": None}, dead=None),
        with_(dead=None),
    ),
    "dead-letter-queue-missing": (WARNING, with_(dead=DeadLetterFacts(exists=False)), good),
    "dead-letter-queue-kind": (
        WARNING,
        with_(queue={"dead_letter_arn": fifo.dead_letter_arn}),
        replace(good, queue=fifo),
    ),
    "dead-letter-retention": (
        WARNING,
        with_(dead=DeadLetterFacts(exists=True, retention_seconds=7 * DAY)),
        with_(dead=DeadLetterFacts(exists=True, retention_seconds=7 * DAY + 1)),
    ),
    "dead-letters-waiting": (NOTE, with_(dead=DeadLetterFacts(exists=True, messages=1)), good),
    "retention-short": (
        WARNING,
        with_(queue={"retention_seconds": 4 * DAY - 1}),
        with_(queue={"retention_seconds": 4 * DAY}),
    ),
    "retention": (NOTE, with_(queue={"retention_seconds": 4 * DAY}), with_(queue={"retention_seconds": 14 * DAY})),
    "partial-batches-unseen": (
        WARNING,
        with_(mapping={"counts_events": False}),
        with_(mapping={"partial_batch_response": False}),
    ),
    "whole-batches-fail": (
        NOTE,
        with_(mapping={"partial_batch_response": False, "batch_size": 2}),
        with_(mapping={"partial_batch_response": False, "batch_size": 1}),
    ),
    "no-event-counts": (NOTE, with_(mapping={"counts_events": False}), good),
    "other-consumer": (WARNING, with_(others=[other_consumer]), with_(others=[other_source])),
    "other-consumer-paused": (
        NOTE,
        with_(others=[replace(other_consumer, state="Disabled")]),
        with_(others=[other_consumer]),
    ),
    "other-source": (WARNING, with_(others=[other_source]), with_(others=[other_consumer])),
    "other-source-paused": (
        NOTE,
        with_(others=[replace(other_source, state="Disabled")]),
        with_(others=[other_source]),
    ),
    "reserved-concurrency-zero": (
        WARNING,
        with_(function={"reserved_concurrency": 0}),
        with_(function={"reserved_concurrency": None}),
    ),
    "reserved-concurrency-low": (
        WARNING,
        with_(function={"reserved_concurrency": 9}, mapping={"maximum_concurrency": 10}),
        with_(function={"reserved_concurrency": 10}, mapping={"maximum_concurrency": 10}),
    ),
    "provisioned-pollers": (WARNING, with_(mapping={"provisioned": True}), good),
    "customer-managed-key": (
        WARNING,
        with_(queue={"kms_key": "arn:aws:kms:us-east-1:123456789012:key/1"}),
        with_(queue={"kms_key": "alias/aws/sqs"}),
    ),
    "filters": (NOTE, with_(mapping={"filters": ('{"body": {"kind": ["gift"]}}',)}), good),
    "batching-window": (
        NOTE,
        with_(mapping={"batching_window_seconds": 13}, queue={"visibility_timeout_seconds": 200}),
        with_(mapping={"batching_window_seconds": 12}, queue={"visibility_timeout_seconds": 200}),
    ),
    "fifo": (NOTE, replace(good, queue=fifo), good),
    "delay": (NOTE, with_(queue={"delay_seconds": 1}), good),
    "many-hidden-messages": (
        WARNING,
        with_(queue={"hidden_messages": 100_000}),
        with_(queue={"hidden_messages": 99_999}),
    ),
    "idempotency-disabled": (WARNING, with_(function={"idempotency_disabled": True}), good),
    "idempotency-unknown": (NOTE, with_(function={"environment_names": ("TABLE",)}), good),
    # 5 a minute are 7,200 a day.
    "few-calls": (NOTE, with_(function={"calls_last_day": 7_199}), with_(function={"calls_last_day": 7_200})),
    "no-calls": (NOTE, with_(function={"calls_last_day": 0}), good),
    "not-readable": (
        NOTE,
        with_(unread=[Unread("QueueArn", "the dead-letter queue", f"sqs:GetQueueAttributes on {SQS}:orders-dlq")]),
        good,
    ),
}


@pytest.mark.parametrize("rule", CASES)
def test_find_pipeline_that_breaks_a_rule_is_told_so_and_one_that_just_keeps_it_is_not(rule: str) -> None:
    level, breaking, keeping = CASES[rule]
    finding = found(breaking)[rule]
    assert finding.level is level
    assert all((finding.field, finding.what, finding.means, finding.remedy))
    assert rule not in found(keeping)


@pytest.mark.parametrize("rule", [rule for rule, (level, _, _) in CASES.items() if level is ERROR])
def test_refuse_error_is_refused_naming_field_and_value(rule: str) -> None:
    _, breaking, keeping = CASES[rule]
    error = found(breaking)[rule]
    with pytest.raises(InvalidSetting) as refusal:
        refuse([error])
    assert str(refusal.value) == f"{error.field}: {error.what}"
    refuse([finding for finding in find(keeping, plan()) if finding.level is not ERROR])


def test_find_every_finding_has_a_case() -> None:
    calls = [
        node
        for module in (findings, queue_findings, mapping_findings, function_findings, traffic_findings)
        for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding"
    ]
    rules = {part.value for call in calls for part in ast.walk(call.args[1]) if isinstance(part, ast.Constant)}
    # These depend on the settings and have tests of their own.
    assert rules == {*CASES, "rejitter-fifo", "redrive-fifo", "redrive-nothing", "content-not-stored"}


def test_find_tells_errors_first_then_warnings_then_notes() -> None:
    levels = [finding.level for finding in find(with_(queue={"visibility_timeout_seconds": 1}, dead=None), plan())]
    assert levels == sorted(levels, key=[ERROR, WARNING, NOTE].index)
    assert {*levels} == {ERROR, WARNING, NOTE}


def test_find_rejitter_is_refused_for_fifo_queues_only() -> None:
    assert found(replace(good, queue=fifo), plan(Recovery="REJITTER"))["rejitter-fifo"].level is ERROR
    assert "rejitter-fifo" not in found(good, plan(Recovery="REJITTER"))
    assert "rejitter-fifo" not in found(replace(good, queue=fifo), plan(Recovery="IMMEDIATE"))


def test_find_redrive_is_refused_where_order_matters_or_there_is_nothing_to_move() -> None:
    assert found(replace(good, queue=fifo), plan(Redrive=True))["redrive-fifo"].level is ERROR
    assert found(with_(queue={"dead_letter_arn": ""}), plan(Redrive=True))["redrive-nothing"].level is ERROR
    for pipeline, settings in ((good, {"Redrive": True}), (replace(good, queue=fifo), {"Redrive": False})):
        assert not {"redrive-fifo", "redrive-nothing"} & found(pipeline, plan(**settings)).keys()


def test_find_provisioned_pollers_matter_to_a_ramp_only() -> None:
    assert "provisioned-pollers" not in found(with_(mapping={"provisioned": True}), plan(Recovery="IMMEDIATE"))


def test_find_two_receives_matter_where_contents_are_not_stored() -> None:
    two, three = with_(queue={"max_receive_count": 2}), with_(queue={"max_receive_count": 3})
    assert "content-not-stored" in found(two, plan(StoreHeldMessages=False))
    assert "content-not-stored" not in found(three, plan(StoreHeldMessages=False))
    assert "content-not-stored" not in found(two)


def test_find_reserved_concurrency_counts_all_mappings_of_the_function() -> None:
    function, own = {"reserved_concurrency": 10}, {"maximum_concurrency": 6}
    second = replace(other_source, maximum_concurrency=5)
    rule = "reserved-concurrency-low"
    assert rule not in found(with_(function=function, mapping=own))
    assert rule in found(with_(function=function, mapping=own, others=[second]))
    assert rule not in found(with_(function=function, mapping=own, others=[replace(second, state="Disabled")]))
    assert rule not in found(with_(function=function, mapping=own, others=[other_consumer]))
    assert rule in found(with_(function=function))  # no maximum at all


def test_find_partial_batches_are_a_note_where_failed_messages_are_counted() -> None:
    assert found(good)["partial-batches-unseen"].level is NOTE


def test_find_dead_letters_of_a_fifo_queue_count_their_age_anew() -> None:
    dead = DeadLetterFacts(exists=True, retention_seconds=DAY)
    assert "dead-letter-retention" not in found(replace(good, queue=fifo, dead_letter=dead))


# Calls too few for the alarm


@pytest.mark.parametrize(
    ("in_period", "receives", "expected"),
    [
        (5.0, 3, Sight(1, seen=True, later_seconds=0)),
        (3.0, 3, Sight(2, seen=True, later_seconds=90)),
        (2.5, 1, Sight(2, seen=False, later_seconds=0)),
        (1.0, 5, Sight(5, seen=True, later_seconds=360)),
        (1.0, 4, Sight(5, seen=False, later_seconds=0)),
        (0.01, None, Sight(500, seen=True, later_seconds=499 * 90)),
    ],
)
def test_sight_counts_what_comes_again_until_receives_are_used_up(
    in_period: float, receives: int | None, expected: Sight
) -> None:
    assert sight(in_period, 5, visibility_timeout=90, max_receive_count=receives) == expected


def few_calls(a_minute: float, visibility: int, receives: int | None, **settings: Any) -> Finding:
    pipeline = with_(
        function={"calls_last_day": round(a_minute * 1_440)},
        queue={"visibility_timeout_seconds": visibility, "max_receive_count": receives},
    )
    return found(pipeline, plan(**settings))["few-calls"]


def test_find_few_calls_that_are_seen_late_are_told_with_what_that_costs_and_what_to_set() -> None:
    told = few_calls(3, 90, 3)
    assert told.level is WARNING
    assert told.what == "'orders-target' was called 4320 times in the last day, 3 a minute in the mean"
    # Paused after 300 + 90 s; a message sent in the first 210 of these has had its third receive.
    assert told.means == (
        "The built-in alarm wants 5 calls in 60 s. There are 3 in the mean, and failed messages come again every 90 s:"
        " it sees an outage when each has come 2 times, about 90 s later than with many calls. Up to 10 messages have"
        " no receive left then, and SQS dead-letters them."
    )
    assert told.remedy == (
        "Set MinimumInvocations to 3; or set AlarmPeriodSeconds and MetricPeriodSeconds to 120, which opens"
        " later; or have the function ask for the circuit to be opened: the event Circuit Trip Requested needs no"
        " minimum."
    )
    # Nothing is dead-lettered by that.
    assert few_calls(3, 180, 5).level is few_calls(3, 90, None).level is NOTE
    assert "dead-letters" not in few_calls(3, 180, 5).means


def test_find_few_calls_that_are_never_seen_are_told_with_what_an_hour_costs() -> None:
    told = few_calls(1, 60, 3)
    assert told.level is WARNING
    assert (
        "but only 3 times: the circuit does not open. An outage of an hour dead-letters up to 58 messages" in told.means
    )
    assert told.remedy.startswith(
        "Set MinimumInvocations to 2 (a message that nobody can process may then open the circuit); or set"
        " AlarmPeriodSeconds and MetricPeriodSeconds to 300,"
    )


def test_find_few_calls_advice_is_only_what_helps() -> None:
    # Two in a minute would not be reached either, nor five in a quarter of an hour.
    assert few_calls(0.3, 60, 3).remedy.startswith("Have the function ask")
    assert "MinimumInvocations" not in few_calls(1, 60, 3, MinimumInvocations=2).remedy


# The arithmetic of receives


def test_plan_detection_counts_a_partly_bad_period_the_delay_and_the_timeout() -> None:
    assert plan().detection_seconds(30) == 60 + 60 + 90 + 30 + PAUSING_SECONDS
    slow = plan(alarm=AlarmTiming(period_seconds=300, datapoints=2), MetricDelaySeconds=30)
    assert slow.detection_seconds(10) == 300 + 2 * 300 + 30 + 10 + PAUSING_SECONDS


@pytest.mark.parametrize(
    ("visibility", "burnt"),
    # 300 s until the mapping is disabled.
    [(301, 1), (300, 2), (180, 2), (120, 3), (30, 11), (0, 301)],
)
def test_receives_until_paused_counts_the_first_and_one_each_visibility_timeout(visibility: int, burnt: int) -> None:
    assert receives_until_paused(with_(queue={"visibility_timeout_seconds": visibility}), plan()) == burnt


@pytest.mark.parametrize(
    ("most", "visibility", "rate", "lost"),
    [(3, 60, 1, 180), (3, 60, 2.5, 450), (5, 60, 1, 60), (6, 60, 1, 0), (1, 180, 1, 300), (None, 60, 1, 0)],
)
def test_messages_used_up_counts_those_whose_last_receive_came_before_the_pause(
    most: int | None, visibility: int, rate: float, lost: int
) -> None:
    pipeline = with_(queue={"max_receive_count": most, "visibility_timeout_seconds": visibility})
    assert messages_used_up(pipeline, plan(rate=rate)) == lost


@given(
    most=st.integers(1, 60),
    visibility=st.integers(1, 1_000),
    timeout=st.integers(1, 840),
    rate=st.floats(0.1, 50),
    period=st.sampled_from([10, 60, 300]),
)
def test_messages_used_up_agrees_with_one_message_a_moment_played_through(
    most: int, visibility: int, timeout: int, rate: float, period: int
) -> None:
    pipeline = with_(
        queue={"max_receive_count": most, "visibility_timeout_seconds": visibility},
        function={"timeout_seconds": timeout},
    )
    how = plan(alarm=AlarmTiming(period_seconds=period), rate=rate)
    detection = how.detection_seconds(timeout)
    # Second by second: how many messages, first received then, were received as often as they may be.
    used_up = sum(len(range(first, detection + 1, visibility)) >= most for first in range(1, detection + 1))
    assert abs(messages_used_up(pipeline, how) - rate * used_up) <= 0.5
    assert (receives_until_paused(pipeline, how) >= most) >= (used_up > 0)


def test_find_receives_used_up_says_how_many_messages_and_what_to_set() -> None:
    finding = found(with_(queue={"max_receive_count": 3, "visibility_timeout_seconds": 60}), plan(rate=2))[
        "receives-used-up"
    ]
    assert "maxReceiveCount is 3, and 6 can fail" in finding.what
    assert "At a rate of 2 a second, up to 360 messages have no receive left then" in finding.means
    assert "With ReportBatchItemFailures Lambda goes on polling at full pace" in finding.means
    assert finding.remedy == "Set maxReceiveCount to 8 or more, or VisibilityTimeout to 151 s or more."


@pytest.mark.parametrize("most", range(1, 12))
@pytest.mark.parametrize("visibility", [30, 60, 110, 120, 300])
def test_find_receives_used_up_is_mended_by_what_it_says_and_by_no_less(most: int, visibility: int) -> None:
    def is_told(count: int, seconds: int) -> Finding | None:
        pipeline = with_(queue={"max_receive_count": count, "visibility_timeout_seconds": seconds})
        return found(pipeline).get("receives-used-up")

    finding = is_told(most, visibility)
    if finding is None:
        return
    wanted, *longer = [int(number) for number in re.findall(r"[0-9]+", finding.remedy)]
    assert is_told(wanted, visibility) is None
    for seconds in longer:
        assert is_told(most, seconds) is None
        assert is_told(most, seconds - 1) is not None
    assert bool(longer) is (most > 1)


def test_find_receives_without_partial_batches_may_be_fewer() -> None:
    finding = found(with_(mapping={"partial_batch_response": False}))["receives-left"]
    assert finding.what == "an outage can use up 2 of a message's 5 receives before the circuit opens"
    assert finding.means.endswith("Lambda polls more slowly while calls fail, so it may be less.")
