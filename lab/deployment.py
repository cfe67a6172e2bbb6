"""The real ``sam build`` and ``sam deploy``, against the emulated cloud."""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from lab.clock import Scale
from lab.emulator import REGION, Emulator
from lab.leash import LeashedProcess

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

# AWS's own defaults in template.yaml are right for AWS. These are held by SQS, Lambda and CloudWatch, not by the state
# machine's waits, so the lab has to divide them by the scale itself.
_SCALED_PARAMETERS = {
    "QueueVisibilityTimeoutSeconds": 1,
    "RejitterSeconds": 0,
    "TargetTimeoutSeconds": 3,
    "MetricPeriodSeconds": 1,
    "MetricDelaySeconds": 1,
}
_POLL_SECONDS = 0.2
# A deployment's archive does not keep the sources' times, by which a compiled file would be checked.
_UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


class DeploymentFailed(RuntimeError):
    """sam ended with an error. The message holds the end of its output."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack."""

    name: str
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    parameters: Mapping[str, str]


def runtime_name() -> str:
    """The Lambda runtime of this interpreter: the emulator runs functions with it."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}"


def lab_parameters(template: Mapping[str, Mapping[str, object]], scale: Scale, alarm_name: str) -> dict[str, str]:
    """The parameters that the lab sets, where the template declares them.

    Durations that SQS and Lambda hold are divided by the scale; the alarm is the one that the lab evaluates; the
    runtime is the interpreter at hand.
    """
    declared = template.get("Parameters", {})
    chosen = {"AlarmName": alarm_name, "Runtime": runtime_name()}
    for name, least in _SCALED_PARAMETERS.items():
        spec = declared.get(name)
        if isinstance(spec, Mapping) and "Default" in spec:
            chosen[name] = str(scale.whole_wall_seconds(float(str(spec["Default"])), at_least=least))
    return {name: value for name, value in chosen.items() if name in declared}


def compile_functions(build_dir: Path) -> None:
    """Compile what was built. A function that starts would otherwise do it, which counts as much as the lab is fast.

    Functions of the same code are built one by one; it is compiled once.
    """
    compiled: dict[tuple[tuple[str, int], ...], Path] = {}
    for function in sorted(path for path in build_dir.iterdir() if path.is_dir()):
        sources = sorted(function.rglob("*.py"))
        same = tuple((str(source.relative_to(function)), source.stat().st_size) for source in sources)
        if same not in compiled:
            compileall.compile_dir(function, quiet=2, invalidation_mode=_UNCHECKED)
            compiled[same] = function
            continue
        for cache in compiled[same].rglob("__pycache__"):
            shutil.copytree(cache, function / cache.relative_to(compiled[same]), dirs_exist_ok=True)


class Deployment:
    """Builds a template once and deploys it as a stack.

    Parameters
    ----------
    template
        The template file. sam is run in its directory.
    work_dir
        Where sam's logs go, and the build.
    build_dir
        Where the build goes instead, to be deployed by others, too.
    """

    def __init__(
        self,
        template: Path,
        work_dir: Path,
        emulator: Emulator,
        cloudformation: CloudFormationClient,
        *,
        build_dir: Path | None = None,
    ) -> None:
        self._template = template
        self._work_dir = work_dir
        self._build_dir = build_dir or work_dir / "build"
        self._emulator = emulator
        self._cloudformation = cloudformation

    @property
    def is_built(self) -> bool:
        """Whether a build is there."""
        return (self._build_dir / "template.yaml").exists()

    def build(self) -> None:
        """Run ``sam build`` into the work directory.

        Raises
        ------
        DeploymentFailed
            With the end of sam's output.
        """
        self._sam(
            "build",
            *self._config(),
            "--template-file", str(self._template),
            "--build-dir", str(self._build_dir),
            "--parameter-overrides", f"Runtime={runtime_name()}",
            "--region", REGION,
        )  # fmt: skip
        compile_functions(self._build_dir)

    def deploy(self, stack_name: str, parameters: Mapping[str, str], bucket: str) -> Stack:
        """Run ``sam deploy`` on what ``build`` made. Also updates a stack that is there.

        Raises
        ------
        DeploymentFailed
            With the end of sam's output: CloudFormation's reason for a roll-back is in it.
        """
        try:
            self._sam_deploy(stack_name, parameters, bucket)
        except DeploymentFailed as error:
            reasons = self._failures(stack_name)
            if not reasons:
                raise
            raise DeploymentFailed("the stack was not deployed:\n" + "\n".join(reasons)) from error
        return self.describe(stack_name)

    def create(self, stack_name: str, template: Path, parameters: Mapping[str, str]) -> Stack:
        """Create a stack from a template that needs no build, as CloudFormation does: it rolls back what fails.

        Raises
        ------
        DeploymentFailed
            CloudFormation's reasons for the roll-back.
        """
        self._cloudformation.create_stack(
            StackName=stack_name,
            TemplateBody=template.read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        while (status := self._status(stack_name)).endswith("_IN_PROGRESS"):
            self._emulator.require_running()
            time.sleep(_POLL_SECONDS)
        if status != "CREATE_COMPLETE":
            raise DeploymentFailed(f"the stack is {status}:\n" + "\n".join(self._failures(stack_name)))
        return self.describe(stack_name)

    def _status(self, stack_name: str) -> str:
        return str(self._cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]["StackStatus"])

    def _sam_deploy(self, stack_name: str, parameters: Mapping[str, str], bucket: str) -> None:
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        self._sam(
            "deploy",
            *self._config(),
            "--template-file", str(self._build_dir / "template.yaml"),
            "--stack-name", stack_name,
            "--s3-bucket", bucket,
            "--region", REGION,
            "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
            "--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar", "--disable-rollback",
            *(["--parameter-overrides", *overrides] if overrides else []),
        )  # fmt: skip

    def _config(self) -> list[str]:
        """The [lab] part of samconfig.toml, where there is one beside the template."""
        config = self._template.with_name("samconfig.toml")
        return ["--config-file", str(config), "--config-env", "lab"] if config.exists() else []

    def _failures(self, stack_name: str) -> list[str]:
        """CloudFormation's own reasons, first things first. sam breaks them up to fit a table."""
        try:
            events = self._cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
        except ClientError:
            return []  # sam failed before there was a stack
        return [
            f"  {event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in reversed(events)
            if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason")
        ]

    def describe(self, stack_name: str) -> Stack:
        """A stack's outputs, physical ids and parameters."""
        stack = self._cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name)
        return Stack(
            name=stack_name,
            outputs={item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])},
            resources={
                item["LogicalResourceId"]: item["PhysicalResourceId"]
                for page in pages
                for item in page["StackResourceSummaries"]
                if "PhysicalResourceId" in item
            },
            parameters={item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])},
        )

    def _sam(self, command: str, *arguments: str) -> None:
        sam = shutil.which("sam", path=_search_path(self._work_dir))
        if sam is None:
            raise DeploymentFailed("sam is not installed: aws-sam-cli must be in the environment of this interpreter")
        self._run(command, [sam, command, *arguments])

    def _run(self, name: str, command: Sequence[str]) -> None:
        env = {**self._emulator.client_env(), "PATH": _search_path(self._work_dir)}
        log = self._work_dir / f"sam-{name}.log"
        process = LeashedProcess(command, env=env, log=log, cwd=self._template.parent)
        try:
            code = process.wait()
        finally:
            process.end()
        if code:
            self._emulator.require_running()
            raise DeploymentFailed(f"sam {name} ended with {code}. The end of {log}:\n{process.tail()}")


def _search_path(work_dir: Path) -> str:
    """A PATH on which sam and the runtime's own interpreter are found.

    ``sam build`` looks for ``python3.x``. An environment without that name gets a small script in its place.
    """
    beside = Path(sys.executable).parent
    parts = [str(beside)]
    if not (beside / runtime_name()).exists():
        shims = work_dir / "bin"
        shims.mkdir(exist_ok=True)
        shim = shims / runtime_name()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        shim.chmod(0o755)
        parts.append(str(shims))
    return os.pathsep.join([*parts, os.environ.get("PATH", os.defpath)])
