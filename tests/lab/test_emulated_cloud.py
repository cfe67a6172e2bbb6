"""What is added to ministack, against fakes of the functions it wraps."""

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest

from lab.emulated_cloud import (
    METRIC_WAITS,
    accept_signatures_for,
    alarm_names,
    authorize_alarms_by_name,
    authorize_events_by_what_they_say,
    exception_name,
    keep_metrics_config,
    keep_processes_after_errors,
    leave_schedules_to_the_lab,
    let_mappings_take_time,
    name_actions_as_aws_does,
    publish_metrics_of_mappings,
    take_metric_math_alarms,
    transform_nested_templates,
    wait_for_metrics_in_full,
)

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTION = {"config": {"FunctionName": "orders"}}


def lambda_service(answer, *, publishes_itself=False):
    """A fake of ministack's Lambda service that looks its functions up as the real one does."""
    published = []
    service = SimpleNamespace(
        published=published,
        _execute_function=lambda function, event: answer,
        _emit_lambda_metrics=lambda name, **values: published.append((name, values["error"], values["throttle"])),
    )

    def run_batch(mapping, function, event, batch):
        service._execute_function(function, event)
        if publishes_itself:
            service._emit_lambda_metrics("orders", error=False, throttle=False)

    service._run_sqs_batch = run_batch
    service.counted = []
    publish_metrics_of_mappings(service, lambda *values: service.counted.append(values))
    return service


@pytest.mark.parametrize(("answer", "failed"), [({"error": True}, True), ({"body": {}}, False)])
def test_batch_of_a_mapping_publishes_one_invocation(answer, failed):
    service = lambda_service(answer)
    service._run_sqs_batch({}, FUNCTION, {}, [])
    assert service.published == [("orders", failed, False)]


def test_batch_whose_metrics_were_published_is_not_counted_twice():
    service = lambda_service({}, publishes_itself=True)
    service._run_sqs_batch({}, FUNCTION, {}, [])
    assert len(service.published) == 1


def test_call_outside_a_batch_is_left_alone():
    service = lambda_service({})
    service._execute_function(FUNCTION, {})
    assert service.published == []


def test_ministack_without_the_wrapped_functions_is_refused():
    with pytest.raises(SystemExit, match="_run_sqs_batch"):
        publish_metrics_of_mappings(SimpleNamespace(), print)


MAPPING = {
    "UUID": "m",
    "MetricsConfig": {"Metrics": ["EventCount"]},
    "FunctionResponseTypes": ["ReportBatchItemFailures"],
}
EVENT = {"Records": [{"messageId": "one"}, {"messageId": "two"}, {"messageId": "three"}]}
PARTLY = {"batchItemFailures": [{"itemIdentifier": "two"}, {"itemIdentifier": "unknown"}]}


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        ({"body": {"batchItemFailures": []}}, 0),
        ({"body": None}, 0),
        ({"body": PARTLY}, 1),
        ({"body": json.dumps(PARTLY)}, 1),
        ({"error": True, "body": {"errorType": "Late"}}, 3),
        ({"throttle": True}, 3),
    ],
)
def test_batch_of_a_mapping_that_publishes_event_counts_counts_its_messages(answer, failed):
    service = lambda_service(answer)
    service._run_sqs_batch(MAPPING, FUNCTION, EVENT, [])
    dimensions = {"EventSourceMappingUUID": "m"}
    assert service.counted == [
        ("AWS/Lambda", "InvokedEventCount", 3, "Count", dimensions),
        ("AWS/Lambda", "FailedInvokeEventCount", failed, "Count", dimensions),
    ]


def test_batch_counts_no_named_failures_without_report_batch_item_failures():
    service = lambda_service({"body": PARTLY})
    service._run_sqs_batch({**MAPPING, "FunctionResponseTypes": []}, FUNCTION, EVENT, [])
    assert [values[2] for values in service.counted] == [3, 0]


def test_batch_of_a_mapping_without_event_counts_counts_nothing():
    service = lambda_service({"body": {}})
    service._run_sqs_batch({"UUID": "m"}, FUNCTION, EVENT, [])
    assert service.counted == []


