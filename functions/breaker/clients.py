"""AWS clients, each made once a module and kept for the life of the execution environment.

They are made when they are first used: handlers pass on clients that most runs do not need, and to make one takes as
long as many calls with it. And botocore makes them, as it does for boto3, whose own part is not needed: a cold start
does not load it.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import botocore.session
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

# Announcements and reports give up soon: they must not hold the breaker up.
_SOON = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3})
_CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 5})


class _Client:
    """Stands for a client that nobody has used yet, and passes on to it afterwards."""

    def __init__(self, service: str, config: Config) -> None:
        self._made = cache(lambda: _session().create_client(service, config=config))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made(), name)


@cache
def _session() -> Any:
    return botocore.session.get_session()


@cache
def cloudwatch() -> CloudWatchClient:
    """Return the CloudWatch client."""
    return cast("CloudWatchClient", _Client("cloudwatch", _CONFIG))


@cache
def cloudwatch_soon() -> CloudWatchClient:
    """Return the CloudWatch client for what can be done without."""
    return cast("CloudWatchClient", _Client("cloudwatch", _SOON))


@cache
def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client."""
    return cast("DynamoDBClient", _Client("dynamodb", _CONFIG))


@cache
def events() -> EventBridgeClient:
    """Return the EventBridge client."""
    return cast("EventBridgeClient", _Client("events", _SOON))


@cache
def lambda_control() -> LambdaClient:
    """Return the Lambda client for event source mappings."""
    return cast("LambdaClient", _Client("lambda", _CONFIG))


@cache
def lambda_invoke() -> LambdaClient:
    """Return the Lambda client that invokes targets.

    One attempt, and a read timeout above the longest target timeout (840 s): a retry by the SDK would run the target
    twice for one probe.
    """
    config = Config(connect_timeout=5, read_timeout=870, tcp_keepalive=True, retries={"total_max_attempts": 1})
    return cast("LambdaClient", _Client("lambda", config))


@cache
def sns() -> SNSClient:
    """Return the SNS client."""
    return cast("SNSClient", _Client("sns", _SOON))


@cache
def sqs() -> SQSClient:
    """Return the SQS client."""
    return cast("SQSClient", _Client("sqs", _CONFIG))


@cache
def stepfunctions() -> SFNClient:
    """Return the Step Functions client."""
    return cast("SFNClient", _Client("stepfunctions", _CONFIG))
