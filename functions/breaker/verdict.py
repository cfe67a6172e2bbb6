"""Did the target process the message? Decided by the rules Lambda itself applies to a batch from SQS.

Source of the rules: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Verdict(StrEnum):
    """What one invocation of the target shows. Everything but PROCESSED leaves the message unprocessed."""

    PROCESSED = "PROCESSED"
    FUNCTION_ERROR = "FUNCTION_ERROR"
    TIMEOUT = "TIMEOUT"
    THROTTLED = "THROTTLED"
    BATCH_ITEM_FAILURE = "BATCH_ITEM_FAILURE"
    BAD_BATCH_RESPONSE = "BAD_BATCH_RESPONSE"
    TARGET_NOT_FOUND = "TARGET_NOT_FOUND"
    INVOKE_REFUSED = "INVOKE_REFUSED"

    @property
    def processed(self) -> bool:
        """True when the message may be deleted."""
        return self is Verdict.PROCESSED


@dataclass(frozen=True)
class Invocation:
    """What Lambda answered to a synchronous invocation.

    Attributes
    ----------
    function_error
        The `FunctionError` header, None when the function returned.
    payload
        The response payload as sent, bytes of JSON.
    """

    function_error: str | None
    payload: bytes


def judge(invocation: Invocation, *, message_id: str, partial_batch_response: bool) -> Verdict:
    """Judge an invocation with the one message `message_id`.

    Parameters
    ----------
    partial_batch_response
        True when the mapping has `ReportBatchItemFailures`. Without it Lambda ignores the returned value, so do we.
    """
    if invocation.function_error is not None:
        return Verdict.TIMEOUT if _is_timeout(invocation.payload) else Verdict.FUNCTION_ERROR
    if not partial_batch_response:
        return Verdict.PROCESSED
    return _judge_batch_response(invocation.payload, message_id)


def _is_timeout(payload: bytes) -> bool:
    error = _parse(payload)
    if not isinstance(error, dict):
        return False
    return error.get("errorType") == "Sandbox.Timedout" or "Task timed out after" in str(error.get("errorMessage", ""))


def _judge_batch_response(payload: bytes, message_id: str) -> Verdict:
    if not payload.strip():
        return Verdict.PROCESSED
    try:
        response = json.loads(payload)
    except (ValueError, RecursionError):
        return Verdict.BAD_BATCH_RESPONSE
    if response is None or response == "":
        return Verdict.PROCESSED
    if not isinstance(response, dict):
        return Verdict.BAD_BATCH_RESPONSE
    failures = response.get("batchItemFailures")
    if failures is None or failures == []:
        return Verdict.PROCESSED
    if not isinstance(failures, list):
        return Verdict.BAD_BATCH_RESPONSE
    named = [failure.get("itemIdentifier") if isinstance(failure, dict) else None for failure in failures]
    # Lambda takes an unknown, empty or missing identifier as the failure of the whole batch.
    return Verdict.BATCH_ITEM_FAILURE if all(name == message_id for name in named) else Verdict.BAD_BATCH_RESPONSE


def _parse(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return None
