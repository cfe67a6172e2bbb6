"""ministack, with gaps filled that the application would otherwise fall into.

* ministack publishes the ``AWS/Lambda`` metrics for calls of the Invoke API alone. AWS publishes them for every
  invocation, and most of a queue consumer's come from its event source mapping. So they are published there too.
* ministack knows no ``EventCount`` metrics, and forgets that a mapping was asked for them. Its poller knows what it
  delivered and what failed, so ``InvokedEventCount`` and ``FailedInvokeEventCount`` are published as AWS documents
  them: every message of a failed call, and the named ones of a partial batch response. The other counts are not there.
* ministack's CloudFormation refuses alarms on metric math. Here it makes them, and leaves evaluating them to the lab.
* ministack asks for permission on ``*`` when a caller describes an alarm by its name. AWS asks for permission on that
  alarm, and the template grants no more.
* ministack knows no ``events:source`` and ``events:detail-type`` when it asks for permission to put events. AWS does.
* ministack takes reading one event source mapping for listing all of them, and asks for that permission.
* ministack forgets the class of an exception that a Python function raises. On AWS it is the error's name, and the
  state machine catches errors by name.
* ministack ends a Python function's process when its handler raises. AWS keeps it, so an outage does not make every
  call start anew.
* ministack asks for permissions such as ``sqs:DeleteMessageBatch``, which IAM does not have: a batch needs the
  permission of its single call.
* ministack changes an event source mapping at once. On AWS it is ``Enabling``, ``Disabling`` or ``Updating`` for a
  while, and refuses every other change meanwhile. How long is told by ``LAB_MAPPING_CHANGE_SECONDS``.
* A proxy in front of ministack names another host than the one that a request was signed for, and writes the colons of
  an ARN in its path as they are. Where the functions are sent to a proxy, a signature for what they sent holds, too.
* ministack does not apply SAM's transform to the template of a nested stack. CloudFormation does.
* ministack keeps schedules by the real clock. The lab runs them at its own pace, so they are stopped.
* ministack divides every Wait by the lab's scale. Those for metrics follow from the stack's metric period, which is
  divided already, so they are left as they are.

Run as a program, by the lab. It leaves everything else as it is, and refuses a ministack that it does not fit.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

_BATCH_FUNCTIONS = ("_run_sqs_batch", "_execute_function", "_emit_lambda_metrics")
_WARM_FUNCTION = "_execute_function_warm"
_WORKER_PROGRAM = "_PYTHON_WORKER_SCRIPT"
_NAMELESS = "Runtime.HandlerError"
# How ministack's own program in a function's process reports that the handler raised, and what it says here instead.
_REPORT = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
_RAISED = "lab: the handler raised"
_QUIET_REPORT = f'{{"status": "ok", "result": {{"{_RAISED}": [str(e), traceback.format_exc()]}}}}'
_EXCEPTION_LINE = re.compile(r"(?:\w+\.)*([A-Za-z_]\w*)(?::|$)")
_RESOURCE_FUNCTION = "extract_resource_arn"
_ENFORCE_FUNCTION = "enforce"
_ACTION_FUNCTION = "extract_iam_action"
_MAPPING_FUNCTIONS = ("_update_esm", "_delete_esm", "error_response_json")
_METRICS_CONFIG = "MetricsConfig"
_ALARM_FUNCTION = "_cw_metric_alarm_record"
_SIGNATURE_FUNCTION = "header_signature_failure"
_SCHEDULE_FUNCTION = "_tick_scheduled_rules"
_WAIT_FUNCTIONS = ("_execute_wait", "_scaled_sleep")
METRIC_WAITS = {"$.enabled.wait_seconds", "$.recovery.wait_seconds", "$.redrive.wait_seconds"}
_TEMPLATE_FUNCTIONS = ("_parse_template", "_apply_transforms")
# Answers of HTTP with this status or a higher one are refusals.
_REFUSED = 300
_IN_USE = "Cannot {} the event source mapping because it is in use."


@dataclass
class _Batch:
    """What happened while a mapping's batch was run."""

    result: dict[str, Any] | None = None
    published: bool = False


