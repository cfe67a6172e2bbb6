"""What the functions are compared with: boto3, Powertools' Logger, and the AWS calls it is told to make.

One client a service, made at its first call. No rules, no table's format, no announcements.
"""

import boto3
from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError

logger = Logger()
clients = {}


@logger.inject_lambda_context
def handler(event, context):  # noqa: ANN001, ANN201, D103
    for service, operation, parameters in event["calls"]:
        if service not in clients:
            clients[service] = boto3.client(service)
        try:
            getattr(clients[service], operation)(**parameters)
        except ClientError as error:
            logger.info(error.response["Error"]["Code"])
    logger.info("done", extra={"calls": len(event["calls"])})
