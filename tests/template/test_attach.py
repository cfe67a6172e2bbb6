"""attach.yaml: what it has in common with template.yaml is the same, and the stated number of circuits fits."""

import copy
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import template_checks as checks
from sam_template import REPOSITORY, resources_of, source_template, transformed_template
from samcli.yamlhelper import yaml_parse

from lab.template import Resolver

ATTACH_FILE = REPOSITORY / "attach.yaml"
# These have no default in attach.yaml, where there is no example to fall back to.
NAMED_BY_THE_USER = {"CircuitName", "TargetFunction", "QueueName"}
# Its own: the breaker's stack, and the key of one queue where template.yaml has one key for everything.
ONLY_ATTACH = {"Breaker", "QueueKmsKeyArn", "MayUseQueueKeyPolicy"}
# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html: all inline policies of a role together.
ROLE_POLICY_CHARACTERS = 10_240
STATED_CIRCUITS = 13
STATED_CIRCUITS_WITH_QUEUE_KEYS = 9
STATED_CIRCUITS_WITH_REDRIVE = 10
STATED_CIRCUITS_WITH_ALL_ALARMS = 10


@cache
def _attach() -> dict[str, Any]:
    parsed = yaml_parse(ATTACH_FILE.read_text())
    assert isinstance(parsed, dict)
    return parsed


def attach_template() -> dict[str, Any]:
    """Return attach.yaml as written; a copy that may be changed."""
    return copy.deepcopy(_attach())


def exports() -> dict[str, Any]:
    """Return what template.yaml exports, by the name after its stack's."""
    found = {}
    for output in source_template()["Outputs"].values():
        if "Export" in output:
            found[output["Export"]["Name"]["Fn::Sub"].removeprefix("${AWS::StackName}-")] = output["Value"]
    return found


def imports(node: Any) -> Iterator[str]:
    """Yield every imported name, after the breaker's."""
    if isinstance(node, dict):
        if "Fn::ImportValue" in node:
            yield node["Fn::ImportValue"]["Fn::Sub"].removeprefix("${Breaker}-")
        else:
            for value in node.values():
                yield from imports(value)
    if isinstance(node, list):
        for value in node:
            yield from imports(value)


