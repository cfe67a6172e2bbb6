"""Did the target process the message? By the rules of Lambda's own poller.

The rules: "Success and failure conditions" of
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.verdict import Invocation, Verdict, judge

ID = "059f36b4-87a3-44ab-83d2-661975830a7d"

JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text() | st.just(ID),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("batchItemFailures"), inner),
    max_leaves=10,
)
ERROR = st.none() | st.sampled_from(["Unhandled", "Handled"])
PAYLOAD = st.binary() | JSON.map(lambda value: json.dumps(value).encode())


def verdict(answer: Any, *, error: str | None = None, reports: bool = True) -> Verdict:
    payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return judge(Invocation(error, payload), message_id=ID, partial_batch_response=reports)


def failures(*identifiers: Any) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": identifier} for identifier in identifiers]}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"batchItemFailures": []}, id="empty list"),
        pytest.param({"batchItemFailures": None}, id="null list"),
        pytest.param({}, id="empty response"),
        pytest.param(None, id="null response"),
        pytest.param("", id="empty text"),
        pytest.param(b"", id="no payload"),
        pytest.param(b"  \n", id="blank payload"),
        pytest.param({"statusCode": 200}, id="another response"),
    ],
)
def test_judge_complete_success_by_lambdas_rules_is_processed(answer: Any) -> None:
    assert verdict(answer) is Verdict.PROCESSED


@pytest.mark.parametrize("answer", [failures(ID), failures(ID, ID)])
def test_judge_message_named_is_a_batch_item_failure(answer: Any) -> None:
    assert verdict(answer) is Verdict.BATCH_ITEM_FAILURE


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"{not json", id="invalid JSON"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"[" * 100_000, id="nested too deep to read"),
        pytest.param(failures(""), id="empty identifier"),
        pytest.param(failures(None), id="null identifier"),
        pytest.param({"batchItemFailures": [{"messageId": ID}]}, id="bad key name"),
        pytest.param(failures("somebody else's id"), id="unknown message id"),
        pytest.param(failures(ID, "somebody else's id"), id="one unknown message id"),
        pytest.param({"batchItemFailures": [ID]}, id="identifiers that are no objects"),
        pytest.param({"batchItemFailures": ID}, id="no list"),
        pytest.param({"batchItemFailures": {"itemIdentifier": ID}}, id="one failure without a list"),
        pytest.param({"batchItemFailures": False}, id="false"),
        pytest.param([], id="a list"),
        pytest.param([ID], id="a list of ids"),
        pytest.param("ok", id="a text"),
        pytest.param(0, id="a number"),
        pytest.param(False, id="false response"),
    ],
)
def test_judge_complete_failure_by_lambdas_rules_is_a_bad_batch_response(answer: Any) -> None:
    assert verdict(answer) is Verdict.BAD_BATCH_RESPONSE


@pytest.mark.parametrize("answer", [failures(ID), b"{not json", failures(None), [], "ok", None])
def test_judge_without_partial_batch_response_ignores_the_answer(answer: Any) -> None:
    assert verdict(answer, reports=False) is Verdict.PROCESSED


@pytest.mark.parametrize("reports", [True, False])
@pytest.mark.parametrize("error", ["Unhandled", "Handled", ""])
@pytest.mark.parametrize("answer", [{"errorMessage": "boom"}, {"batchItemFailures": []}, None, b"rubbish", [1]])
def test_judge_function_error_is_a_failure_whatever_was_returned(answer: Any, error: str, reports: bool) -> None:
    assert verdict(answer, error=error, reports=reports) is Verdict.FUNCTION_ERROR


@pytest.mark.parametrize(
    "answer",
    [
        {"errorType": "Sandbox.Timedout", "errorMessage": "RequestId: 6f Error: Task timed out after 3.00 seconds"},
        {"errorMessage": "2026-03-01T12:00:00.000Z 6f Task timed out after 3.00 seconds"},
    ],
)
def test_judge_time_out_is_told_apart(answer: Any) -> None:
    assert verdict(answer, error="Unhandled") is Verdict.TIMEOUT


@given(error=ERROR, payload=PAYLOAD, reports=st.booleans())
def test_judge_anything_is_processed_only_if_lambda_would_delete_the_message(
    error: str | None, payload: bytes, reports: bool
) -> None:
    if not judge(Invocation(error, payload), message_id=ID, partial_batch_response=reports).processed:
        return
    assert error is None
    if not reports or not payload.strip():
        return
    answer = json.loads(payload)
    assert answer in (None, "") or (isinstance(answer, dict) and answer.get("batchItemFailures") in (None, []))


@given(others=st.lists(st.text() | st.none() | st.just(ID)), reports=st.just(value=True))
def test_judge_any_named_failure_is_never_processed(others: list[str | None], reports: bool) -> None:
    assert not verdict(failures(*others, ID), reports=reports).processed


def test_verdict_only_processed_lets_a_message_be_deleted() -> None:
    assert [verdict for verdict in Verdict if verdict.processed] == [Verdict.PROCESSED]