def test_mapping_keeps_its_metrics_config_however_it_is_made():
    config = {"Metrics": ["EventCount"]}
    known = {}

    def make(name, wanted):
        known[name] = {"UUID": name}
        return 202, {}, json.dumps(known[name]).encode()

    service = SimpleNamespace(
        _esms=known,
        _create_esm=lambda request: make("by-call", request),
        _update_esm=lambda name, request: (200, {}, b"{}") if name in known else (404, {}, b"{}"),
    )
    handlers = {
        "create": lambda logical_id, properties, stack: (make(logical_id, properties) and logical_id, {}),
        "update": lambda physical_id, old, new, stack: (physical_id, {}),
    }
    resources = {"AWS::Lambda::EventSourceMapping": handlers}
    keep_metrics_config(service, resources)

    service._create_esm({"MetricsConfig": config})
    handlers["create"]("by-stack", {"MetricsConfig": config}, "stack")
    assert known["by-call"]["MetricsConfig"] == known["by-stack"]["MetricsConfig"] == config
    handlers["update"]("by-stack", {}, {"MetricsConfig": {}}, "stack")
    service._update_esm("by-call", {"MetricsConfig": {}})
    assert known["by-call"]["MetricsConfig"] == known["by-stack"]["MetricsConfig"] == {}
    assert service._update_esm("nobody", {"MetricsConfig": config})[0] == 404


def test_stack_may_have_an_alarm_on_metric_math():
    provisioners = SimpleNamespace(_cw_metric_alarm_record=lambda name, properties: (name, properties))
    take_metric_math_alarms(provisioners)
    plain = {"MetricName": "Errors", "Namespace": "AWS/Lambda"}
    assert provisioners._cw_metric_alarm_record("plain", plain) == ("plain", plain)
    _, record = provisioners._cw_metric_alarm_record("math", {"Metrics": [{"Id": "a"}], "Threshold": 1})
    assert record == {"Threshold": 1, "Namespace": "Lab", "MetricName": "EvaluatedByTheLab"}


@pytest.mark.parametrize(
    ("body", "query", "names"),
    [
        (json.dumps({"AlarmNames": ["rate"]}).encode(), {}, ["rate"]),
        (b"", {"AlarmNames.member.1": ["rate"], "Action": "DescribeAlarms"}, ["rate"]),
        (b"{}", {}, []),
        (quote("Action=DescribeAlarms").encode(), {}, []),
    ],
)
def test_alarm_names_reads_every_protocol(body, query, names):
    assert alarm_names(body, query) == names


def actions(action="sqs:DeleteMessageBatch"):
    module = SimpleNamespace(extract_resource_arn=lambda *_: "*", extract_iam_action=lambda *_: action)
    authorize_alarms_by_name(module)
    name_actions_as_aws_does(module)
    return module


def test_describing_one_alarm_is_authorized_on_that_alarm():
    ask = actions().extract_resource_arn
    one, two = ({"AlarmNames.member.1": "a"}, {"AlarmNames.member.1": "a", "AlarmNames.member.2": "b"})
    assert ask("monitoring", "POST", "/", {}, b"", one, "eu-west-1", "1") == "arn:aws:cloudwatch:eu-west-1:1:alarm:a"
    assert ask("monitoring", "POST", "/", {}, b"", two, "eu-west-1", "1") == "*"


def test_actions_are_named_as_aws_names_them():
    ask = actions().extract_iam_action
    assert ask("sqs", "POST", "/", {}, b"", {}) == "sqs:DeleteMessage"
    assert ask("lambda", "GET", "/2015-03-31/event-source-mappings/id", {}, b"", {}) == "lambda:GetEventSourceMapping"
    listing = actions("lambda:ListEventSourceMappings").extract_iam_action
    assert listing("lambda", "GET", "/2015-03-31/event-source-mappings/", {}, b"", {}) == (
        "lambda:ListEventSourceMappings"
    )


def test_events_are_put_with_their_sources_and_detail_types_as_condition_keys():
    asked = []
    actions = SimpleNamespace(extract_resource_arn=lambda *request: "bus")
    evaluator = SimpleNamespace(enforce=lambda key, action, **options: asked.append(options["service_context"]))
    authorize_events_by_what_they_say(actions, evaluator)
    entries = [{"Source": "shop", "DetailType": "Paid"}, {"Source": "shop", "DetailType": "Sent"}]

    actions.extract_resource_arn("events", "POST", "/", {}, json.dumps({"Entries": entries}).encode())
    evaluator.enforce("key", "events:PutEvents", service_context=None)
    evaluator.enforce("key", "events:PutRule", service_context=None)
    actions.extract_resource_arn("sqs", "POST", "/", {}, b"{}")
    evaluator.enforce("key", "events:PutEvents", service_context={"other": 1})

    assert asked == [{"events:source": ["shop"], "events:detail-type": ["Paid", "Sent"]}, None, {"other": 1}]