_current: ContextVar[_Batch | None] = ContextVar("lab_batch", default=None)
_waits_for_metrics: ContextVar[bool] = ContextVar("lab_waits_for_metrics", default=False)


def publish_metrics_of_mappings(service: Any, record: Callable[..., None]) -> None:
    """Have ministack's Lambda service publish metrics for batches of mappings, unless it has done so itself.

    ``record`` is its CloudWatch's way to note one value of a metric.
    """
    _require(service, *_BATCH_FUNCTIONS)
    run_batch, execute, publish = (getattr(service, name) for name in _BATCH_FUNCTIONS)

    def run_batch_and_publish(mapping: Any, function: Any, *rest: Any) -> None:
        batch = _Batch()
        token = _current.set(batch)
        began = time.time()
        try:
            run_batch(mapping, function, *rest)
        finally:
            _current.reset(token)
            if batch.result is not None and not batch.published:
                publish(
                    (function.get("config") or function)["FunctionName"],
                    duration_ms=(time.time() - began) * 1000,
                    error=bool(batch.result.get("error")),
                    throttle=bool(batch.result.get("throttle")),
                )
            if batch.result is not None:
                for name, count in event_counts(mapping, rest[0], batch.result).items():
                    record("AWS/Lambda", name, count, "Count", {"EventSourceMappingUUID": mapping["UUID"]})

    def execute_and_note(function: Any, event: Any) -> Any:
        result = execute(function, event)
        batch = _current.get()
        if batch is not None and isinstance(result, dict):
            batch.result = result
        return result

    def publish_and_note(*args: Any, **kwargs: Any) -> None:
        batch = _current.get()
        if batch is not None:
            batch.published = True
        publish(*args, **kwargs)

    service._run_sqs_batch = run_batch_and_publish
    service._execute_function = execute_and_note
    service._emit_lambda_metrics = publish_and_note


def event_counts(mapping: Any, event: Any, result: Any) -> dict[str, int]:
    """What a mapping's own metrics count of one batch; nothing, unless it was asked for them."""
    if "EventCount" not in (mapping.get(_METRICS_CONFIG) or {}).get("Metrics", []):
        return {}
    sent = {message["messageId"] for message in event["Records"]}
    failed = sent
    if not result.get("error") and not result.get("throttle"):
        reports = "ReportBatchItemFailures" in mapping.get("FunctionResponseTypes", [])
        failed = sent & _named_failures(result.get("body")) if reports else set()
    return {"InvokedEventCount": len(sent), "FailedInvokeEventCount": len(failed)}


