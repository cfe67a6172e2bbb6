"""The template that would be published. Each rule also runs on copies that are broken on purpose."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from publish import command, template
from publish.capabilities import required_capabilities
from publish.packages import package_problems
from publish.packaging import REPOSITORY, Uploaded, load, transform, with_whole_links
from publish.problem import Problem

Template = dict[str, Any]


def function(packaged: Template) -> dict[str, Any]:
    properties: dict[str, Any] = packaged["Resources"]["LoadCircuitFunction"]["Properties"]
    return properties


def machine(packaged: Template) -> dict[str, Any]:
    properties: dict[str, Any] = packaged["Resources"]["CircuitBreaker"]["Properties"]
    return properties


def words(problems: list[Problem]) -> str:
    return "\n".join(map(str, problems))


def test_packaged_application_can_be_published(uploaded: Uploaded) -> None:
    assert words(command.packaged_problems(uploaded.template, REPOSITORY)) == ""


def test_packaged_machine_is_the_one_in_its_file(packaged: Template) -> None:
    definition = json.loads((REPOSITORY / "statemachine" / "circuit_breaker.asl.json").read_text())
    assert machine(packaged)["Definition"] == definition
    assert list(machine(packaged)["Definition"]["States"]) == list(definition["States"])


def test_packaged_template_differs_from_the_source_in_places_of_files_alone(packaged: Template) -> None:
    source = load(REPOSITORY / "template.yaml")
    source["Globals"]["Function"].pop("CodeUri")
    for each in (source, packaged):
        for name in ("LicenseUrl", "ReadmeUrl"):
            each["Metadata"]["AWS::ServerlessRepo::Application"].pop(name)
        for resource in each["Resources"].values():
            for name in ("CodeUri", "Definition", "DefinitionUri"):
                resource.get("Properties", {}).pop(name, None)
            resource.pop("Metadata", None)
    assert packaged == source


def test_packaged_machine_names_every_function_by_its_arn_after_the_transform(packaged: Template) -> None:
    properties = transform(packaged)["Resources"]["CircuitBreaker"]["Properties"]
    definition = "\n".join(properties["DefinitionString"]["Fn::Join"][1])
    used = set(re.findall(r"\$\{(\w+)\}", definition))
    assert used
    assert used == set(properties["DefinitionSubstitutions"])


def test_uploads_are_code_licence_and_readme(uploaded: Uploaded, packaged: Template) -> None:
    section = packaged["Metadata"]["AWS::ServerlessRepo::Application"]
    code = {
        resource["Properties"]["CodeUri"] for resource in packaged["Resources"].values() if "CodeUri" in str(resource)
    }
    named = {str(uri).rpartition("/")[2] for uri in (*code, section["LicenseUrl"], section["ReadmeUrl"])}
    assert named == set(uploaded.objects)


def test_capabilities_are_those_of_roles_and_resource_policies(packaged: Template) -> None:
    assert required_capabilities(transform(packaged)) == {"CAPABILITY_IAM", "CAPABILITY_RESOURCE_POLICY"}


def a_third(kind: str, **properties: object) -> Callable[[Template], None]:
    return lambda packaged: packaged["Resources"].update(Third={"Type": kind, "Properties": properties})


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (
            a_third("AWS::Scheduler::Schedule"),
            "Third Type: 'AWS::Scheduler::Schedule' must be one that the Application Repository supports",
        ),
        (a_third("AWS::CloudWatch::CompositeAlarm"), "Third Type: 'AWS::CloudWatch::CompositeAlarm' must be one"),
        (
            lambda packaged: function(packaged).update(SnapStart={"ApplyOn": "PublishedVersions"}),
            "LoadCircuitFunction SnapStart: {'ApplyOn': 'PublishedVersions'} must not be set on AWS::Serverless::F",
        ),
        (lambda packaged: function(packaged).update(Events={}), "LoadCircuitFunction Events: {} must not be set"),
        (
            lambda packaged: packaged["Globals"]["Function"].update(LoggingConfig={}),
            "Globals Function LoggingConfig: {} must not be set",
        ),
        (lambda packaged: packaged["Globals"].update(Api={}), "Globals Api: [] must not be there"),
        (lambda packaged: machine(packaged).update(Tracing={}), "CircuitBreaker Tracing: {} must not be set"),
        (
            lambda packaged: function(packaged).update(CodeUri="functions/"),
            "LoadCircuitFunction CodeUri: 'functions/' must be an object in S3",
        ),
        (
            lambda packaged: packaged["Globals"]["Function"].update(CodeUri="functions/"),
            "Globals Function CodeUri: 'functions/' must be an object in S3",
        ),
        (
            lambda packaged: machine(packaged).update(DefinitionUri="s3://bucket/object"),
            "CircuitBreaker DefinitionUri: 's3://bucket/object' must not be there",
        ),
        (
            lambda packaged: machine(packaged).pop("Definition"),
            "CircuitBreaker Definition: None must be a state machine",
        ),
        (
            lambda packaged: machine(packaged)["Definition"].update(Comment="x" * 800_000),
            "CircuitBreaker Definition, characters: ",
        ),
        (
            lambda packaged: packaged["Metadata"]["AWS::ServerlessRepo::Application"].update(ReadmeUrl="README.md"),
            "AWS::ServerlessRepo::Application ReadmeUrl: 'README.md' must be an object in S3",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_packaged_template_that_the_repository_refuses_is_named_with_its_rule(
    packaged: Template, broken: Callable[[Template], None], complaint: str
) -> None:
    broken(packaged)
    problems = [
        *template.type_problems(packaged),
        *template.property_problems(packaged),
        *template.place_problems(packaged),
        *template.definition_problems(packaged),
    ]
    assert words(problems).startswith(complaint)
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("resource", "complaint"),
    [
        (
            {
                "Type": "AWS::IAM::Policy",
                "Properties": {
                    "PolicyDocument": {
                        "Statement": [{"Sid": "All", "Effect": "Allow", "Action": "iam:*", "Resource": "*"}]
                    }
                },
            },
            "Third All, Action: ['iam:*'] must not be allowed on all resources",
        ),
        (
            {
                "Type": "AWS::IAM::Role",
                "Properties": {
                    "ManagedPolicyArns": [{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/AWSLambda_FullAccess"}]
                },
            },
            "must not have AWSLambda_FullAccess",
        ),
    ],
)
def test_permissions_that_block_a_publication_are_named(resource: Template, complaint: str) -> None:
    assert complaint in words(template.permission_problems({"Resources": {"Third": resource}}))


@pytest.mark.parametrize(
    ("parameters", "resources", "text", "complaint"),
    [
        (61, 1, "", "Parameters, number of: 61 must be 60 at most, or the application cannot be nested"),
        (1, 501, "", "Resources, number of: 501 must be 500 at most"),
        (1, 1, "x" * 1_000_001, "template, bytes: 1000001 must be 1,000,000 at most"),
        (60, 500, "x" * 1_000_000, ""),
    ],
)
def test_limits_of_cloudformation_are_named(parameters: int, resources: int, text: str, complaint: str) -> None:
    many = {
        "Parameters": dict.fromkeys(map(str, range(parameters))),
        "Resources": dict.fromkeys(map(str, range(resources))),
    }
    assert words(template.limit_problems(many, many, text)) == complaint


def test_package_that_is_compiled_empty_or_missing_is_named(tmp_path: Path) -> None:
    for name in ("good", "compiled", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "good" / "handler.py").write_text("pass")
    (tmp_path / "compiled" / "fast.cpython-313-x86_64-linux-gnu.so").write_text("machine code")
    directories = {name: tmp_path / name for name in ("good", "compiled", "empty", "missing")}
    assert words(package_problems(directories)).splitlines() == [
        "compiled, package: 'fast.cpython-313-x86_64-linux-gnu.so' must not be compiled for one runtime alone",
        "empty, package, unzipped bytes: 0 must be there, and be 262,144,000 at most",
        "missing, package, unzipped bytes: 0 must be there, and be 262,144,000 at most",
    ]


def test_links_to_files_lead_to_the_source_and_others_stay() -> None:
    text = "![picture](docs/a.png) [page](docs/b.md#part) [there](#here) [AWS](https://aws.amazon.com/)"
    assert with_whole_links(text, "https://host/{kind}/v1/") == (
        "![picture](https://host/raw/v1/docs/a.png) [page](https://host/blob/v1/docs/b.md#part)"
        " [there](#here) [AWS](https://aws.amazon.com/)"
    )
