"""The harness itself, on a machine of four states: what the path tests rely on must hold without the product."""

from typing import Any

import pytest
from emulated_cloud import AwsError
from harness import TARGET, World, build_world, client, throttled, timing_out, until

DEFINITION: dict[str, Any] = {
    "StartAt": "Pause",
    "States": {
        "Pause": {
            "Type": "Task",
            "Resource": "${PauseFunctionArn}",
            "TimeoutSeconds": 60,
            "ResultPath": "$.paused",
            "Retry": [
                {
                    "ErrorEquals": ["NotPaused", "Lambda.TooManyRequestsException"],
                    "IntervalSeconds": 4,
                    "MaxAttempts": 9,
                    "BackoffRate": 1.5,
                    "MaxDelaySeconds": 6,
                    "JitterStrategy": "FULL",
                }
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Failed"}],
            "Next": "WaitABit",
        },
        "WaitABit": {"Type": "Wait", "SecondsPath": "$.paused.wait", "Next": "Try"},
        "Try": {
            "Type": "Task",
            "Resource": "${TryFunctionArn}",
            "TimeoutSeconds": 60,
            "ResultPath": "$.tried",
            "Next": "DidItWork?",
        },
        "DidItWork?": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.tried.ok", "BooleanEquals": True, "Next": "Done"}],
            "Default": "WaitABit",
        },
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "Failed", "Cause": "It failed."},
    },
}


class NotPaused(Exception):
    """The mapping is still on its way."""


def pause(event: Any, context: Any) -> dict[str, Any]:
    """Disable the mapping, then tell when it is disabled."""
    (mapping,) = client("lambda").list_event_source_mappings(FunctionName=TARGET)["EventSourceMappings"]
    if mapping["State"] == "Enabled":
        client("lambda").update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    if mapping["State"] != "Disabled":
        raise NotPaused(mapping["State"])
    return {"wait": 30}


def invoke_target(event: Any, context: Any) -> dict[str, Any]:
    """Invoke the target with nothing."""
    answer = client("lambda").invoke(FunctionName=TARGET, Payload=b'{"Records": []}')
    return {"ok": "FunctionError" not in answer}


def harness_world() -> Any:
    """Build a world around the small machine."""
    return build_world(definition=DEFINITION, steps={"Pause": pause, "Try": invoke_target})


def test_machine_retries_waits_and_chooses_in_simulated_time() -> None:
    with harness_world() as world:
        world.target.behaviour = until(100)
        world.cloud.refusals["PauseFunction"] = [AwsError("TooManyRequestsException", "Rate Exceeded.", status=429)]
        ended = world.run({}).expect("SUCCEEDED", last="Done")
        # 4 s after the throttle, then 6 s and 6 s while the mapping is Disabling, then three waits.
        assert world.waits("WaitABit") == [30, 30, 30]
        assert world.clock.elapsed() == 4 + 6 + 6 + 3 * 30
        assert ended.without_repeats() == ["Pause", "WaitABit", "Try", "DidItWork?", "Done"]
        assert world.mapping_state() == "Disabled"


def test_mapping_in_change_refuses_an_update() -> None:
    with harness_world() as world:
        client("lambda").update_event_source_mapping(UUID=world.mapping_id, Enabled=False)
        assert world.mapping_state() == "Disabling"
        with pytest.raises(client("lambda").exceptions.ResourceInUseException):
            client("lambda").update_event_source_mapping(UUID=world.mapping_id, Enabled=True)
        world.clock.sleep(8)
        assert world.mapping_state() == "Disabled"


def test_task_error_arrives_by_its_class_name() -> None:
    with harness_world() as world:
        world.mapping_settles(after=10_000)
        ended = world.run({}).expect("FAILED", last="Failed")
        assert ended.error == "Failed"
        assert world.failed_steps()[0] == ("PauseFunction", "NotPaused")


def test_refused_and_timed_out_targets_answer_as_lambda_does() -> None:
    with harness_world() as world:
        world.target.behaviour = timing_out
        answer = client("lambda").invoke(FunctionName=TARGET, Payload=b"{}")
        assert answer["FunctionError"] == "Unhandled"
        assert b"Task timed out after 30.00 seconds" in answer["Payload"].read()
        assert world.clock.elapsed() == 30
        world.target.behaviour = throttled
        with pytest.raises(client("lambda").exceptions.TooManyRequestsException):
            client("lambda").invoke(FunctionName=TARGET, Payload=b"{}")


def test_stopped_execution_ends_its_wait() -> None:
    with harness_world() as world:
        world.target.behaviour = until(10_000)
        arn = world.start({})
        world.clock.after(200, lambda: client("stepfunctions").stop_execution(executionArn=arn))
        world.finish(arn).expect("ABORTED")
        assert world.clock.elapsed() == 200


def test_hidden_messages_come_back_with_the_clock_and_then_dead_letter() -> None:
    with harness_world() as world:
        world.send(1)
        for _ in range(5):
            world.hide(1, 60)
            assert _visible(world) == 0
            world.clock.sleep(60)
            assert _visible(world) == 1
        assert client("sqs").receive_message(QueueUrl=world.queue_url).get("Messages", []) == []
        assert [message.order_id for message in world.dead_lettered()] == ["order-0"]
        assert world.lost() == set()


def test_lost_names_a_message_that_is_nowhere() -> None:
    with harness_world() as world:
        kept, gone = world.send(2)
        received = client("sqs").receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=2)["Messages"]
        client("sqs").delete_message(QueueUrl=world.queue_url, ReceiptHandle=received[1]["ReceiptHandle"])
        assert world.lost() == {gone}
        assert [message.order_id for message in world.queued()] == [kept]


def test_poll_processes_only_while_the_mapping_is_enabled() -> None:
    with harness_world() as world:
        world.send(3)
        client("lambda").update_event_source_mapping(UUID=world.mapping_id, Enabled=False)
        world.poll()
        assert world.target.processed == []
        world.clock.sleep(8)
        client("lambda").update_event_source_mapping(UUID=world.mapping_id, Enabled=True)
        world.clock.sleep(8)
        world.drain()
        assert world.target.processed == world.sent
        assert world.queued() == []


def _visible(world: World) -> int:
    answer = client("sqs").get_queue_attributes(QueueUrl=world.queue_url, AttributeNames=["All"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