def test_exception_name_is_the_class_of_the_last_traceback():
    log = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    raise Late(1)\nbreaker.errors.Late: x: y'
    )
    assert exception_name(log) == "Late"
    assert exception_name("all is well") is None


def test_process_outlives_an_exception_of_its_handler_and_the_answer_is_an_error():
    script = 'before {"status": "error", "error": str(e), "trace": traceback.format_exc()} after'
    runtime = SimpleNamespace(_PYTHON_WORKER_SCRIPT=script)
    said = {}
    service = SimpleNamespace(_execute_function_warm=lambda function, event, request_id: said["answer"])
    keep_processes_after_errors(runtime, service)

    # What the process says now: the call went well, and this is its result.
    report = runtime._PYTHON_WORKER_SCRIPT.removeprefix("before ").removesuffix(" after")
    names = {"e": ValueError("poison"), "traceback": SimpleNamespace(format_exc=lambda: "ValueError: poison")}
    told = eval(report, names)
    assert told["status"] == "ok"

    said["answer"] = {"body": told["result"], "log": "a line"}
    assert service._execute_function_warm({}, {}, "1") == {
        "body": {"errorMessage": "poison", "errorType": "Runtime.HandlerError"},
        "error": True,
        "log": "a line\nValueError: poison",
    }
    said["answer"] = {"body": {"fine": 1}, "log": ""}
    assert service._execute_function_warm({}, {}, "2") == said["answer"]


def test_ministack_that_reports_errors_otherwise_is_refused():
    service = SimpleNamespace(_execute_function_warm=lambda function, event, request_id: None)
    with pytest.raises(SystemExit, match="reports errors of functions otherwise"):
        keep_processes_after_errors(SimpleNamespace(_PYTHON_WORKER_SCRIPT="pass"), service)


def mappings(seconds=0.15, **mapping):
    """A fake of ministack's Lambda service with one mapping, whose changes take time."""
    known = {"UUID": "m", "State": "Enabled", "Enabled": True, **mapping}

    def answer(body, status):
        return status, {}, json.dumps(body).encode()

    def update(mapping_id, request):
        if mapping_id != "m":
            return answer({}, 404)
        known.update(request)
        known["State"] = "Enabled" if known["Enabled"] else "Disabled"
        return answer(known, 200)

    service = SimpleNamespace(
        mapping=known,
        _esms={"m": known},
        _esm_wake=threading.Event(),
        _update_esm=update,
        _delete_esm=lambda mapping_id: answer(known, 202),
        error_response_json=lambda code, message, status: answer({"code": code, "message": message}, status),
    )
    let_mappings_take_time(service, seconds)
    return service


def settled(service):
    assert service._esm_wake.wait(5)
    service._esm_wake.clear()
    return service.mapping["State"], service.mapping["Enabled"]


@pytest.mark.parametrize(
    ("before", "request_", "meanwhile", "after"),
    [
        ({}, {"Enabled": False}, "Disabling", ("Disabled", False)),
        ({"State": "Disabled", "Enabled": False}, {"Enabled": True}, "Enabling", ("Enabled", True)),
        ({}, {"ScalingConfig": {"MaximumConcurrency": 2}}, "Updating", ("Enabled", True)),
        ({"State": "Disabled", "Enabled": False}, {"BatchSize": 5}, "Updating", ("Disabled", False)),
    ],
)
def test_change_of_a_mapping_takes_time_and_it_does_not_poll_meanwhile(before, request_, meanwhile, after):
    service = mappings(**before)
    status, _, body = service._update_esm("m", request_)
    assert (status, json.loads(body)["State"]) == (200, meanwhile)
    assert (service.mapping["State"], service.mapping["Enabled"]) == (meanwhile, False)
    assert settled(service) == after


def test_mapping_that_is_changing_refuses_changes_as_aws_does():
    service = mappings()
    service._update_esm("m", {"Enabled": False})
    for change, verb in ((lambda: service._update_esm("m", {"Enabled": True}), "update"),
                         (lambda: service._delete_esm("m"), "delete")):  # fmt: skip
        status, _, body = change()
        assert status == 400
        assert json.loads(body) == {
            "code": "ResourceInUseException",
            "message": f"Cannot {verb} the event source mapping because it is in use.",
        }
    assert settled(service) == ("Disabled", False)
    assert service._update_esm("m", {"Enabled": True})[0] == 200
    assert settled(service) == ("Enabled", True)
    assert service._delete_esm("m")[0] == 202


