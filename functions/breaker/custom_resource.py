"""Answers CloudFormation about a custom resource.

Protocol: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aws_lambda_powertools import Logger

from breaker.errors import InvalidSetting

logger = Logger()

# CloudFormation shows the reason in the stack's events; the whole answer may have 4,096 bytes.
_MAX_REASON_CHARACTERS = 1_000
_CLOUDFORMATIONS_OWN = {"ServiceToken", "ServiceTimeout"}


@dataclass(frozen=True)
class Answer:
    """What CloudFormation is told.

    Attributes
    ----------
    physical_id
        Another id than before makes CloudFormation delete the resource of the old id.
    reason
        Why it failed, "" for success.
    attributes
        What Fn::GetAtt returns.
    """

    physical_id: str
    reason: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def carry_out(event: dict[str, Any], work: Callable[[], Answer], *, unmade: str) -> dict[str, Any]:
    """Do the work of a request and answer it, whatever happens. Returns what the handler returns.

    Parameters
    ----------
    work
        What is asked for. An InvalidSetting is a refusal.
    unmade
        The physical id of a resource whose creation failed.
    """
    physical_id = event.get("PhysicalResourceId", unmade)
    try:
        answer = work()
    except InvalidSetting as error:
        answer = Answer(physical_id, str(error))
    except Exception as error:
        # Without an answer the stack would hang for an hour, so every error becomes one.
        logger.exception("the request failed")
        answer = Answer(physical_id, f"{type(error).__name__}: {error}")
    if answer.reason:
        logger.error(f"refused: {answer.reason}", extra={"request": event["RequestType"]})
    send(event, answer)
    return {"physical_id": answer.physical_id, "reason": answer.reason}


def properties_of(event: dict[str, Any]) -> dict[str, Any]:
    """Return the resource's own properties, without those that CloudFormation adds."""
    return {name: value for name, value in event["ResourceProperties"].items() if name not in _CLOUDFORMATIONS_OWN}


def send(event: dict[str, Any], answer: Answer) -> None:
    """Put the answer to the request's presigned address."""
    body = json.dumps(
        {
            "Status": "FAILED" if answer.reason else "SUCCESS",
            "Reason": answer.reason[:_MAX_REASON_CHARACTERS],
            "PhysicalResourceId": answer.physical_id,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": answer.attributes,
        }
    ).encode()
    request = urllib.request.Request(event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310 - CloudFormation's own address
    with urllib.request.urlopen(request, timeout=30):  # noqa: S310
        pass
