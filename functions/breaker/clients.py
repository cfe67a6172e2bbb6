"""boto3 clients, each made once a module and kept for the life of the execution environment.

A client is made when it is first used: handlers pass on clients that most runs do not need, and making one takes as
long as many calls with it.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_stepfunctions import SFNClient
else:
    # The stubs are for the type checker only and are not in the package.
    CloudWatchClient = DynamoDBClient = EventBridgeClient = LambdaClient = SNSClient = SQSClient = SFNClient = Any

# Announcements give up soon: they must not hold the breaker up.
_SOON = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3})
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})

_Client = TypeVar("_Client")


class _Unmade:
    """Stands for a client that nobody has used yet, and afterwards passes on to it."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._made = cache(make)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)


def _when_used(make: Callable[[], _Client]) -> _Client:
    return cast("_Client", _Unmade(make))


@cache
def cloudwatch() -> CloudWatchClient:
    """Return the CloudWatch client."""
    return _when_used(lambda: boto3.client("cloudwatch", config=_CONFIG))


@cache
def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client."""
    return _when_used(lambda: boto3.client("dynamodb", config=_CONFIG))


@cache
def events() -> EventBridgeClient:
    """Return the EventBridge client."""
    return _when_used(lambda: boto3.client("events", config=_SOON))


@cache
def lambda_control() -> LambdaClient:
    """Return the Lambda client for event source mappings."""
    return _when_used(lambda: boto3.client("lambda", config=_CONFIG))


@cache
def lambda_invoke() -> LambdaClient:
    """Return the Lambda client that invokes targets.

    One attempt, and a read timeout above the longest target timeout (840 s): a retry by the SDK would run the target
    twice for one probe.
    """
    config = Config(connect_timeout=5, read_timeout=870, tcp_keepalive=True, retries={"total_max_attempts": 1})
    return _when_used(lambda: boto3.client("lambda", config=config))


@cache
def sns() -> SNSClient:
    """Return the SNS client."""
    return _when_used(lambda: boto3.client("sns", config=_SOON))


@cache
def sqs() -> SQSClient:
    """Return the SQS client."""
    return _when_used(lambda: boto3.client("sqs", config=_CONFIG))


@cache
def stepfunctions() -> SFNClient:
    """Return the Step Functions client."""
    return _when_used(lambda: boto3.client("stepfunctions", config=_CONFIG))
