"""RegisterCircuit: what belongs together is registered, what does not is refused, and removal leaves nothing behind."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from unittest import mock

import pytest
from moto.awslambda.models import EventSourceMapping

from breaker import clients, clock
from breaker.circuit_table import CircuitState
from breaker.settings import SCHEMA
from tests.functions.world import ACCOUNT, ALARM, CIRCUIT, STACK_ID, World, failing, log_to

OTHER_STACK = STACK_ID.replace("shop", "warehouse")


class CloudFormation:
    """The presigned address that CloudFormation is answered at, and what arrived there."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []
        self.content_types: list[str] = []
        answers, content_types = self.answers, self.content_types

        class Address(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                content_types.append(self.headers["Content-Type"])
                answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Address)
        self.url = f"http://127.0.0.1:{self._server.server_port}/answer?signature=x"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    """Where the answers go."""
    address = CloudFormation()
    yield address
    address.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A pipeline without a circuit."""
    return make_world()


@pytest.fixture
def ask(world: World, cloudformation: CloudFormation) -> Callable[..., dict[str, Any]]:
    """Send a request the way CloudFormation does, and return what it is answered."""

    def asking(kind: str = "Create", *, physical_id: str | None = None, **changes: Any) -> dict[str, Any]:
        request = {**world.request(kind, **changes), "ResponseURL": cloudformation.url}
        if physical_id:
            request["PhysicalResourceId"] = physical_id
        returned = world.run("register_circuit", request)
        answer = cloudformation.answers.pop()
        assert (answer["PhysicalResourceId"], answer["Reason"]) == (returned["physical_id"], returned["reason"][:1000])
        assert (answer["StackId"], answer["RequestId"], answer["LogicalResourceId"]) == (
            request["StackId"],
            request["RequestId"],
            request["LogicalResourceId"],
        )
        return answer

    return asking


Ask = Callable[..., dict[str, Any]]


def refused(world: World, ask: Ask, kind: str = "Create", **changes: Any) -> str:
    """Return the reason of a refusal, which must have stored nothing."""
    before = world.items()
    answer = ask(kind, **changes)
    assert answer["Status"] == "FAILED"
    assert answer["Data"] == {}
    assert world.items() == before
    assert world.mapping_is() == "Enabled"
    reason: str = answer["Reason"]
    return reason


def refused_in(world: World, cloudformation: CloudFormation, **changes: Any) -> str:
    """Return the reason of a refusal in another world, which must have stored nothing."""
    world.run("register_circuit", {**world.request(**changes), "ResponseURL": cloudformation.url})
    assert world.items() == []
    reason: str = cloudformation.answers.pop()["Reason"]
    return reason


# Create


def test_register_create_stores_the_circuit_and_answers_its_parts(
    world: World, ask: Ask, cloudformation: CloudFormation
) -> None:
    answer = ask(FirstProbeSeconds="45")
    assert (answer["Status"], answer["Reason"], answer["PhysicalResourceId"]) == ("SUCCESS", "", CIRCUIT)
    assert answer["Data"] == {
        "MappingId": world.mapping_id,
        "MappingArn": f"arn:aws:lambda:us-east-1:{ACCOUNT}:event-source-mapping:{world.mapping_id}",
        "TargetArn": world.target_arn,
        "QueueUrl": world.queue_url,
    }
    # As the presigned address was signed.
    assert cloudformation.content_types == [""]
    record = world.record()
    assert (record.state, record.owner, record.stack) == (CircuitState.CLOSED, "", f"{STACK_ID}/Circuit")
    assert record.since == "2026-03-01T12:00:00Z"
    assert set(record.circuit.settings) == set(SCHEMA["properties"])
    assert record.circuit.settings["FirstProbeSeconds"] == 45
    assert record.circuit.max_receive_count == 5
    assert record.circuit.partial_batch_response
    assert world.mapping_is() == "Enabled"


def test_register_create_without_mapping_id_finds_the_one_there_is(world: World, ask: Ask) -> None:
    assert ask(MappingId=None)["Data"]["MappingId"] == world.mapping_id
    assert ask(MappingId="")["Data"]["MappingId"] == world.mapping_id


def test_register_create_twice_is_the_same(world: World, ask: Ask) -> None:
    assert ask() == ask()
    assert world.sort_keys() == {"CIRCUIT", "MAPPING"}


def test_register_service_timeout_of_cloudformation_is_no_setting(ask: Ask) -> None:
    assert ask(ServiceTimeout="900")["Status"] == "SUCCESS"


@pytest.mark.parametrize("named_as", ["name", "arn"])
def test_register_target_with_alias_is_kept_with_it(
    make_world: Callable[..., World], named_as: str, cloudformation: CloudFormation
) -> None:
    world = make_world(alias="live")
    target = world.target_arn if named_as == "arn" else "orders-target:live"
    # Lambda takes a mapping's function in any form; moto compares the text.
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    world.mapping_id = world.make_mapping(world.target_arn, world.queue_arn)
    request = {**world.request(TargetFunction=target), "ResponseURL": cloudformation.url}
    world.run("register_circuit", request)
    (answer,) = cloudformation.answers
    assert answer["Data"]["TargetArn"] == world.target_arn
    assert world.record().circuit.target.endswith(":function:orders-target:live")


def test_register_without_dead_letter_queue_or_partial_batch_response_is_known(
    make_world: Callable[..., World],
) -> None:
    world = make_world(max_receive_count=None, response_types=())
    world.register()
    assert world.record().circuit.max_receive_count is None
    assert not world.record().circuit.partial_batch_response


def test_register_redrive_finds_the_dead_letter_queue(world: World, ask: Ask) -> None:
    assert ask(Redrive="true")["Status"] == "SUCCESS"
    circuit = world.record().circuit
    assert circuit.settings["Redrive"] is True
    assert (circuit.dead_letter_queue_arn, circuit.dead_letter_queue_url) == (
        world.arn_of(world.dlq_url),
        world.dlq_url,
    )


def test_register_without_redrive_does_not_look_at_the_dead_letter_queue(world: World, ask: Ask) -> None:
    world.refuse(world.sqs, "get_queue_url", "AccessDenied", when="dlq")
    assert ask()["Status"] == "SUCCESS"
    circuit = world.record().circuit
    assert (circuit.dead_letter_queue_arn, circuit.dead_letter_queue_url) == (world.arn_of(world.dlq_url), "")


def test_register_redrive_without_dead_letter_queue_is_refused(
    make_world: Callable[..., World], cloudformation: CloudFormation
) -> None:
    reason = refused_in(make_world(max_receive_count=None), cloudformation, Redrive="true")
    assert re.fullmatch(
        "Redrive: True must not be used with 'arn:.*:orders', which has no dead-letter queue .*", reason
    )


def test_register_redrive_of_a_fifo_queue_is_refused(
    make_world: Callable[..., World], cloudformation: CloudFormation
) -> None:
    reason = refused_in(make_world(fifo=True), cloudformation, Redrive="true")
    assert reason.startswith("Redrive: True must not be used with a FIFO queue: ")


def test_register_redrive_with_a_dead_letter_queue_that_is_gone_is_refused(world: World, ask: Ask) -> None:
    world.sqs.delete_queue(QueueUrl=world.dlq_url)
    reason = refused(world, ask, Redrive="true")
    assert re.fullmatch("Redrive: True: the dead-letter queue 'arn:.*:orders-dlq' must be an existing queue", reason)


def test_register_redrive_with_a_dead_letter_queue_that_dead_letters_itself_is_refused(world: World, ask: Ask) -> None:
    last = world.arn_of(world.make_queue("last"))
    policy = json.dumps({"deadLetterTargetArn": last, "maxReceiveCount": "5"})
    world.sqs.set_queue_attributes(QueueUrl=world.dlq_url, Attributes={"RedrivePolicy": policy})
    assert "has a dead-letter queue itself" in refused(world, ask, Redrive="true")


def test_register_fifo_without_rejitter_is_accepted(make_world: Callable[..., World]) -> None:
    world = make_world(fifo=True)
    world.register()
    assert world.record().circuit.is_fifo


# Refusals: field, value and rule; nothing stored


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"AlarmNames": None},
            "AlarmNames: missing; The CloudWatch alarms, one to five, any of which opens the circuit ",
        ),
        ({"AlarmNames": [""]}, "AlarmNames[0]: '' must be longer than or equal to 1 characters. The CloudWatch "),
        ({"Colour": "red"}, "Colour: 'red' is not a setting; known are CircuitName, Mode, "),
        ({"MaxProbes": "many"}, "MaxProbes: 'many' must be of type integer. "),
        ({"FirstProbeSeconds": "0"}, "FirstProbeSeconds: 0 must be bigger than or equal to 1. "),
        ({"RejitterSeconds": "901"}, "RejitterSeconds: 901 must be smaller than or equal to 900. "),
        ({"Redrive": "maybe"}, "Redrive: 'maybe' must be true or false. "),
        ({"RedrivePerSecond": "101"}, "RedrivePerSecond: 101 must be smaller than or equal to 100. "),
        ({"RedrivePerSecond": "0"}, "RedrivePerSecond: 0 must be bigger than or equal to 1. "),
        ({"Mode": "ON"}, "Mode: 'ON' must be one of ['ACTIVE', 'WATCH', 'OFF']. "),
        (
            {"TargetFunction": "nobody"},
            "TargetFunction: 'nobody' must be a function, alias or version of this account and Region",
        ),
        (
            {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:nothing"},
            f"QueueArn: 'arn:aws:sqs:us-east-1:{ACCOUNT}:nothing' must be an existing queue",
        ),
        (
            {"QueueArn": f"arn:aws:sqs:eu-west-1:{ACCOUNT}:orders"},
            f"QueueArn: 'arn:aws:sqs:eu-west-1:{ACCOUNT}:orders' must be in the account and Region of the target, ",
        ),
        (
            {"QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders-dlq", "MappingId": None},
            "no event source mapping joins",
        ),
        (
            {"MappingId": "99999999-2222-3333-4444-555555555555"},
            "MappingId: '99999999-2222-3333-4444-555555555555' must be the id of an event source mapping that joins ",
        ),
        (
            {"AlarmNames": [ALARM, "no-such-alarm"]},
            "AlarmNames: 'no-such-alarm' must be a metric alarm of this account and Region",
        ),
    ],
)
def test_register_bad_setting_is_refused_naming_field_value_and_rule(
    world: World, ask: Ask, changes: dict[str, Any], message: str
) -> None:
    assert message in refused(world, ask, **changes)


def test_register_mapping_of_another_function_is_refused(world: World, ask: Ask) -> None:
    world.make_function("another")
    reason = refused(world, ask, TargetFunction="another")
    assert reason.startswith(f"MappingId: '{world.mapping_id}' must be the id of an event source mapping that joins ")
    assert reason.endswith(f":function:another and {world.queue_arn}")


def test_register_several_mappings_without_a_choice_is_refused_naming_them(world: World, ask: Ask) -> None:
    second = world.make_mapping(world.target_arn, world.queue_arn)
    ids = ", ".join(sorted([second, world.mapping_id]))
    reason = refused(world, ask, MappingId=None)
    assert reason.startswith("MappingId: must name one of the mappings where several join")
    assert reason.endswith(f": {ids}")
    assert ask(MappingId=second)["Data"]["MappingId"] == second


def filter_by(world: World, *patterns: str) -> None:
    """Give the mapping filters."""
    criteria = {"Filters": [{"Pattern": pattern} for pattern in patterns]}
    world.lambda_.update_event_source_mapping(UUID=world.mapping_id, FilterCriteria=criteria)


def test_register_mapping_with_filters_stores_their_patterns(world: World, ask: Ask) -> None:
    patterns = ['{"body": {"kind": ["gift"]}}', '{"body": [{"prefix": "order "}]}']
    filter_by(world, *patterns)
    assert ask()["Status"] == "SUCCESS"
    assert world.record().circuit.filters == patterns
    filter_by(world)
    ask("Update", Revision="2")
    assert world.record().circuit.filters == []


def test_register_filter_that_is_not_understood_is_refused_by_name(world: World, ask: Ask) -> None:
    filter_by(world, '{"body": {"kind": [{"wildcard": "g*"}]}}')
    assert refused(world, ask) == (
        f"MappingId: '{world.mapping_id}' has a filter that a probe cannot apply as Lambda does: 'kind' must use one"
        " operator in each object, one of exists, prefix, suffix, equals-ignore-case, anything-but, numeric"
    )


def test_register_filters_that_are_encrypted_are_refused(world: World, ask: Ask) -> None:
    listed = EventSourceMapping.get_configuration
    hidden = {"KMSKeyArn": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1", "FilterCriteria": None}
    with mock.patch.object(EventSourceMapping, "get_configuration", lambda mapping: listed(mapping) | hidden):
        assert refused(world, ask) == (
            f"MappingId: '{world.mapping_id}' must not have a KMS key: a probe cannot apply encrypted filters"
        )


@pytest.mark.parametrize(("most", "accepted"), [(1, False), (2, True)])
def test_register_filters_where_a_message_has_one_receive_are_refused(
    make_world: Callable[..., World], cloudformation: CloudFormation, most: int, accepted: bool
) -> None:
    world = make_world(max_receive_count=most)
    filter_by(world, '{"body": {"kind": ["gift"]}}')
    world.run("register_circuit", {**world.request(), "ResponseURL": cloudformation.url})
    (answer,) = cloudformation.answers
    assert (answer["Status"] == "SUCCESS") is accepted
    if not accepted:
        assert answer["Reason"].startswith(f"QueueArn: '{world.queue_arn}' has a maxReceiveCount of 1; it must be at")


@pytest.mark.parametrize(("timeout", "accepted"), [(840, True), (841, False)])
def test_register_target_timeout_above_840_seconds_is_refused(
    make_world: Callable[..., World], cloudformation: CloudFormation, timeout: int, accepted: bool
) -> None:
    world = make_world(target_timeout=timeout)
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"VisibilityTimeout": "5000"})
    world.run("register_circuit", {**world.request(), "ResponseURL": cloudformation.url})
    (answer,) = cloudformation.answers
    assert (answer["Status"] == "SUCCESS") is accepted
    if not accepted:
        assert answer["Reason"] == (
            f"TargetFunction: '{world.target_arn}' has a timeout of 841 s; it must be at most 840 s, so that a probe"
            " can wait for it"
        )


def test_register_visibility_timeout_below_the_targets_is_refused(world: World, ask: Ask) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"VisibilityTimeout": "29"})
    assert refused(world, ask).startswith(
        "QueueArn: the queue's visibility timeout of 29 s must be at least the target's timeout of 30 s"
    )


def test_register_fifo_with_rejitter_is_refused(
    make_world: Callable[..., World], cloudformation: CloudFormation
) -> None:
    world = make_world(fifo=True)
    world.run("register_circuit", {**world.request(Recovery="REJITTER"), "ResponseURL": cloudformation.url})
    assert cloudformation.answers[0]["Reason"].startswith("Recovery: 'REJITTER' must not be used with a FIFO queue")
    assert world.items() == []


# Findings: what registration says without refusing


def logged_by(ask: Ask, **changes: Any) -> dict[str, dict[str, Any]]:
    """Register, and return the findings in the log, by rule."""
    log = io.StringIO()
    with log_to(log):
        ask(**changes)
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    return {line["finding"]: line for line in lines if "finding" in line}


def test_register_pipeline_that_works_badly_is_logged_with_what_it_means_and_what_to_set(
    world: World, ask: Ask
) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"VisibilityTimeout": "30"})
    findings = logged_by(ask)
    finding = findings["receives-used-up"]
    assert (finding["level"], finding["kind"], finding["circuit"]) == ("WARNING", "WARNING", CIRCUIT)
    assert finding["message"] == (
        "QueueArn: an outage can use up all of a message's receives before the circuit opens: maxReceiveCount is 5, and"
        " 11 can fail"
    )
    assert "about 5 minutes" in finding["means"]
    assert finding["remedy"].startswith("Set maxReceiveCount to 13 or more")
    assert (findings["retention"]["level"], findings["retention"]["kind"]) == ("INFO", "NOTE")
    assert world.record().state is CircuitState.CLOSED


def test_register_findings_follow_the_alarms_own_timing(world: World, ask: Ask) -> None:
    assert "receives-left" in logged_by(ask)
    world.make_alarm("slow", Period=300, EvaluationPeriods=3, DatapointsToAlarm=3)
    assert "8 can fail" in logged_by(ask, AlarmNames=["slow"])["receives-used-up"]["message"]


def test_register_other_consumer_of_the_queue_is_logged(world: World, ask: Ask) -> None:
    assert "other-consumer" not in logged_by(ask)
    other = world.make_mapping(world.make_function("another"), world.queue_arn)
    assert other in logged_by(ask)["other-consumer"]["message"]


def test_register_refused_pipeline_is_logged_with_the_rest_and_not_twice(world: World, ask: Ask) -> None:
    world.sqs.set_queue_attributes(QueueUrl=world.queue_url, Attributes={"VisibilityTimeout": "29"})
    findings = logged_by(ask)
    assert "receives-used-up" in findings
    assert "visibility-below-timeout" not in findings  # it is the reason of the refusal
    assert world.items() == []


def test_register_findings_hold_no_variables_value_and_no_message(world: World, ask: Ask) -> None:
    variables = {"Variables": {"PASSWORD": "hunter2"}}
    world.lambda_.update_function_configuration(FunctionName="orders-target", Environment=variables)
    world.send("a message's content")
    log = io.StringIO()
    with log_to(log):
        ask()
    assert "idempotency-unknown" in log.getvalue()
    assert "hunter2" not in log.getvalue()
    assert "content" not in log.getvalue()


def test_register_circuit_name_of_another_stack_is_refused(world: World, ask: Ask) -> None:
    ask()
    other = world.make_mapping(world.target_arn, world.queue_arn)
    reason = refused(world, ask, stack=OTHER_STACK, MappingId=other)
    assert reason.startswith("CircuitName: 'orders' must not be a circuit of another stack")


def test_register_circuit_name_taken_at_the_same_moment_is_refused(world: World, ask: Ask) -> None:
    world.refuse(world.dynamodb, "update_item", "ConditionalCheckFailedException")
    assert refused(world, ask).startswith("CircuitName: 'orders' must not be a circuit of another stack")


def test_register_mapping_taken_and_given_up_at_the_same_moment_is_refused(world: World, ask: Ask) -> None:
    world.refuse(world.dynamodb, "put_item", "ConditionalCheckFailedException")
    assert "is protected by the circuit" in refused(world, ask)


def test_register_mapping_of_another_stacks_circuit_is_refused(world: World, ask: Ask) -> None:
    ask()
    reason = refused(world, ask, stack=OTHER_STACK, CircuitName="payments")
    assert reason == f"MappingId: '{world.mapping_id}' is protected by the circuit 'orders' already"


@pytest.mark.parametrize(
    ("client", "operation"),
    [
        ("lambda_", "get_function_configuration"),
        ("sqs", "get_queue_url"),
        ("sqs", "get_queue_attributes"),
        ("cloudwatch", "describe_alarms"),
        ("dynamodb", "put_item"),
        ("dynamodb", "update_item"),
        ("dynamodb", "get_item"),
    ],
)
def test_register_call_refused_by_aws_is_answered_as_failed(
    world: World, ask: Ask, client: str, operation: str
) -> None:
    world.refuse(getattr(world, client), operation, "ServiceUnavailable")
    answer = ask()
    assert answer["Status"] == "FAILED"
    assert answer["PhysicalResourceId"] == "not-registered"
    assert "ServiceUnavailable" in answer["Reason"]
    assert ask()["Status"] == "SUCCESS"


def test_register_long_reason_is_cut_so_that_cloudformation_takes_it(world: World, ask: Ask) -> None:
    assert len(refused(world, ask, Mode="X" * 5000)) == 1000


def test_register_failed_create_is_rolled_back_without_removing_anything(world: World, ask: Ask) -> None:
    ask()
    failed = ask(stack=OTHER_STACK)
    assert failed["PhysicalResourceId"] == "not-registered"
    before = world.items()
    for physical_id in ("not-registered", "orders"):
        answer = ask("Delete", stack=OTHER_STACK, physical_id=physical_id)
        assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", physical_id)
    assert world.items() == before


def test_register_answer_cannot_be_sent_raises_so_that_lambda_tries_again(world: World) -> None:
    with pytest.raises(OSError):
        world.run("register_circuit", world.request())
    assert world.record().state is CircuitState.CLOSED


# Update


def test_register_update_changes_settings_and_keeps_the_state_during_an_incident(world: World, ask: Ask) -> None:
    ask()
    world.open()
    before = world.record()
    answer = ask("Update", MaxProbes="7")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", CIRCUIT)
    after = world.record()
    assert after.circuit.settings["MaxProbes"] == 7
    assert (after.state, after.owner, after.incident, after.sequence, after.since) == (
        before.state,
        before.owner,
        before.incident,
        before.sequence,
        before.since,
    )
    assert world.mapping_is() == "Disabled"


def test_register_update_refused_keeps_the_settings(world: World, ask: Ask) -> None:
    ask()
    before = world.record()
    answer = ask("Update", MaxProbes="-1")
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", CIRCUIT)
    assert world.record() == before


def test_register_update_to_another_mapping_lets_the_old_one_go(world: World, ask: Ask) -> None:
    ask()
    other = world.make_mapping(world.target_arn, world.queue_arn)
    assert ask("Update", MappingId=other)["Data"]["MappingId"] == other
    assert ask(stack=OTHER_STACK, CircuitName="payments")["Status"] == "SUCCESS"  # with the old mapping


def test_register_update_to_another_mapping_during_an_incident_is_refused(world: World, ask: Ask) -> None:
    ask()
    world.open()
    other = world.make_mapping(world.target_arn, world.queue_arn)
    before = world.items()
    reason = ask("Update", MappingId=other)["Reason"]
    assert "nor change its function or queue while it is not CLOSED" in reason
    assert world.items() == before
    # The mapping that was refused stays free, the old one stays taken.
    assert ask(stack=OTHER_STACK, CircuitName="payments")["Status"] == "FAILED"
    assert ask(stack=OTHER_STACK, CircuitName="payments", MappingId=other)["Status"] == "SUCCESS"


def test_register_rename_registers_the_new_name_and_then_removes_the_old(world: World, ask: Ask) -> None:
    ask()
    renamed = ask("Update", CircuitName="sales")
    # Another id, so CloudFormation deletes the old one when it cleans up.
    assert (renamed["Status"], renamed["PhysicalResourceId"]) == ("SUCCESS", "sales")
    assert ask("Delete", physical_id="orders")["Status"] == "SUCCESS"
    assert world.table.load("orders") is None
    assert world.record("sales").circuit.mapping_id == world.mapping_id
    assert ask(stack=OTHER_STACK, CircuitName="payments")["Status"] == "FAILED"  # the mapping is still taken


def test_register_rename_during_an_incident_ends_it_with_the_mapping_enabled(world: World, ask: Ask) -> None:
    ask()
    execution = world.open()["execution"]
    assert ask("Update", CircuitName="sales")["Status"] == "SUCCESS"
    assert ask("Delete", physical_id="orders")["Status"] == "SUCCESS"
    assert world.mapping_is() == "Enabled"
    assert world.execution_status(execution) == "ABORTED"
    assert world.record("sales").state is CircuitState.CLOSED


def test_register_rename_to_another_stacks_circuit_is_refused_and_keeps_the_mapping_taken(
    world: World, ask: Ask
) -> None:
    ask()
    other = world.make_mapping(world.target_arn, world.queue_arn)
    ask(stack=OTHER_STACK, CircuitName="sales", MappingId=other)
    before = world.items()
    assert ask("Update", CircuitName="sales")["Status"] == "FAILED"
    assert world.items() == before
    assert ask(stack=OTHER_STACK, CircuitName="payments")["Status"] == "FAILED"


# Delete


def test_register_delete_closed_forgets_the_circuit_and_leaves_the_mapping_alone(world: World, ask: Ask) -> None:
    ask()
    world.switch_mapping(enabled=False)  # by its owner
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.items() == []
    assert world.mapping_is() == "Disabled"


def test_register_delete_open_stops_the_incident_and_gives_everything_back(world: World, ask: Ask) -> None:
    ask()
    world.target = failing
    sent = [world.send(f"order {number}") for number in range(3)]
    document = world.open()
    for _ in range(3):
        world.run("probe_target", document)
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.execution_status(document["execution"]) == "ABORTED"
    assert [world.hidden_for(message_id) for message_id in sent] == [0, 0, 0]
    assert world.mapping_is() == "Enabled"
    assert world.items() == []


def test_register_delete_in_an_incident_ends_it_with_a_report(world: World, ask: Ask) -> None:
    ask()
    world.target = failing
    world.send()
    document = world.open()
    world.run("probe_target", document)
    world.wait(600)
    world.events.clear()
    assert ask("Delete")["Status"] == "SUCCESS"
    (event,) = world.events
    assert (event["change"], event["from"], event["to"]) == ("CLOSED", "OPEN", "CLOSED")
    report = event["report"]
    assert (report["outcome"], report["incident"]) == ("REMOVED", document["claim"]["incident"])
    assert (report["probes"], report["failed_probes"]) == (1, 1)
    assert report["duration_seconds"] >= 600
    # A removal asks CloudWatch for nothing.
    assert (report["failed_calls"], report["dead_lettered"]) == (None, None)


def test_register_delete_without_an_incident_announces_nothing(world: World, ask: Ask) -> None:
    ask()
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.events == []


def test_register_delete_that_nobody_can_be_told_of_succeeds(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.refuse(clients.events(), "put_events", "InternalException")
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.items() == []


def test_register_delete_after_a_hand_over_stops_the_successor_too(world: World, ask: Ask) -> None:
    ask()
    document = world.open()
    successor = world.run("hand_over", document)["successor"]
    ask("Delete")
    assert [world.execution_status(arn) for arn in (document["execution"], successor)] == ["ABORTED", "ABORTED"]


def test_register_delete_claimed_but_not_confirmed_enables_the_mapping(world: World, ask: Ask) -> None:
    ask()
    document = world.document(world.start_execution())
    world.run("open_circuit", document)
    asked_at = world.now
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.mapping_is() == "Enabled"
    # A step that was about to disable the mapping has come to its end by then.
    assert (world.now - asked_at).total_seconds() >= 60


def test_register_delete_while_a_step_is_at_work_takes_its_claim(world: World, ask: Ask) -> None:
    ask()
    document = world.open(probe={"outcome": "HEALED", "reason": "test"})
    ask("Delete")
    with pytest.raises(Exception, match="does not own it any more"):
        world.run("close_circuit", document)
    assert world.items() == []


def test_register_delete_twice_succeeds(world: World, ask: Ask) -> None:
    ask()
    world.open()
    assert ask("Delete") == ask("Delete")
    assert world.mapping_is() == "Enabled"


def test_register_delete_ignores_settings_that_are_wrong_by_now(world: World, ask: Ask) -> None:
    ask()
    assert ask("Delete", Colour="red", AlarmNames=None)["Status"] == "SUCCESS"
    assert world.items() == []


def test_register_delete_execution_gone_already_goes_on(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.refuse(world.stepfunctions, "stop_execution", "ExecutionDoesNotExist")
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.mapping_is() == "Enabled"


def test_register_delete_mapping_gone_already_goes_on(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.lambda_.delete_event_source_mapping(UUID=world.mapping_id)
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.items() == []


def test_register_delete_queue_gone_already_goes_on(world: World, ask: Ask) -> None:
    ask()
    world.target = failing
    world.send()
    world.run("probe_target", world.open())
    world.sqs.delete_queue(QueueUrl=world.queue_url)
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.items() == []
    assert world.mapping_is() == "Enabled"


def test_register_delete_mapping_busy_waits_until_it_is_enabled(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.refuse(world.lambda_, "update_event_source_mapping", "ResourceInUseException", times=3)
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.mapping_is() == "Enabled"
    assert 9 <= (world.now - world.now.replace(minute=0, second=0)).seconds < 60


def test_register_delete_mapping_being_enabled_already_is_only_waited_for(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.switch_mapping(enabled=True)
    world.mapping_state = "Enabling"
    wait = world.wait

    def until_it_is_enabled(seconds: float) -> None:
        wait(seconds)
        world.mapping_state = None

    world.refuse(world.lambda_, "update_event_source_mapping", "InvalidParameterValueException")
    # Undone here: a fixture would undo it after the world is gone, and leave the world's own wait in place.
    with mock.patch.object(clock, "sleep", until_it_is_enabled):
        assert ask("Delete")["Status"] == "SUCCESS"


def test_register_delete_mapping_never_enabled_fails_and_can_be_tried_again(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.mapping_state = "Updating"
    answer = ask("Delete")
    assert answer["Status"] == "FAILED"
    assert answer["Reason"] == (
        f"MappingNotSettled: MappingId: '{world.mapping_id}' could not be enabled within 480 s; try again"
    )
    assert world.record().owner == "removal-9f4b0b1e-0000-4000-8000-000000000001"
    world.mapping_state = None
    assert ask("Delete")["Status"] == "SUCCESS"
    assert world.mapping_is() == "Enabled"
    assert world.items() == []


def test_register_delete_failed_and_rolled_back_can_be_opened_again(world: World, ask: Ask) -> None:
    ask()
    world.open()
    world.mapping_state = "Updating"
    assert ask("Delete")["Status"] == "FAILED"
    world.mapping_state = None
    assert ask("Update")["Status"] == "SUCCESS"
    assert world.record().owner == ""
    second = world.document(world.start_execution("second"))
    assert world.run("open_circuit", second)["ours"]


def test_register_update_during_an_incident_leaves_its_owner(world: World, ask: Ask) -> None:
    ask()
    execution = world.open()["execution"]
    ask("Update")
    assert world.record().owner == execution


def test_register_delete_removed_at_the_same_moment_succeeds(world: World, ask: Ask) -> None:
    ask()
    world.refuse(world.dynamodb, "update_item", "ConditionalCheckFailedException")
    assert ask("Delete")["Status"] == "SUCCESS"


def test_register_delete_table_refuses_is_answered_as_failed(world: World, ask: Ask) -> None:
    ask()
    world.refuse(world.dynamodb, "update_item", "InternalServerError")
    assert "InternalServerError" in ask("Delete")["Reason"]
    assert ask("Delete")["Status"] == "SUCCESS"


def test_register_delete_mapping_cannot_be_released_is_answered_as_failed(world: World, ask: Ask) -> None:
    ask()
    world.refuse(world.dynamodb, "delete_item", "InternalServerError")
    assert "InternalServerError" in ask("Delete")["Reason"]
    assert ask("Delete")["Status"] == "SUCCESS"
