"""The capabilities that whoever installs the application has to acknowledge.

https://docs.aws.amazon.com/serverlessrepo/latest/devguide/acknowledging-application-capabilities.html
"""

import re
from collections.abc import Mapping
from typing import Any

from publish.problem import Problem

_IAM = {"AWS::IAM::Group", "AWS::IAM::InstanceProfile", "AWS::IAM::Policy", "AWS::IAM::Role"}
# CloudFormation asks for these, too.
_IAM |= {"AWS::IAM::AccessKey", "AWS::IAM::ManagedPolicy", "AWS::IAM::User", "AWS::IAM::UserToGroupAddition"}
_IAM_NAMES = {"GroupName", "InstanceProfileName", "ManagedPolicyName", "RoleName", "UserName"}
_RESOURCE_POLICIES = {
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::Events::EventBusPolicy",
    "AWS::IAM::Policy",
    "AWS::Lambda::LayerVersionPermission",
    "AWS::Lambda::Permission",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
_NESTED = {"AWS::CloudFormation::Stack", "AWS::Serverless::Application"}
# The command that installs an application, with its continued lines.
_COMMAND = re.compile(r"create-cloud-formation-change-set(?:.*\\\n)*.*")
_CAPABILITY = re.compile(r"CAPABILITY_[A-Z_]+")


def required_capabilities(transformed: Mapping[str, Any]) -> set[str]:
    """Return what must be acknowledged for a template after SAM's transform."""
    required = set()
    for resource in transformed["Resources"].values():
        kind, properties = resource["Type"], resource.get("Properties") or {}
        if kind in _IAM:
            named = kind != "AWS::IAM::Policy" and _IAM_NAMES & set(properties)
            required.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
        if kind in _RESOURCE_POLICIES:
            required.add("CAPABILITY_RESOURCE_POLICY")
        if kind in _NESTED:
            required.add("CAPABILITY_AUTO_EXPAND")
    if "CAPABILITY_NAMED_IAM" in required:
        required.discard("CAPABILITY_IAM")  # it includes this
    return required


def document_problems(document: str, name: str, required: set[str]) -> list[Problem]:
    """The commands of a document that install the application must acknowledge what is required, and nothing else."""
    commands = _COMMAND.findall(document)
    if not commands:
        return [Problem(name, document[:40], "show aws serverlessrepo create-cloud-formation-change-set")]
    return [
        Problem(f"{name}, --capabilities", " ".join(sorted(said)), f"be {' '.join(sorted(required))}")
        for said in (set(_CAPABILITY.findall(command)) for command in commands)
        if said != required
    ]
