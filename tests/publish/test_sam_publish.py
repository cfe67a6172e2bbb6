"""The real `sam publish`, against a stand-in for the repository that takes everything and notes what it is sent."""

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from publish.metadata import application
from publish.packaging import PUBLISH_DIR, REPOSITORY, Uploaded

APPLICATION = "arn:aws:serverlessrepo:us-east-1:123456789012:applications/sqs-circuit-breaker"


@dataclass
class Repository:
    """Where it listens, and the requests that it got: path and document."""

    url: str
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def repository() -> Iterator[Repository]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            noted.requests.append((self.path, document))
            answer = json.dumps({"applicationId": APPLICATION}).encode()
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        noted = Repository(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield noted
        server.shutdown()
        thread.join()


def test_sam_publish_sends_the_packaged_template_and_its_metadata(
    uploaded: Uploaded, packaged: dict[str, Any], repository: Repository
) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("sam"), "publish", "--config-env", "publish", "-t", uploaded.template],
        cwd=REPOSITORY,
        env={**os.environ, "AWS_ENDPOINT_URL": repository.url, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ((path, document),) = repository.requests
    assert path == "/applications"
    sent = yaml_parse(document.pop("templateBody"))
    assert {part: sent[part] for part in ("Parameters", "Conditions", "Globals", "Resources", "Outputs")} == {
        part: packaged[part] for part in ("Parameters", "Conditions", "Globals", "Resources", "Outputs")
    }
    assert document == {name[0].lower() + name[1:]: value for name, value in application(packaged).items()}


def test_samconfig_names_the_places_that_the_check_writes() -> None:
    config = tomllib.loads((REPOSITORY / "samconfig.toml").read_text())["publish"]
    names = ("build/template.yaml", "packaged.yaml")
    built, packaged = (str((PUBLISH_DIR / name).relative_to(REPOSITORY)) for name in names)
    package = config["package"]["parameters"]
    assert (package["template_file"], package["output_template_file"]) == (built, packaged)
    assert config["publish"]["parameters"]["template_file"] == packaged
