"""What AWS answers, turned into facts."""

import json

from breaker.pipeline import FunctionFacts, MappingFacts, QueueFacts
from breaker.pipeline_parts import Parts
from breaker.pipeline_reader import facts_of, mapping_facts

SQS = "arn:aws:sqs:us-east-1:123456789012"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:orders-target"
BARE = {"UUID": "1", "FunctionArn": f"{FUNCTION}:live", "EventSourceArn": f"{SQS}:orders", "State": "Enabled"}


def parts(*, function=None, queue=None, others=()):
    return Parts(
        function={"Timeout": 30, **(function or {})},
        target=f"{FUNCTION}:live",
        queue_url="https://queue",
        queue_arn=f"{SQS}:orders",
        queue={"VisibilityTimeout": "180", **(queue or {})},
        mapping=BARE,
        mappings=[BARE, *others],
    )


def test_mapping_facts_of_a_mapping_that_says_everything():
    said = {
        "BatchSize": 25,
        "MaximumBatchingWindowInSeconds": 7,
        "FilterCriteria": {"Filters": [{"Pattern": "{}"}, {}]},
        "KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1",
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 20},
        "ProvisionedPollerConfig": {"MinimumPollers": 2},
        "MetricsConfig": {"Metrics": ["EventCount"]},
    }
    assert mapping_facts({**BARE, **said}) == MappingFacts(
        id="1",
        target=f"{FUNCTION}:live",
        source=f"{SQS}:orders",
        state="Enabled",
        batch_size=25,
        batching_window_seconds=7,
        filters=("{}",),
        filters_hidden=False,
        partial_batch_response=True,
        maximum_concurrency=20,
        provisioned=True,
        counts_events=True,
    )


def test_mapping_facts_of_a_mapping_that_says_little():
    nothing = {"FunctionResponseTypes": None, "ScalingConfig": None, "MetricsConfig": {}, "FilterCriteria": None}
    assert mapping_facts({**BARE, **nothing}) == MappingFacts("1", f"{FUNCTION}:live", f"{SQS}:orders", "Enabled")
    assert mapping_facts({"UUID": "1", "FunctionArn": FUNCTION}).source == ""


def test_mapping_facts_filters_behind_a_key_are_hidden():
    assert mapping_facts({**BARE, "KMSKeyArn": "arn:aws:kms:us-east-1:123456789012:key/1"}).filters_hidden


def test_facts_of_queue_that_says_everything():
    policy = {"deadLetterTargetArn": f"{SQS}:orders-dlq", "maxReceiveCount": 5}
    said = {
        "RedrivePolicy": json.dumps(policy),
        "MessageRetentionPeriod": "86400",
        "DelaySeconds": "3",
        "KmsMasterKeyId": "alias/orders",
        "ApproximateNumberOfMessagesNotVisible": "17",
    }
    assert facts_of(parts(queue=said), named_as="orders-target:live").queue == QueueFacts(
        f"{SQS}:orders", 180, 5, f"{SQS}:orders-dlq", 86_400, 3, "alias/orders", 17
    )


def test_facts_of_queue_that_says_little():
    assert facts_of(parts(), named_as="orders-target:live").queue == QueueFacts(f"{SQS}:orders", 180)


def test_facts_of_function_keep_names_of_variables_and_no_values():
    variables = {"Variables": {"PASSWORD": "hunter2", "POWERTOOLS_IDEMPOTENCY_DISABLED": "True"}}
    pipeline = facts_of(parts(function={"Environment": variables}), named_as="orders-target:live")
    assert pipeline.function == FunctionFacts(
        "orders-target:live",
        f"{FUNCTION}:live",
        30,
        environment_names=("PASSWORD", "POWERTOOLS_IDEMPOTENCY_DISABLED"),
        idempotency_disabled=True,
    )
    assert "hunter2" not in repr(pipeline)


def test_facts_of_function_whose_variables_cannot_be_decrypted_or_leave_idempotency_on():
    error = {"Error": {"ErrorCode": "AccessDeniedException"}}
    assert facts_of(parts(function={"Environment": error}), named_as="x").function.environment_names == ()
    on = {"Variables": {"POWERTOOLS_IDEMPOTENCY_DISABLED": "false"}}
    assert not facts_of(parts(function={"Environment": on}), named_as="x").function.idempotency_disabled


def test_facts_of_others_are_those_of_the_function_in_any_version_and_of_the_queue():
    same_function = {"UUID": "2", "FunctionArn": FUNCTION, "EventSourceArn": f"{SQS}:refunds", "State": "Enabled"}
    same_queue = {"UUID": "3", "FunctionArn": f"{FUNCTION}-2", "EventSourceArn": f"{SQS}:orders", "State": "Disabled"}
    neither = {"UUID": "4", "FunctionArn": f"{FUNCTION}-2", "EventSourceArn": f"{SQS}:refunds", "State": "Enabled"}
    kafka = {"UUID": "5", "FunctionArn": f"{FUNCTION}-2", "State": "Enabled"}
    pipeline = facts_of(parts(others=[same_function, same_queue, neither, kafka]), named_as="orders-target:live")
    assert [other.id for other in pipeline.others] == ["2", "3"]
    assert pipeline.dead_letter is None
