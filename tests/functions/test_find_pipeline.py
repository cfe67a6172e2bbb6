"""FindPipeline: what belongs together is found by its names, what does not is refused, and nothing is changed."""

from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest

from breaker import clients
from breaker.custom_resource import Answer
from tests.functions.world import ACCOUNT, STACK_ID, TARGET, World

QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders"
DEAD_LETTER_QUEUE = f"{QUEUE}-dlq"
MakeWorld = Callable[..., World]


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    """A pipeline without a circuit."""
    return make_world()


def ask(world: World, kind: str = "Create", *, physical_id: str | None = None, **named: Any) -> Answer:
    """Send a request the way CloudFormation does, and return what it is answered."""
    properties = {"TargetFunction": TARGET, "QueueArn": world.queue_arn, "Revision": "1", **named}
    request = {
        "RequestType": kind,
        "RequestId": "request-1",
        "StackId": STACK_ID,
        "LogicalResourceId": "Pipeline",
        "ResourceType": "AWS::CloudFormation::CustomResource",
        "ResponseURL": "http://127.0.0.1:9/",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:::function:find", "ServiceTimeout": "60", **properties},
        **({"PhysicalResourceId": physical_id} if physical_id else {}),
    }
    with mock.patch("breaker.custom_resource.send") as send:
        returned = world.run("find_pipeline", request)
    answer: Answer = send.call_args.args[1]
    assert returned == {"physical_id": answer.physical_id, "reason": answer.reason}
    assert world.items() == []
    return answer


def refused(world: World, **named: Any) -> str:
    """Return the reason of a refusal."""
    answer = ask(world, **named)
    assert (answer.physical_id, answer.attributes) == ("not-found", {})
    assert world.mapping_is() == "Enabled"
    return answer.reason


def test_find_create_answers_every_part_of_the_pipeline(world: World) -> None:
    answer = ask(world)
    assert (answer.physical_id, answer.reason) == (world.mapping_id, "")
    assert answer.attributes == {
        "MappingId": world.mapping_id,
        "MappingArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{world.mapping_id}",
        "TargetArn": world.target_arn,
        "FunctionName": TARGET,
        "QueueUrl": world.queue_url,
        "QueueName": "orders",
        "QueueArn": world.queue_arn,
        "DeadLetterQueueArn": DEAD_LETTER_QUEUE,
    }


def test_find_target_with_alias_names_function_and_alias_apart(make_world: MakeWorld) -> None:
    world = make_world(alias="live")
    # Lambda takes a mapping's function in any form; moto compares the text.
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    mapping_id = world.make_mapping(world.target_arn, world.queue_arn)
    attributes = ask(world, TargetFunction=f"{TARGET}:live").attributes
    assert attributes["MappingId"] == mapping_id
    assert attributes["TargetArn"].endswith(f":function:{TARGET}:live")
    assert attributes["FunctionName"] == TARGET


def test_find_mapping_of_the_function_itself_is_not_that_of_its_alias(world: World) -> None:
    world.lambda_.publish_version(FunctionName=TARGET)
    world.lambda_.create_alias(FunctionName=TARGET, Name="live", FunctionVersion="1")
    reason = refused(world, TargetFunction=f"{TARGET}:live")
    assert "no event source mapping joins" in reason
    assert reason.endswith(f"; the queue is read by {world.target_arn}")


def test_find_mapping_of_a_queue_that_nobody_reads_says_so(world: World) -> None:
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    assert ask(world).reason.endswith("; nothing reads from that queue")


def test_find_dead_letter_queue_of_the_queue_is_accepted(world: World) -> None:
    assert ask(world, DeadLetterQueueArn=DEAD_LETTER_QUEUE).reason == ""
    assert ask(world, DeadLetterQueueArn="").reason == ""