def with_imports(node: Any) -> Any:
    """Return what attach.yaml says, its imports replaced by what template.yaml exports."""
    if isinstance(node, list):
        return [with_imports(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "Fn::ImportValue" in node:
        return exports()[next(imports(node))]
    if "Fn::Split" in node:
        (joined,) = with_imports(node["Fn::Split"][1]).values()
        return joined[1]
    return {key: with_imports(value) for key, value in node.items()}


def without_example(node: Any) -> Any:
    """Return what template.yaml says where a pipeline is named."""
    if isinstance(node, list):
        return [without_example(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("Fn::If", [""])[0] == "MakeExample":
        return without_example(node["Fn::If"][2])
    if node.get("Fn::If", [""])[0] == "GivenQueue":
        return without_example(node["Fn::If"][1])
    if isinstance(node.get("Fn::Sub"), list) and "${Queue}" in node["Fn::Sub"][0]:
        return {"Fn::Sub": node["Fn::Sub"][0].replace("${Queue}", "${QueueName}")}
    return {key: without_example(value) for key, value in node.items()}


def comparable(resource: dict[str, Any], there: set[str]) -> dict[str, Any]:
    """Return a resource without what can only differ: who else is in its template, and the example's revision."""
    found = copy.deepcopy(resource)
    depends_on = found.pop("DependsOn", [])
    found["DependsOn"] = [name for name in depends_on if name in there]
    if found["Type"] == "AWS::CloudFormation::CustomResource":
        found["Properties"]["Revision"] = "..."
    return found


def test_attach_parameters_are_those_of_the_template() -> None:
    theirs, ours = source_template()["Parameters"], attach_template()["Parameters"]
    assert set(ours) - set(theirs) == ONLY_ATTACH & set(ours)
    same = set(ours) & set(theirs) - NAMED_BY_THE_USER
    assert len(same) > 20
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    for name in NAMED_BY_THE_USER:
        assert "Default" not in ours[name]
        assert re.fullmatch(theirs[name]["AllowedPattern"], "orders-1")
        assert re.fullmatch(ours[name]["AllowedPattern"], "orders-1")
        assert not re.fullmatch(ours[name]["AllowedPattern"], "")


def test_attach_labels_are_those_of_the_template() -> None:
    theirs = source_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterLabels"]
    ours = attach_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterLabels"]
    assert {name: label for name, label in ours.items() if theirs.get(name) != label}.keys() == ONLY_ATTACH & set(ours)


def test_attach_resources_are_those_of_the_template() -> None:
    theirs, ours = source_template()["Resources"], attach_template()["Resources"]
    assert set(ours) - set(theirs) == ONLY_ATTACH & set(ours)
    for name in set(ours) & set(theirs):
        attached, built_in = with_imports(ours[name]), without_example(theirs[name])
        assert comparable(attached, set(ours)) == comparable(built_in, set(ours)), name


def test_attach_has_every_policy_of_a_circuit() -> None:
    policies = {name for name in source_template()["Resources"] if re.fullmatch("May.*Policy", name)}
    assert len(policies) > 5
    assert policies <= set(attach_template()["Resources"])


def test_attach_imports_what_the_template_exports() -> None:
    assert set(imports(attach_template())) == set(exports())


@pytest.mark.parametrize(
    "check",
    [checks.parameter_problems, checks.interface_problems, checks.unused_parameter_problems, checks.type_problems],
)
def test_attach_as_written_passes(check: Any) -> None:
    assert check(attach_template()) == []


@pytest.mark.parametrize(
    "check", [checks.name_problems, checks.deletion_problems, checks.sid_problems, checks.action_problems]
)
def test_attach_resources_pass(check: Any) -> None:
    assert check(attach_template()) == []


def test_attach_grants_nothing_on_every_resource() -> None:
    assert checks.wide_statements(attach_template()) == set()
    assert checks.partition_problems(ATTACH_FILE.read_text()) == []


# How many circuits fit ----------------------------------------------------------------------------------------------

_REGION, _ACCOUNT = "ap-southeast-2", "123456789012"
_HERE = f"{_REGION}:{_ACCOUNT}"
_QUEUE = "payments-received-production-queue-eu-1"
_FUNCTION = "payments-received-production-consumer-1"
_ALARM = "attach-payments-ErrorRateAlarm-0Q6RDXVLBEXM"
_KEY = f"arn:aws:kms:{_HERE}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
_PARAMETERS = {
    "TargetFunction": f"{_FUNCTION}:live",
    "QueueName": _QUEUE,
    "KmsKeyArn": _KEY,
    "QueueKmsKeyArn": _KEY,
    "NotificationTopicArn": f"arn:aws:sns:{_HERE}:circuit-breaker-notifications",
    "AlarmName": "",
    "FailedMessagesPercent": "0",
    "SlowTargetSeconds": "0",
    "MappingId": "",
    "PermissionsBoundaryArn": "",
    "NotificationEmail": "",
}
_RESOURCES = {
    "ErrorRateAlarm": _ALARM,
    "CircuitBreaker": f"arn:aws:states:{_HERE}:stateMachine:CircuitBreaker-Zo2cVDRN8rS5",
    "CircuitBreaker.Name": "CircuitBreaker-Zo2cVDRN8rS5",
}
_ATTRIBUTES = {
    "FailedMessagesAlarm.Arn": f"arn:aws:cloudwatch:{_HERE}:alarm:attach-payments-FailedMessagesAlarm-0Q6RDXVLBEXM",
    "SlowTargetAlarm.Arn": f"arn:aws:cloudwatch:{_HERE}:alarm:attach-payments-SlowTargetAlarm-0Q6RDXVLBEXM",
    "Pipeline.TargetArn": f"arn:aws:lambda:{_HERE}:function:{_FUNCTION}:live",
    "Pipeline.QueueArn": f"arn:aws:sqs:{_HERE}:{_QUEUE}",
    "Pipeline.DeadLetterQueueArn": f"arn:aws:sqs:{_HERE}:{_QUEUE}-dead-letters",
    "Pipeline.MappingArn": f"arn:aws:lambda:{_HERE}:event-source-mapping:11111111-2222-3333-4444-555555555555",
    "CircuitTable.Arn": f"arn:aws:dynamodb:{_HERE}:table/sqs-circuit-breaker-CircuitTable-1UF8NA4J8AG3T",
}
_OPTIONAL_ALARMS = {
    "MakeFailedMessagesAlarm": "FailedMessagesPercent",
    "MakeSlowTargetAlarm": "SlowTargetSeconds",
}
_PSEUDO = {"AWS::Region": _REGION, "AWS::AccountId": _ACCOUNT, "AWS::Partition": "aws", "AWS::StackName": "attach"}


def size(template: dict[str, Any], document: dict[str, Any], *, redrive: bool) -> int:
    """Return the characters of a rendered policy that IAM counts: all but white space."""
    alarms = {condition: _PARAMETERS[parameter] != "0" for condition, parameter in _OPTIONAL_ALARMS.items()}
    chosen = {"HasKmsKey": True, "HasTopic": True, "WantRedrive": redrive, **alarms}
    rendered = Resolver(template, _PARAMETERS, _RESOURCES, _PSEUDO, _ATTRIBUTES).resolve(_choose(document, chosen))
    return len(re.sub(r"\s", "", json.dumps(rendered)))


def _choose(node: Any, chosen: dict[str, bool]) -> Any:
    """Return a document with the statements that a key of one's own adds, and those of what is chosen."""
    if isinstance(node, list):
        return [item for item in (_choose(item, chosen) for item in node) if item != {"Ref": "AWS::NoValue"}]
    if not isinstance(node, dict):
        return node
    name, then, otherwise = node.get("Fn::If", ["", None, None])
    if name in chosen:
        return _choose(then if chosen[name] else otherwise, chosen)
    return {key: _choose(value, chosen) for key, value in node.items()}


def sizes(template: dict[str, Any], policies: dict[str, Any], *, redrive: bool) -> dict[str, int]:
    """Return the characters of these policies by the role that they are attached to."""
    found: dict[str, int] = {}
    for policy in policies.values():
        for role in with_imports(policy)["Properties"]["Roles"]:
            name = (role.get("Fn::If") or [None, role])[1]["Ref"]
            found[name] = found.get(name, 0) + size(template, policy["Properties"]["PolicyDocument"], redrive=redrive)
    return found


def circuits_that_fit(*, queue_keys: bool, redrive: bool) -> int:
    """Return how many circuits the fullest role has room for, beside everything that the breaker's stack may need."""
    breaker = transformed_template()
    own = {
        name: policy for name, policy in resources_of(breaker, "AWS::IAM::Policy").items() if not name.startswith("May")
    }
    taken = sizes(breaker, own, redrive=redrive)
    for name, role in resources_of(breaker, "AWS::IAM::Role").items():
        for policy in role["Properties"].get("Policies", []):
            if name.endswith("FunctionRole") and "Example" not in name:
                taken[name] = taken.get(name, 0) + size(breaker, policy["PolicyDocument"], redrive=redrive)
    attached = resources_of(attach_template(), "AWS::IAM::Policy")
    if not queue_keys:
        del attached["MayUseQueueKeyPolicy"]
    if not redrive:
        del attached["MayRedriveDeadLettersPolicy"]
    a_circuit = sizes(attach_template(), attached, redrive=redrive)
    return min((ROLE_POLICY_CHARACTERS - taken.get(role, 0)) // each for role, each in a_circuit.items())


@pytest.mark.parametrize(
    ("queue_keys", "redrive", "stated"),
    [
        (False, False, STATED_CIRCUITS),
        (True, False, STATED_CIRCUITS_WITH_QUEUE_KEYS),
        (False, True, STATED_CIRCUITS_WITH_REDRIVE),
    ],
)
def test_stated_number_of_circuits_fits_and_one_more_does_not(queue_keys: bool, redrive: bool, stated: int) -> None:
    assert circuits_that_fit(queue_keys=queue_keys, redrive=redrive) == stated


def test_stated_number_of_circuits_with_every_alarm_fits_and_one_more_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_PARAMETERS, "FailedMessagesPercent", "40")
    monkeypatch.setitem(_PARAMETERS, "SlowTargetSeconds", "5")
    assert circuits_that_fit(queue_keys=False, redrive=False) == STATED_CIRCUITS_WITH_ALL_ALARMS
    text = " ".join((REPOSITORY / "README.md").read_text().split())
    assert f"{STATED_CIRCUITS_WITH_ALL_ALARMS} where each circuit has all three alarms" in text


@pytest.mark.parametrize("document", ["README.md", "docs/decisions.md"])
def test_documents_state_the_numbers_that_fit(document: str) -> None:
    text = " ".join((REPOSITORY / document).read_text().split())
    assert f"{STATED_CIRCUITS} circuits, or {STATED_CIRCUITS_WITH_QUEUE_KEYS} where each queue has a KMS key" in text
    assert f"{STATED_CIRCUITS_WITH_REDRIVE} where each has a redrive" in text
