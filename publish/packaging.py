"""Builds the application as it is published: a template made ready, ``sam build``, ``sam package``."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from samcli.yamlhelper import yaml_dump, yaml_parse  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser  # type: ignore[import-untyped]
from samtranslator.translator.translator import Translator  # type: ignore[import-untyped]

from lab.clock import Scale
from lab.emulator import REGION, Emulator
from publish.metadata import SECTION

REPOSITORY = Path(__file__).resolve().parent.parent
# samcli's [publish] environment in samconfig.toml names the same places.
PUBLISH_DIR = REPOSITORY / ".aws-sam" / "publish"
_BUCKET = "publish-check"
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
_LOG_TAIL = 2000


class PackagingFailed(RuntimeError):
    """sam ended with an error. The message holds the end of its output."""


@dataclass(frozen=True)
class Uploaded:
    """What ``sam package`` has put into S3, by key: its size in bytes."""

    template: Path
    objects: Mapping[str, int]


def load(path: Path) -> dict[str, Any]:
    """Read a template, short tags as their long forms."""
    template = yaml_parse(path.read_text())
    assert isinstance(template, dict)
    return template


def transform(packaged: dict[str, Any]) -> dict[str, Any]:
    """Translate a packaged template as CloudFormation's macro does."""
    defaults = {name: spec["Default"] for name, spec in packaged.get("Parameters", {}).items() if "Default" in spec}
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=REGION))
    translated = translator.translate(packaged, defaults)
    assert isinstance(translated, dict)
    return translated


def prepare(root: Path, into: Path) -> Path:
    """Write the template that is built and published, and return its path.

    Its differences from template.yaml:

    * The state machine's definition stands in it. The repository copies code, but no definition files.
    * Each function has its CodeUri itself, for ``sam package`` replaces none in Globals.
    * Files are named by whole paths, as the template stands elsewhere.
    * The readme's links lead to the source: the repository shows the readme without the files beside it.
    """
    into.mkdir(parents=True, exist_ok=True)
    template = load(root / "template.yaml")
    code = template.get("Globals", {}).get("Function", {}).pop("CodeUri", None)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            own = properties.get("CodeUri", code)
            properties["CodeUri"] = str(root / own)
        if "DefinitionUri" in properties:
            text = (root / properties.pop("DefinitionUri")).read_text()
            properties["Definition"] = json.loads(text, object_pairs_hook=OrderedDict)  # others are sorted when written
    section = template.get("Metadata", {}).get(SECTION)
    if section:
        readme = into / "README.md"
        source = f"{section['SourceCodeUrl']}/{{kind}}/v{section['SemanticVersion']}/"
        readme.write_text(with_whole_links((root / section["ReadmeUrl"]).read_text(), source))
        section["ReadmeUrl"], section["LicenseUrl"] = str(readme), str(root / section["LicenseUrl"])
    path = into / "template.yaml"
    path.write_text(yaml_dump(template))
    return path


def with_whole_links(markdown: str, source: str) -> str:
    """Return the text with links to files replaced by links to the source; ``{kind}`` becomes raw for pictures."""

    def replace(found: re.Match[str]) -> str:
        mark, text, target = found.groups()
        if target.startswith(("https://", "http://", "#", "mailto:")):
            return found[0]
        return f"{mark}[{text}]({source.format(kind='raw' if mark else 'blob')}{target})"

    return _LINK.sub(replace, markdown)


def build(template: Path, runtime: str, log: Path) -> Path:
    """Run ``sam build`` beside the template and return the built one's path.

    Raises
    ------
    PackagingFailed
        With the end of sam's output.
    """
    directory = template.parent / "build"
    _sam(
        ["build", "--template-file", str(template), "--build-dir", str(directory), "--region", REGION,
         "--cached", "--cache-dir", str(template.parent / "cache"), "--parameter-overrides", f"Runtime={runtime}"],
        env={},
        log=log,
    )  # fmt: skip
    return directory / "template.yaml"


def package(template: Path, output: Path, *, bucket: str, env: Mapping[str, str]) -> None:
    """Run ``sam package``, which uploads the code and writes the template that names it there.

    Raises
    ------
    PackagingFailed
        With the end of sam's output.
    """
    _sam(
        ["package", "--template-file", str(template), "--s3-bucket", bucket, "--region", REGION,
         "--output-template-file", str(output), "--no-progressbar"],
        env=env,
        log=output.with_name("sam-package.log"),
    )  # fmt: skip


def package_locally(template: Path, output: Path) -> Uploaded:
    """Run ``sam package`` against an emulated S3, which ends with it."""
    with tempfile.TemporaryDirectory() as work, Emulator(Path(work), Scale(1)) as emulator:
        s3 = boto3.client(
            "s3",
            endpoint_url=emulator.endpoint,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the emulator's, known to everyone
        )
        s3.create_bucket(Bucket=_BUCKET)
        package(template, output, bucket=_BUCKET, env=emulator.client_env())
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=_BUCKET)
        objects = {item["Key"]: item["Size"] for page in pages for item in page.get("Contents", [])}
    return Uploaded(output, objects)


def _sam(arguments: list[str], *, env: Mapping[str, str], log: Path) -> None:
    """Run sam from this interpreter's environment. Its own is found on the path, as is the runtime's Python."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    with log.open("w") as output:
        done = subprocess.run(
            [str(Path(sys.executable).with_name("sam")), *arguments],
            env={**os.environ, "SAM_CLI_TELEMETRY": "0", **env, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            check=False,
        )
    if done.returncode:
        raise PackagingFailed(f"sam {arguments[0]} ended with {done.returncode}. {log} ends:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text()[-_LOG_TAIL:]
