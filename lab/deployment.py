"""The real ``sam build`` and ``sam deploy``, against the emulated cloud."""

from __future__ import annotations

import compileall
import fcntl
import hashlib
import os
import py_compile
import re
import shutil
import sys
import time
import zipfile
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
# As sam build writes it: the name of a directory beside the template.
_CODE_URI = re.compile(r"^( +CodeUri: )(\S+)$", re.MULTILINE)


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


def pack_functions(build_dir: Path) -> None:
    """Put each code that was built into one archive, compiled, and have all its functions name that.

    sam builds a directory for each function, although all have the same code, and would pack each of them at each
    deployment. And a function that starts would compile its code, which counts as much as the lab is fast.
    """
    template = build_dir / "template.yaml"
    text = template.read_text()
    names = dict.fromkeys(name for _, name in _CODE_URI.findall(text))
    functions = [build_dir / name for name in names if (build_dir / name).is_dir()]
    archive_of: dict[str, str] = {}
    named: dict[str, str] = {}
    for function in functions:
        code = _digest(function)
        if code not in archive_of:
            compileall.compile_dir(function, quiet=2, invalidation_mode=_UNCHECKED)
            archive_of[code] = f"{function.name}.zip"
            _pack(function, build_dir / archive_of[code])
        named[function.name] = archive_of[code]
    template.write_text(_CODE_URI.sub(lambda uri: uri[1] + named.get(uri[2], uri[2]), text))
    for function in functions:
        shutil.rmtree(function)


def _digest(directory: Path) -> str:
    """What tells one code from another: names and contents."""
    digest = hashlib.sha256()
    for file in _files(directory):
        digest.update(f"{file.relative_to(directory)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _pack(directory: Path, archive: Path) -> None:
    """Not compressed: the emulator unpacks it for each function that starts."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for file in _files(directory):
            packed.write(file, file.relative_to(directory))


def _files(directory: Path) -> list[Path]:
    return sorted(path for path in directory.rglob("*") if path.is_file())


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

    def build(self) -> None:
        """Run ``sam build``, unless a build is there. Who wants the same one meanwhile waits for it.

        Raises
        ------
        DeploymentFailed
            With the end of sam's output.
        """
        self._build_dir.parent.mkdir(parents=True, exist_ok=True)
        with self._build_dir.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (self._build_dir / "template.yaml").exists():
                self._build()

    def _build(self) -> None:
        self._sam(
            "build",
            *self._config(),
            "--template-file", str(self._template),
            "--build-dir", str(self._build_dir),
            "--parameter-overrides", f"Runtime={runtime_name()}",
            "--region", REGION,
        )  # fmt: skip
        pack_functions(self._build_dir)

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
