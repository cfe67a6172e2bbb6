"""The custom resource: a stack registers, changes and removes its circuit."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from breaker import clients, clock, custom_resource, environment
from breaker.circuit_table import REMOVAL_PREFIX, CircuitTable
from breaker.custom_resource import Answer
from breaker.errors import InvalidSetting
from breaker.registration import Inspector
from breaker.removal import remove_circuit
from breaker.settings import read_settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()

# The id of a resource whose creation was refused. Removing it removes nothing.
NOT_REGISTERED = "not-registered"


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Carry out CloudFormation's request and answer it, whatever happens.

    Input
        A custom resource request; its properties are the settings of breaker/settings.schema.json.
    Output
        The answer's physical id and reason. Attributes for Fn::GetAtt: MappingId, MappingArn, TargetArn, QueueUrl.
    """
    return custom_resource.carry_out(event, lambda: _work(event, context.aws_request_id), unmade=NOT_REGISTERED)


def _work(event: dict[str, Any], request_id: str) -> Answer:
    if event["RequestType"] != "Delete":
        return _register(event)
    physical_id = event.get("PhysicalResourceId", NOT_REGISTERED)
    _remove(physical_id, _stack(event), request_id)
    return Answer(physical_id)


def _register(event: dict[str, Any]) -> Answer:
    settings = read_settings(custom_resource.properties_of(event))
    circuit = Inspector(clients.lambda_control(), clients.sqs(), clients.cloudwatch()).inspect(settings)
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    stack = _stack(event)
    before = table.load(circuit.name)
    if before is not None and before.stack != stack:
        raise InvalidSetting(f"CircuitName: {circuit.name!r} must not be a circuit of another stack")
    holder = table.reserve_mapping(circuit.mapping_id, circuit=circuit.name, stack=stack)
    if holder is not None:
        raise InvalidSetting(f"MappingId: {circuit.mapping_id!r} is protected by the circuit {holder!r} already")
    if not table.register(circuit, stack=stack, now=clock.iso(clock.now())):
        if before is None or before.circuit.mapping_id != circuit.mapping_id:
            table.release_mapping(circuit.mapping_id, circuit=circuit.name)
        raise InvalidSetting(
            f"CircuitName: {circuit.name!r} must not be a circuit of another stack, nor change its function or queue"
            " while it is not CLOSED"
        )
    if before is not None and before.circuit.mapping_id != circuit.mapping_id:
        table.release_mapping(before.circuit.mapping_id, circuit=circuit.name)
    table.forget_removal(circuit.name)
    logger.info("registered", extra={"circuit": circuit.name, "mapping": circuit.mapping_id})
    partition, _, region, account = circuit.target.split(":")[1:5]
    return Answer(
        circuit.name,
        attributes={
            "MappingId": circuit.mapping_id,
            "MappingArn": f"arn:{partition}:lambda:{region}:{account}:event-source-mapping:{circuit.mapping_id}",
            "TargetArn": circuit.target,
            "QueueUrl": circuit.queue_url,
        },
    )


def _remove(physical_id: str, stack: str, request_id: str) -> None:
    table = CircuitTable(clients.dynamodb(), environment.circuit_table())
    record = table.load(physical_id) if physical_id != NOT_REGISTERED else None
    if record is None or record.stack != stack:
        # Removed already, or a refused attempt to register another stack's circuit is being rolled back.
        logger.info("nothing to remove", extra={"circuit": physical_id})
        return
    remove_circuit(
        table,
        physical_id,
        remover=f"{REMOVAL_PREFIX}{request_id}",
        sqs=clients.sqs(),
        functions=clients.lambda_control(),
        stepfunctions=clients.stepfunctions(),
    )
    logger.info("removed", extra={"circuit": physical_id})


def _stack(event: dict[str, Any]) -> str:
    return f"{event['StackId']}/{event['LogicalResourceId']}"
