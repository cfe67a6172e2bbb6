"""Answers CloudFormation about a custom resource.

Protocol: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/crpg-ref-responses.html
"""

import json
import urllib.request
from dataclasses import dataclass, field
from typing import Any

# CloudFormation shows the reason in the stack's events; the whole answer may have 4,096 bytes.
_MAX_REASON_CHARACTERS = 1_000


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
