"""The benchmark of the code's own cost: its figures, and that a fresh process does what was recorded."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from benchmarks.own_cost.__main__ import main
from benchmarks.own_cost.cold_starts import CannotCompare, measure
from benchmarks.own_cost.figures import (
    ColdStart,
    Timing,
    Usage,
    cold_start_table,
    counted,
    cpu,
    dollars,
    price_table,
    table,
    wall,
)
from benchmarks.own_cost.package import lay_out_package, zipped_bytes
from benchmarks.own_cost.recording import Answer, key_of, record
from benchmarks.own_cost.replay import replaying

MOST_BYTES = 1_572_864


def timing(seconds: float) -> Timing:
    """Return a timing, whose parts differ."""
    return Timing(import_cpu=seconds / 2, cpu=seconds, wall=seconds * 3)


def start(*rounds: tuple[float, float, float], module: str = "probe_target") -> ColdStart:
    """Return the cold starts of a function, by their CPU seconds."""
    return ColdStart(module, ("sqs:receive_message",), tuple(tuple(map(timing, each)) for each in rounds))  # type: ignore[arg-type, misc]


# Figures


def test_cold_start_ratio_is_the_median_of_the_rounds_ratios() -> None:
    # A machine that is slow for one round is slow for both of it.
    starts = start((0.2, 0.1, 0.1), (2.2, 2.0, 1.0), (0.3, 0.25, 0.1))
    assert starts.ratio(cpu) == pytest.approx(1.2)
    assert starts.ratio(wall, to=2) == pytest.approx(2.2)


def test_cold_start_milliseconds_are_the_median() -> None:
    starts = start((0.2, 0.1, 0.1), (2.2, 2.0, 1.0), (0.3, 0.25, 0.1))
    assert [starts.milliseconds(which, cpu) for which in range(3)] == pytest.approx([300, 250, 100])


def test_cold_start_table_has_the_worst_first() -> None:
    lines = cold_start_table([start((0.1, 0.1, 0.1), module="good"), start((0.3, 0.1, 0.1), module="bad")]).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| bad", "| good"]
    assert lines[2] == "| bad | 1 | 300 | 100 | 3.00 | 3.00 | 3.00 | 3.00 |"


def test_table_has_its_first_column_left_and_figures_right() -> None:
    assert table(("a", "b"), [("x", "1")]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_counted_names_each_call_once_with_its_number() -> None:
    assert counted(["b", "a", "b"]) == "2 b, a"


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0"), (1.234, "1.23"), (0.8, "0.80"), (0.0271, "0.027"), (0.000_125, "0.00013"), (1e-12, "0.00000000")],
)
def test_dollars_keeps_two_digits_that_tell_something(amount: float, text: str) -> None:
    assert dollars(amount) == text


def test_usage_difference_leaves_out_what_is_the_same() -> None:
    more = Usage(transitions=15, invocations=7, calls={"sqs:receive_message": 3, "dynamodb:query": 1})
    less = Usage(transitions=10, invocations=5, calls={"sqs:receive_message": 2, "dynamodb:query": 1})
    assert more - less == Usage(5, 2, {"sqs:receive_message": 1})


def test_usage_is_paid_by_service_at_list_price() -> None:
    usage = Usage(
        transitions=1_000_000,
        invocations=1_000_000,
        calls={
            "sqs:receive_message": 1_000_000,
            "dynamodb:get_item": 1_000_000,
            "dynamodb:update_item": 1_000_000,
            "dynamodb:transact_write_items": 1_000_000,
            "eventbridge:put_events": 1_000_000,
            "lambda:get_event_source_mapping": 1_000_000,
        },
    )
    assert usage.dollars(seconds=1, gigabytes=0.25) == pytest.approx(
        {
            "Step Functions": 25,
            "Lambda": 0.20 + 0.25 * 16.6667,
            "SQS": 0.40,
            # One read; the record's four kilobytes; two items of a transaction, each twice.
            "DynamoDB": 0.125 + 4 * 0.625 + 4 * 0.625,
            "EventBridge": 1,
        }
    )


def test_price_table_has_a_column_for_each_service_and_the_sum() -> None:
    lines = price_table({"rest": {"CloudWatch": 0.8}, "incident": {"Lambda": 0.02, "CloudWatch": 0.01}}).splitlines()
    assert lines[0] == "| US dollars | CloudWatch | Lambda | together |"
    assert lines[2:] == ["| rest | 0.80 | 0 | 0.80 |", "| incident | 0.010 | 0.020 | 0.030 |"]


# The package


def test_package_zipped_is_at_most_one_and_a_half_mebibytes_and_has_no_sdk(tmp_path: Path) -> None:
    package = lay_out_package(tmp_path / "package")
    names = {path.name for path in package.iterdir()}
    assert {"breaker", "probe_target.py", "aws_lambda_powertools", "fastjsonschema", "jmespath"} <= names
    assert not {"boto3", "botocore", "urllib3", "pydantic", "__pycache__"} & names
    assert zipped_bytes(package, tmp_path / "package.zip") <= MOST_BYTES


# A fresh process


@pytest.mark.parametrize(
    ("headers", "body", "key"),
    [
        ({"X-Amz-Target": "DynamoDB_20120810.GetItem"}, b"{}", "POST /a DynamoDB_20120810.GetItem"),
        ({"X-Amz-Target": b"AmazonSQS.ReceiveMessage"}, b"{}", "POST /a AmazonSQS.ReceiveMessage"),
        ({}, "Action=Publish&Version=2010-03-31", "POST /a Publish"),
        ({}, None, "POST /a"),
    ],
)
def test_key_of_tells_operations_apart_in_each_protocol(headers: dict[str, Any], body: Any, key: str) -> None:
    assert key_of("POST", "https://example.com/a?b=c", headers, body) == key


def test_replay_gives_answers_in_order_and_the_last_one_again() -> None:
    key = "POST / DynamoDB_20120810.GetItem"
    answers = [Answer(key, 200, {}, json.dumps({"Item": {"pk": {"S": text}}}).encode()) for text in ("first", "second")]
    with replaying() as replay:
        replay.load(answers)
        client = boto3.client("dynamodb", endpoint_url=replay.url)
        read = [client.get_item(TableName="t", Key={"pk": {"S": "x"}})["Item"]["pk"]["S"] for _ in range(3)]
        assert read == ["first", "second", "second"]
        with pytest.raises(ClientError, match="NotRecorded"):
            client.scan(TableName="t")
        assert replay.unknown == ["POST / DynamoDB_20120810.Scan"]


def test_record_notes_the_calls_and_the_answers_of_a_step() -> None:
    recording = record("schedule_next_probe")
    assert [str(call) for call in recording.calls] == ["dynamodb:update_item"]
    assert [answer.key for answer in recording.answers] == ["POST / DynamoDB_20120810.UpdateItem"]


def test_measure_times_a_function_in_a_fresh_process_beside_the_bare_handler(tmp_path: Path) -> None:
    (starts,) = measure(["confirm_paused"], tmp_path, rounds=1)
    assert starts.calls == (
        "dynamodb:get_item",
        "lambda:get_event_source_mapping",
        "dynamodb:update_item",
        "events:put_events",
    )
    assert all(0 < timing.import_cpu < timing.cpu for timing in starts.rounds[0])


def test_measure_function_that_fails_in_a_fresh_process_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.own_cost.cold_starts.TABLE", "")
    monkeypatch.setattr("benchmarks.own_cost.cold_starts.lay_out_runtime", lambda folder: folder)
    with pytest.raises(CannotCompare, match=r"give_up: ended with 1\n[\s\S]*No module named 'botocore'"):
        measure(["give_up"], tmp_path, rounds=1)


@pytest.mark.parametrize("rounds", ["0", "-1", "1.5", "many", "1001"])
def test_main_rounds_out_of_range_are_refused(rounds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rounds", rounds])
    assert f"{rounds!r} must be a whole number from 1 to 1000" in capsys.readouterr().err


def test_main_unknown_function_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--function", "nothing"])
    assert "'nothing'" in capsys.readouterr().err
