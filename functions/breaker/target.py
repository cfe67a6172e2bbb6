"""Invokes the protected function with one message, as Lambda's poller would."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    IncompleteReadError,
    ReadTimeoutError,
    ResponseStreamingError,
)

from breaker import clock
from breaker.lambda_record import batch_event
from breaker.state_document import Circuit
from breaker.verdict import Invocation, Verdict, judge

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

logger = Logger()

# The breaker itself may not invoke the target: no verdict on the target, and nothing a later probe would mend.
_OURS_TO_MEND = {"AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException"}

# The target was invoked, and nobody knows what it did.
_ANSWER_LOST = (ReadTimeoutError, ConnectionClosedError, ResponseStreamingError, IncompleteReadError)


@dataclass(frozen=True)
class Answer:
    """What the target made of a message.

    Attributes
    ----------
    seconds
        How long it took, the way there and back and a cold start included.
    """

    verdict: Verdict
    seconds: float = 0

    def is_slow(self, bound: float) -> bool:
        """True when it took longer than `bound` seconds, 0 for no bound."""
        return 0 < bound < self.seconds


def try_message(client: "LambdaClient", circuit: Circuit, record: Mapping[str, Any]) -> Answer:
    """Invoke the target with the message, judge what it answers and take the time.

    What it answers is not logged or returned: it may hold the message's content.

    Raises
    ------
    botocore.exceptions.ClientError
        The breaker may not invoke the target.
    """
    began = clock.monotonic()
    verdict = _verdict(client, circuit, record)
    return Answer(verdict, clock.monotonic() - began)


def _verdict(client: "LambdaClient", circuit: Circuit, record: Mapping[str, Any]) -> Verdict:
    try:
        answer = client.invoke(
            FunctionName=circuit.target,
            InvocationType="RequestResponse",
            # As it is: escaped, a message of 1 MiB could exceed the 6 MB that Lambda takes in one invocation.
            Payload=json.dumps(batch_event(record), ensure_ascii=False).encode(),
        )
        payload = answer["Payload"].read()
    except _ANSWER_LOST:
        return Verdict.TIMEOUT
    except ClientError as error:
        return _verdict_of_refusal(client, error)
    return judge(
        Invocation(answer.get("FunctionError"), payload),
        message_id=record["messageId"],
        partial_batch_response=circuit.partial_batch_response,
    )


def _verdict_of_refusal(client: "LambdaClient", error: ClientError) -> Verdict:
    code = error.response["Error"]["Code"]
    if code in _OURS_TO_MEND:
        raise error
    # Only what Lambda may answer by its own model: other words could repeat what was sent.
    known = {shape.name for shape in client.meta.service_model.operation_model("Invoke").error_shapes}
    logger.warning(
        "Lambda refused to invoke the target",
        extra={
            "error_code": code if code in known else "unknown",
            "status": error.response.get("ResponseMetadata", {}).get("HTTPStatusCode"),
        },
    )
    if code == "TooManyRequestsException":
        return Verdict.THROTTLED
    if code == "ResourceNotFoundException":
        return Verdict.TARGET_NOT_FOUND
    return Verdict.INVOKE_REFUSED