def _named_failures(body: Any) -> set[str]:
    try:
        answer = json.loads(body) if isinstance(body, str) else body
        return {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
    except (ValueError, TypeError, KeyError):
        return set()


def keep_metrics_config(service: Any, resources: dict[str, dict[str, Any]]) -> None:
    """Have mappings keep which metrics they publish, whether they are made by a call or by a stack."""
    _require(service, "_create_esm", "_update_esm")
    create, update = service._create_esm, service._update_esm

    def keep(mapping_id: str, wanted: Any) -> None:
        if _METRICS_CONFIG in wanted and mapping_id in service._esms:
            service._esms[mapping_id][_METRICS_CONFIG] = wanted[_METRICS_CONFIG]

    def create_and_keep(request: Any) -> Any:
        answer = create(request)
        if answer[0] < _REFUSED:
            keep(json.loads(answer[2])["UUID"], request)
        return answer

    def update_and_keep(mapping_id: str, request: Any) -> Any:
        answer = update(mapping_id, request)
        if answer[0] < _REFUSED:
            keep(mapping_id, request)
        return answer

    def wrap(act: Any, place_of_properties: int) -> Any:
        def act_and_keep(*arguments: Any) -> Any:
            answer = act(*arguments)
            keep(answer[0], arguments[place_of_properties])
            return answer

        return act_and_keep

    service._create_esm, service._update_esm = create_and_keep, update_and_keep
    mapping = resources["AWS::Lambda::EventSourceMapping"]
    mapping["create"], mapping["update"] = wrap(mapping["create"], 1), wrap(mapping["update"], 2)


def take_metric_math_alarms(provisioners: Any) -> None:
    """Have stacks make alarms on metric math. Their state is what they are set to."""
    _require(provisioners, _ALARM_FUNCTION)
    record_of = provisioners._cw_metric_alarm_record

    def record_of_any(name: str, properties: Any) -> Any:
        if not properties.get("Metrics"):
            return record_of(name, properties)
        # A metric that nobody publishes keeps the emulator's own evaluator away.
        stand_in = {key: value for key, value in properties.items() if key != "Metrics"}
        return record_of(name, {**stand_in, "Namespace": "Lab", "MetricName": "EvaluatedByTheLab"})

    provisioners._cw_metric_alarm_record = record_of_any


def transform_nested_templates(engine: Any) -> None:
    """Have the template of a nested stack transformed as that of any other. Only nested stacks look this up late."""
    _require(engine, *_TEMPLATE_FUNCTIONS)
    parse, transform = (getattr(engine, name) for name in _TEMPLATE_FUNCTIONS)
    engine._parse_template = lambda body: transform(parse(body))


def let_mappings_take_time(service: Any, seconds: float) -> None:
    """Have changes of a mapping take this long, refuse others meanwhile, and poll only while it is ``Enabled``."""
    _require(service, *_MAPPING_FUNCTIONS)
    update, delete, refuse = (getattr(service, name) for name in _MAPPING_FUNCTIONS)
    changing: set[str] = set()

    def settle(mapping_id: str, mapping: dict[str, Any], *, enabled: bool) -> None:
        mapping["State"], mapping["Enabled"] = "Enabled" if enabled else "Disabled", enabled
        changing.discard(mapping_id)
        service._esm_wake.set()

    def update_in_time(mapping_id: str, request: dict[str, Any]) -> Any:
        if mapping_id in changing:
            return refuse("ResourceInUseException", _IN_USE.format("update"), 400)
        mapping = service._esms.get(mapping_id)
        was_enabled = mapping is not None and mapping["Enabled"]
        answer = update(mapping_id, request)
        if mapping is None or answer[0] >= _REFUSED:
            return answer
        if not mapping.get("ScalingConfig"):
            # An empty object takes the limit away.
            mapping.pop("ScalingConfig", None)
        enabled = bool(mapping["Enabled"])
        mapping["State"] = state_on_the_way(was_enabled=was_enabled, enabled=enabled)
        mapping["Enabled"] = False
        changing.add(mapping_id)
        timer = threading.Timer(seconds, settle, (mapping_id, mapping), {"enabled": enabled})
        timer.daemon = True
        timer.start()
        body = {**json.loads(answer[2]), "State": mapping["State"]}
        if "ScalingConfig" not in mapping:
            body.pop("ScalingConfig", None)
        return (answer[0], answer[1], json.dumps(body).encode())

    def delete_in_time(mapping_id: str) -> Any:
        if mapping_id in changing:
            return refuse("ResourceInUseException", _IN_USE.format("delete"), 400)
        return delete(mapping_id)

    service._update_esm, service._delete_esm = update_in_time, delete_in_time


def state_on_the_way(*, was_enabled: bool, enabled: bool) -> str:
    """The state of a mapping while a change of it is under way."""
    if was_enabled == enabled:
        return "Updating"
    return "Enabling" if enabled else "Disabling"


def leave_schedules_to_the_lab(rules: Any) -> None:
    """Stop ministack's own timer for scheduled rules."""
    _require(rules, _SCHEDULE_FUNCTION)
    rules._tick_scheduled_rules = lambda: None


def wait_for_metrics_in_full(machines: Any) -> None:
    """Have the waits for metrics take the seconds that they say, whatever the scale of the others."""
    _require(machines, *_WAIT_FUNCTIONS)
    execute, sleep = (getattr(machines, name) for name in _WAIT_FUNCTIONS)

    def execute_wait(state: dict[str, Any], *rest: Any) -> Any:
        token = _waits_for_metrics.set(state.get("SecondsPath") in METRIC_WAITS)
        try:
            return execute(state, *rest)
        finally:
            _waits_for_metrics.reset(token)

    def sleep_in_full(seconds: float) -> None:
        if _waits_for_metrics.get():
            time.sleep(seconds)
        else:
            sleep(seconds)

    machines._execute_wait, machines._scaled_sleep = execute_wait, sleep_in_full


def accept_signatures_for(host: str, signatures: Any) -> None:
    """Have ministack accept what was signed for this host, too, with any colon in its path quoted."""
    _require(signatures, _SIGNATURE_FUNCTION)
    check = signatures.header_signature_failure

    def check_for_both(
        signature: Any, secret: str, method: str, path: str, query: Any, headers: Any, *rest: Any, **options: Any
    ) -> Any:
        failure = check(signature, secret, method, path, query, headers, *rest, **options)
        if failure is None:
            return None
        as_signed = {name: value for name, value in headers.items() if name.lower() != "host"} | {"host": host}
        failures = (
            check(signature, secret, method, sent, query, as_signed, *rest, **options)
            for sent in (path, path.replace(":", "%3A"))
        )
        return failure if all(failures) else None

    signatures.header_signature_failure = check_for_both


def authorize_alarms_by_name(actions: Any) -> None:
    """Have ministack check DescribeAlarms against the alarm that the caller names, where it names one."""
    _require(actions, _RESOURCE_FUNCTION)
    resource_of = actions.extract_resource_arn

    def resource_of_request(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account: str
    ) -> Any:
        found = resource_of(service, method, path, headers, body, query, region, account)
        if service == "monitoring" and found == "*":
            names = alarm_names(body, query)
            if len(names) == 1:
                return f"arn:aws:cloudwatch:{region}:{account}:alarm:{names[0]}"
        return found

    actions.extract_resource_arn = resource_of_request


def authorize_events_by_what_they_say(actions: Any, evaluator: Any) -> None:
    """Have ministack check PutEvents against the sources and detail types of the request's events."""
    _require(actions, _RESOURCE_FUNCTION)
    _require(evaluator, _ENFORCE_FUNCTION)
    resource_of, enforce = actions.extract_resource_arn, evaluator.enforce
    said: ContextVar[dict[str, Any] | None] = ContextVar("lab_events", default=None)

    def resource_and_words(service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any) -> Any:
        said.set(event_words(body) if service == "events" else None)
        return resource_of(service, method, path, headers, body, *rest)

    def enforce_with_words(access_key: str, action: str, *rest: Any, **options: Any) -> Any:
        words = said.get() if action == "events:PutEvents" else None
        if words:
            options["service_context"] = {**(options.get("service_context") or {}), **words}
        return enforce(access_key, action, *rest, **options)

    actions.extract_resource_arn, evaluator.enforce = resource_and_words, enforce_with_words


def event_words(body: bytes) -> dict[str, Any]:
    """The condition keys of a PutEvents request, nothing for another."""
    try:
        entries = json.loads(body)["Entries"]
        keys = {"events:source": "Source", "events:detail-type": "DetailType"}
        return {key: sorted({entry[field] for entry in entries}) for key, field in keys.items()}
    except (ValueError, KeyError, TypeError):
        return {}


def name_actions_as_aws_does(actions: Any) -> None:
    """Have ministack ask for the permissions that AWS asks for."""
    _require(actions, _ACTION_FUNCTION)
    action_of = actions.extract_iam_action

    def action_of_request(service: str, method: str, path: str, *rest: Any) -> Any:
        last_but_one = path.rstrip("/").split("/")[-2:-1]
        if service == "lambda" and method == "GET" and last_but_one == ["event-source-mappings"]:
            return "lambda:GetEventSourceMapping"
        action = action_of(service, method, path, *rest)
        return action.removesuffix("Batch") if service == "sqs" and action else action

    actions.extract_iam_action = action_of_request


def keep_processes_after_errors(runtime: Any, service: Any) -> None:
    """Have a function's process outlive an exception of its handler, as on AWS."""
    _require(service, _WARM_FUNCTION)
    if _REPORT not in getattr(runtime, _WORKER_PROGRAM, ""):
        sys.exit(
            "this version of ministack reports errors of functions otherwise: lab/emulated_cloud.py does not fit it"
        )
    runtime._PYTHON_WORKER_SCRIPT = runtime._PYTHON_WORKER_SCRIPT.replace(_REPORT, _QUIET_REPORT)
    execute = service._execute_function_warm

    def execute_and_tell(function: Any, event: Any, request_id: str) -> Any:
        result = execute(function, event, request_id)
        body = result.get("body")
        if not isinstance(body, dict) or _RAISED not in body:
            return result
        message, trace = body[_RAISED]
        log = "\n".join(filter(None, [result.get("log", ""), trace]))
        return {"body": {"errorMessage": message, "errorType": _NAMELESS}, "error": True, "log": log}

    service._execute_function_warm = execute_and_tell


def name_errors(service: Any) -> None:
    """Have ministack answer with the class name of the exception that a function raised."""
    _require(service, _WARM_FUNCTION)
    execute = service._execute_function_warm

    def execute_and_name(function: Any, event: Any, request_id: str) -> Any:
        result = execute(function, event, request_id)
        body = result.get("body")
        if result.get("error") and isinstance(body, dict) and body.get("errorType") == _NAMELESS:
            body["errorType"] = exception_name(result.get("log", "")) or _NAMELESS
        return result

    service._execute_function_warm = execute_and_name


def exception_name(log: str) -> str | None:
    """The class name in the last traceback of a log, without its module."""
    lines = log.splitlines()
    for before, line in reversed(list(pairwise(lines))):
        named = _EXCEPTION_LINE.match(line)
        if named and before.startswith("    "):
            return named.group(1)
    return None


def alarm_names(body: bytes, query: Any) -> list[str]:
    """The AlarmNames of a request, in any of the three protocols that CloudWatch's clients speak."""
    if any(name.startswith("AlarmNames.") for name in query):
        values = [value for name, value in query.items() if name.startswith("AlarmNames.member.")]
        return [value[0] if isinstance(value, list) else value for value in values]
    try:
        request = json.loads(body)
    except ValueError:
        request = _cbor(body)
    names = request.get("AlarmNames") if isinstance(request, dict) else None
    return list(names or [])


def _cbor(body: bytes) -> Any:
    try:
        import cbor2  # type: ignore[import-not-found]  # only some clients use it, ministack then has it
    except ImportError:
        return None

    try:
        return cbor2.loads(body)
    except cbor2.CBORDecodeError:
        return None


def _require(module: Any, *names: str) -> None:
    missing = [name for name in names if not callable(getattr(module, name, None))]
    if missing:
        sys.exit(f"this version of ministack has no {', '.join(missing)}: lab/emulated_cloud.py does not fit it")


if __name__ == "__main__":
    from ministack.app import main  # type: ignore[import-untyped]
    from ministack.core import iam_actions, iam_evaluator, lambda_runtime, sigv4  # type: ignore[import-untyped]
    from ministack.services import cloudwatch, eventbridge, lambda_svc, stepfunctions  # type: ignore[import-untyped]
    from ministack.services.cloudformation import engine, provisioners  # type: ignore[import-untyped]

    publish_metrics_of_mappings(lambda_svc, cloudwatch.record_metric)
    keep_metrics_config(lambda_svc, provisioners._RESOURCE_HANDLERS)
    take_metric_math_alarms(provisioners)
    transform_nested_templates(engine)
    authorize_alarms_by_name(iam_actions)
    authorize_events_by_what_they_say(iam_actions, iam_evaluator)
    name_actions_as_aws_does(iam_actions)
    keep_processes_after_errors(lambda_runtime, lambda_svc)
    name_errors(lambda_svc)
    let_mappings_take_time(lambda_svc, float(os.environ.pop("LAB_MAPPING_CHANGE_SECONDS", "0")))
    leave_schedules_to_the_lab(eventbridge)
    wait_for_metrics_in_full(stepfunctions)
    if "AWS_ENDPOINT_URL" in os.environ:
        accept_signatures_for(urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc, sigv4)
    main()