def test_find_dead_letter_queue_where_there_is_none_is_refused(make_world: MakeWorld) -> None:
    world = make_world(max_receive_count=None)
    # A name that no queue can have: what is granted on it grants nothing.
    assert ask(world).attributes["DeadLetterQueueArn"] == f"{QUEUE}.no-dead-letter-queue"
    assert refused(world, DeadLetterQueueArn=DEAD_LETTER_QUEUE) == (
        f"DeadLetterQueueArn: '{DEAD_LETTER_QUEUE}' must be where {QUEUE} moves messages to, which is nowhere"
    )


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"TargetFunction": ""}, "TargetFunction: missing; a pipeline is named by both its function and its queue"),
        ({"QueueArn": ""}, "QueueArn: missing; a pipeline is named by both its function and its queue"),
        ({"QueueArn": "orders"}, "QueueArn: 'orders' must match ^arn:"),
        ({"TargetFunction": "a b"}, "TargetFunction: 'a b' must match ^"),
        (
            {"TargetFunction": "nobody"},
            "TargetFunction: 'nobody' must be a function, alias or version of this account and Region",
        ),
        ({"QueueArn": f"{QUEUE}-lost"}, f"QueueArn: '{QUEUE}-lost' must be an existing queue"),
        (
            {"QueueArn": "arn:aws:sqs:us-east-1:999999999999:orders"},
            "QueueArn: 'arn:aws:sqs:us-east-1:999999999999:orders' must be in the account and Region of the target, ",
        ),
        (
            {"QueueArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"},
            f"QueueArn: 'arn:aws:sqs:eu-west-1:{ACCOUNT}:orders' must be in the account and Region of the target, ",
        ),
        ({"QueueArn": DEAD_LETTER_QUEUE}, f"TargetFunction: '{TARGET}': no event source mapping joins "),
        (
            {"MappingId": "99999999-2222-3333-4444-555555555555"},
            "MappingId: '99999999-2222-3333-4444-555555555555' must be the id of an event source mapping that joins ",
        ),
        (
            {"DeadLetterQueueArn": QUEUE},
            f"DeadLetterQueueArn: '{QUEUE}' must be where {QUEUE} moves messages to, which is {DEAD_LETTER_QUEUE}",
        ),
    ],
)
def test_find_what_does_not_belong_together_is_refused_naming_field_value_and_rule(
    world: World, named: dict[str, str], message: str
) -> None:
    assert refused(world, **named).startswith(message)


def test_find_several_mappings_without_a_choice_are_refused_naming_them(world: World) -> None:
    second = world.make_mapping(world.target_arn, world.queue_arn)
    reason = refused(world)
    assert reason.startswith("MappingId: must name one of the mappings where several join")
    assert world.mapping_id in reason
    assert ask(world, MappingId=second).physical_id == second


def test_find_update_to_a_refused_pipeline_keeps_the_one_before(world: World) -> None:
    answer = ask(world, "Update", physical_id=world.mapping_id, TargetFunction="nobody")
    assert answer.physical_id == world.mapping_id
    assert answer.reason.startswith("TargetFunction: 'nobody' must be")


def test_find_delete_does_nothing(world: World) -> None:
    answer = ask(world, "Delete", physical_id=world.mapping_id, TargetFunction="gone")
    assert answer == Answer(world.mapping_id)
    assert world.mapping_is() == "Enabled"


def test_find_unforeseen_error_is_answered(world: World) -> None:
    with mock.patch("find_pipeline.find_parts", side_effect=RuntimeError("broken")):
        answer = ask(world)
    assert (answer.physical_id, answer.reason) == ("not-found", "RuntimeError: broken")


def test_find_denied_by_a_policy_that_is_seconds_old_tries_again(world: World) -> None:
    began = world.now
    world.refuse(clients.lambda_control(), "get_function_configuration", "AccessDeniedException", times=4)
    assert ask(world).physical_id == world.mapping_id
    assert (world.now - began).total_seconds() == 12


def test_find_denied_for_long_is_answered_with_the_denial(world: World) -> None:
    began = world.now
    world.refuse(clients.sqs(), "get_queue_url", "AccessDenied", times=1000)
    reason = refused(world)
    assert reason.startswith("ClientError: An error occurred (AccessDenied)")
    assert 45 <= (world.now - began).total_seconds() < 60
