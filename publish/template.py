"""Rules for the packaged template: what the repository takes, and what works once it is installed by others."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from publish.accepted import SAM_PROPERTIES, TYPES
from publish.problem import Problem

Template = Mapping[str, Any]

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_LARGEST_TEMPLATE = 1_000_000
_MOST = {"Resources": 500, "Outputs": 200, "Mappings": 200}
# A nested application takes no more, a stack 200:
# https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-sam-template-nested-applications.html
_MOST_PARAMETERS = 60
# Before and after the substitutions, each of which becomes an ARN: less than a quarter is left for these.
_LARGEST_DEFINITION = 800_000
# https://docs.aws.amazon.com/serverlessrepo/latest/devguide/using-aws-sam.html, overly broad patterns.
_REFUSED_MANAGED_POLICY = "AWSLambda_FullAccess"
_REFUSED_ACTIONS = {"iam:attachrolepolicy", "iam:putrolepolicy", "iam:passrole", "iam:*", "*"}
_LOCAL = ("CodeUri", "DefinitionUri", "ContentUri", "Location", "TemplateURL")


def type_problems(template: Template) -> list[Problem]:
    """Only types that the repository takes."""
    return [
        Problem(f"{name} Type", resource["Type"], "be one that the Application Repository supports")
        for name, resource in template["Resources"].items()
        if resource["Type"] not in TYPES
    ]


def property_problems(template: Template) -> list[Problem]:
    """SAM's types with no property that came after the repository's schema, not from Globals either."""
    globals_ = template.get("Globals") or {}
    problems = [
        Problem(f"Globals {name}", sorted(globals_[name]), "not be there: only Function is known to be accepted")
        for name in globals_
        if name != "Function"
    ]
    settings = {"Globals Function": ("AWS::Serverless::Function", globals_.get("Function") or {})}
    for name, resource in template["Resources"].items():
        settings[name] = (resource["Type"], resource.get("Properties") or {})
    for name, (kind, properties) in settings.items():
        if kind in SAM_PROPERTIES:
            rule = f"not be set on {kind}: the repository's schema may not know it"
            problems += [
                Problem(f"{name} {key}", properties[key], rule)
                for key in properties
                if key not in SAM_PROPERTIES[kind] and key != "DefinitionUri"
            ]
    return problems


def place_problems(template: Template) -> list[Problem]:
    """Code must be in S3, from where the repository copies it; a definition must be inline, for it is not copied."""
    problems = []
    settings = {name: resource.get("Properties") or {} for name, resource in template["Resources"].items()}
    settings["Globals Function"] = (template.get("Globals") or {}).get("Function") or {}
    for name, properties in settings.items():
        for key in _LOCAL:
            if key not in properties:
                continue
            value = properties[key]
            if key == "DefinitionUri":
                rule = "not be there: the repository does not copy it, so that others could not read it"
                problems.append(Problem(f"{name} {key}", value, f"{rule}; write Definition"))
            elif not str(value).startswith("s3://"):
                problems.append(Problem(f"{name} {key}", value, "be an object in S3"))
    section = (template.get("Metadata") or {}).get("AWS::ServerlessRepo::Application") or {}
    problems += [
        Problem(f"AWS::ServerlessRepo::Application {key}", section.get(key), "be an object in S3")
        for key in ("LicenseUrl", "ReadmeUrl")
        if not str(section.get(key)).startswith("s3://")
    ]
    return problems


def definition_problems(template: Template) -> list[Problem]:
    """Each machine must have its definition inside the template, not too large."""
    problems = []
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::StateMachine":
            definition = resource["Properties"].get("Definition")
            if not isinstance(definition, Mapping) or "States" not in definition:
                problems.append(Problem(f"{name} Definition", definition, "be a state machine"))
            elif (size := len(json.dumps(definition, indent=4))) > _LARGEST_DEFINITION:
                problems.append(Problem(f"{name} Definition, characters", size, f"be {_LARGEST_DEFINITION:,} at most"))
    return problems


def permission_problems(transformed: Template) -> list[Problem]:
    """No permission so broad that the repository blocks the publication."""
    problems = []
    for name, resource in transformed["Resources"].items():
        managed = json.dumps((resource.get("Properties") or {}).get("ManagedPolicyArns", []))
        if _REFUSED_MANAGED_POLICY in managed:
            problems.append(Problem(f"{name} ManagedPolicyArns", managed, f"not have {_REFUSED_MANAGED_POLICY}"))
        for statement in _statements(resource.get("Properties") or {}):
            actions = {str(action).lower() for action in _as_list(statement.get("Action", []))}
            if "*" in _as_list(statement.get("Resource", [])) and (refused := actions & _REFUSED_ACTIONS):
                rule = "not be allowed on all resources"
                problems.append(Problem(f"{name} {statement.get('Sid')}, Action", sorted(refused), rule))
    return problems


def limit_problems(template: Template, transformed: Template, text: str) -> list[Problem]:
    """CloudFormation's limits, and those of a nested application."""
    problems = [
        Problem(f"{section}, number of", len(transformed.get(section) or {}), f"be {most} at most")
        for section, most in _MOST.items()
        if len(transformed.get(section) or {}) > most
    ]
    parameters = len(template.get("Parameters") or {})
    if parameters > _MOST_PARAMETERS:
        rule = f"be {_MOST_PARAMETERS} at most, or the application cannot be nested"
        problems.append(Problem("Parameters, number of", parameters, rule))
    if len(text.encode()) > _LARGEST_TEMPLATE:
        problems.append(Problem("template, bytes", len(text.encode()), f"be {_LARGEST_TEMPLATE:,} at most"))
    return problems


def _statements(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield every policy statement inside a resource's properties."""
    if isinstance(value, Mapping):
        if "Effect" in value and ("Action" in value or "NotAction" in value):
            yield value
        for part in value.values():
            yield from _statements(part)
    elif isinstance(value, list):
        for part in value:
            yield from _statements(part)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
