"""The custom resource that finds a pipeline by its names, so that permissions and alarms can name its parts."""

import re
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, custom_resource
from breaker.custom_resource import Answer
from breaker.errors import InvalidSetting
from breaker.pipeline import find_pipeline
from breaker.settings_schema import SCHEMA

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# The id of a pipeline that was refused.
NOT_FOUND = "not-found"
# The rules for what names a pipeline are those of a circuit's settings.
_SETTINGS = SCHEMA["properties"]


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Find what belongs together and answer CloudFormation, whatever happens. Changes nothing, deletes nothing.

    Input
        A custom resource request. Properties: TargetFunction (name, name:alias or name:version), QueueArn; MappingId
        and DeadLetterQueueArn may be missing or ""; Revision, whose change has the pipeline read again.
    Output
        The answer's physical id, which is the mapping's, and reason. Attributes for Fn::GetAtt: MappingId, MappingArn,
        TargetArn (as the mapping names it), FunctionName, QueueUrl, QueueName, QueueArn.
    """
    return custom_resource.carry_out(event, lambda: _work(event), unmade=NOT_FOUND)


def _work(event: dict[str, Any]) -> Answer:
    if event["RequestType"] == "Delete":
        return Answer(event.get("PhysicalResourceId", NOT_FOUND))
    properties = custom_resource.properties_of(event)
    for field in ("TargetFunction", "QueueArn"):
        value, rule = properties.get(field, ""), _SETTINGS[field]
        if not value:
            raise InvalidSetting(f"{field}: missing; a pipeline is named by both its function and its queue")
        if not re.fullmatch(rule["pattern"], value):
            raise InvalidSetting(f"{field}: {value!r} must match {rule['pattern']}. {rule['description']}")
    pipeline = find_pipeline(
        clients.lambda_control(),
        clients.sqs(),
        target=properties["TargetFunction"],
        queue_arn=properties["QueueArn"],
        mapping_id=properties.get("MappingId", ""),
    )
    dead_letter_queue = properties.get("DeadLetterQueueArn")
    moves_to = pipeline.redrive_policy.get("deadLetterTargetArn")
    if dead_letter_queue and dead_letter_queue != moves_to:
        raise InvalidSetting(
            f"DeadLetterQueueArn: {dead_letter_queue!r} must be where {pipeline.queue_arn} moves messages to,"
            f" which is {moves_to or 'nowhere'}"
        )
    logger.info("found", extra={"mapping": pipeline.mapping_id, "target": pipeline.target})
    return Answer(
        pipeline.mapping_id,
        attributes={
            "MappingId": pipeline.mapping_id,
            "MappingArn": pipeline.mapping_arn,
            "TargetArn": pipeline.target,
            "FunctionName": pipeline.function_name,
            "QueueUrl": pipeline.queue_url,
            "QueueName": pipeline.queue_name,
            "QueueArn": pipeline.queue_arn,
        },
    )