def test_empty_scaling_config_takes_the_limit_away():
    service = mappings(seconds=0.0, ScalingConfig={"MaximumConcurrency": 2})
    _, _, body = service._update_esm("m", {"ScalingConfig": {}})
    assert "ScalingConfig" not in json.loads(body)
    assert "ScalingConfig" not in service.mapping


def test_refused_change_of_a_mapping_begins_nothing():
    service = mappings()
    assert service._update_esm("other", {"Enabled": False})[0] == 404
    time.sleep(0.01)
    assert service.mapping["State"] == "Enabled"


def test_schedules_of_the_emulator_are_stopped():
    rules = SimpleNamespace(_tick_scheduled_rules=lambda: pytest.fail("it ticked"))
    leave_schedules_to_the_lab(rules)
    rules._tick_scheduled_rules()


@pytest.mark.parametrize(
    ("path", "scaled"), [("$.schedule.wait_seconds", True), *[(path, False) for path in sorted(METRIC_WAITS)]]
)
def test_wait_for_metrics_is_not_scaled_and_others_are(path, scaled, monkeypatch):
    slept = []
    monkeypatch.setattr(time, "sleep", lambda seconds: slept.append(("in full", seconds)))
    machines = SimpleNamespace(_scaled_sleep=lambda seconds: slept.append(("scaled", seconds)))
    machines._execute_wait = lambda state, document, context=None: machines._scaled_sleep(document)
    wait_for_metrics_in_full(machines)
    machines._execute_wait({"Type": "Wait", "SecondsPath": path}, 7, {})
    assert slept == [("scaled" if scaled else "in full", 7)]


def test_every_wait_before_a_judgement_is_one_for_metrics():
    states = json.loads((REPOSITORY / "statemachine" / "circuit_breaker.asl.json").read_text())["States"]
    waits = [
        state["SecondsPath"]
        for state in states.values()
        if state["Type"] == "Wait" and state["Next"] == "JudgeRecovery"
    ]
    assert sorted(waits) == sorted(METRIC_WAITS)


def test_signature_for_the_proxys_host_holds_and_a_wrong_one_does_not():
    def check(signature, secret, method, path, query, headers, body, *, presigned=False):
        return None if headers["host"] == signature else ("SignatureDoesNotMatch", "no")

    signatures = SimpleNamespace(header_signature_failure=check)
    accept_signatures_for("127.0.0.1:9", signatures)

    def ask(signed_for):
        return signatures.header_signature_failure(
            signed_for, "s", "GET", "/", {}, {"host": "127.0.0.1:8"}, b"", presigned=False
        )

    assert ask("127.0.0.1:8") is None
    assert ask("127.0.0.1:9") is None
    assert ask("elsewhere") == ("SignatureDoesNotMatch", "no")


def test_signature_for_a_proxy_holds_although_the_proxy_unquotes_colons():
    def check(signature, secret, method, path, query, headers, body, *, presigned):
        return None if (headers["host"], path) == signature else ("SignatureDoesNotMatch", "no")

    signatures = SimpleNamespace(header_signature_failure=check)
    accept_signatures_for("127.0.0.1:9", signatures)

    def ask(signed_path):
        return signatures.header_signature_failure(
            ("127.0.0.1:9", signed_path), "s", "POST", "/functions/arn:aws:x", {}, {"host": "h"}, b"", presigned=False
        )

    assert ask("/functions/arn%3Aaws%3Ax") is None
    assert ask("/functions/other") == ("SignatureDoesNotMatch", "no")


def test_nested_template_is_parsed_and_then_transformed():
    engine = SimpleNamespace(_parse_template=json.loads, _apply_transforms=lambda template: {**template, "plain": True})
    transform_nested_templates(engine)
    assert engine._parse_template('{"Transform": "AWS::Serverless-2016-10-31"}')["plain"] is True


def test_ministack_that_does_not_transform_is_refused():
    with pytest.raises(SystemExit, match="_apply_transforms"):
        transform_nested_templates(SimpleNamespace(_parse_template=json.loads))
