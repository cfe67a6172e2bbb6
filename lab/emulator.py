"""The emulated cloud: ministack in a process of its own.

It enforces IAM, listens on 127.0.0.1 only, and is given none of the caller's AWS configuration: the lab can neither
read nor reach a real account.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from lab.clock import Scale
from lab.leash import LeashedProcess

ACCOUNT_ID = "000000000000"
REGION = "us-east-1"
# The emulator takes this pair for the account's root user.
ROOT_KEY = "test"
ROOT_SECRET = "test"  # noqa: S105 - the emulator's, known to everyone

# Lambda enables and disables a mapping within some seconds to a minute.
MAPPING_CHANGE_SECONDS = 15.0

# Only what the application and its deployment use: the emulator starts faster and answers nothing else.
_SERVICES = (
    "cloudformation", "dynamodb", "events", "iam", "kms", "lambda", "logs",
    "monitoring", "s3", "sns", "sqs", "ssm", "states", "sts",
)  # fmt: skip
_START_ATTEMPTS = 3
_HEALTHY_WITHIN_SECONDS = 40.0
# What a program needs to run at all. Everything else stays outside, above all AWS_*.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "USER",
              "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
              "PIP_CONFIG_FILE", "PIP_CERT", "PIP_TRUSTED_HOST", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")  # fmt: skip


class EmulatorFailed(RuntimeError):
    """The emulated cloud did not start, or stopped."""


@dataclass(frozen=True)
class WaitingMessage:
    """A message in a queue, seen without receiving it."""

    message_id: str
    body: str
    receive_count: int
    visible: bool
    visible_at: float


class Emulator:
    """Starts ministack and ends it with all the functions it runs.

    Parameters
    ----------
    work_dir
        Where its log and its temporary files go.
    scale
        How much faster than AWS the state machine's waits pass.
    mapping_change_seconds
        How long a change of an event source mapping takes, in real-equivalent seconds.
    functions_endpoint
        Where the functions find AWS, if not here.
    """

    def __init__(
        self,
        work_dir: Path,
        scale: Scale,
        *,
        mapping_change_seconds: float = MAPPING_CHANGE_SECONDS,
        functions_endpoint: str | None = None,
    ) -> None:
        self._work_dir = work_dir
        self._scale = scale
        self._mapping_change_seconds = mapping_change_seconds
        self._functions_endpoint = functions_endpoint
        self._process: LeashedProcess | None = None
        self._port = 0
        self.log = work_dir / "emulator.log"

    @property
    def endpoint(self) -> str:
        """Where it answers, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        EmulatorFailed
            It ended, or did not answer in time. The message holds the end of its log.
        """
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                self._start_once()
            except EmulatorFailed:
                self.stop()
                # Another program may have taken the port between the choice and the start.
                if attempt == _START_ATTEMPTS:
                    raise
            except BaseException:
                self.stop()
                raise
            else:
                return

    def stop(self) -> None:
        """End it and its functions. Safe to call twice."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def require_running(self) -> None:
        """Raise EmulatorFailed if it has ended by itself."""
        if self._process is None or self._process.returncode is not None:
            tail = self._process.tail() if self._process else ""
            raise EmulatorFailed(f"the emulated cloud has ended. The end of {self.log}:\n{tail}")

    def client_env(self) -> dict[str, str]:
        """The environment for programs that talk to this emulator (sam, aws), and to nothing else."""
        return {
            **inherited_env(),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
            "TMPDIR": str(self._temporary_dir()),
        }

    def waiting_messages(self, queue_url: str) -> list[WaitingMessage]:
        """What a queue holds, hidden and delayed messages included, without touching it."""
        address = f"{self.endpoint}/_ministack/sqs/messages?QueueUrl={quote(queue_url, safe='')}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            accounts = json.load(answer)["messages"]
        return [
            WaitingMessage(
                message_id=message["MessageId"],
                body=message["Body"],
                receive_count=int(message["ReceiveCount"]),
                visible=bool(message["IsVisible"]),
                visible_at=float(message["VisibleAt"]),
            )
            for regions in accounts.values()
            for queues in regions.values()
            for messages in queues.values()
            for message in messages
        ]

    def _start_once(self) -> None:
        self._port = free_port()
        # Shown by the health page: tells our emulator from another that may have won the port.
        mark = f"lab-{uuid.uuid4().hex}"
        env = {
            **inherited_env(),
            "GATEWAY_PORT": str(self._port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
            "MINISTACK_REGION": REGION,
            "MINISTACK_EDITION": mark,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_SECRET,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AUTH": "true",
            "SERVICES": ",".join(_SERVICES),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "SFN_WAIT_SCALE": repr(1 / self._scale.factor),
            "LAB_MAPPING_CHANGE_SECONDS": repr(self._scale.wall(self._mapping_change_seconds)),
            # The functions inherit it. The emulator itself does not read it.
            **({"AWS_ENDPOINT_URL": self._functions_endpoint} if self._functions_endpoint else {}),
            # There is no Docker in this lab: a socket that does not exist keeps the emulator from looking for one.
            "DOCKER_HOST": f"unix://{self._temporary_dir() / 'no-docker.sock'}",
            "TMPDIR": str(self._temporary_dir()),
            "PYTHONUNBUFFERED": "1",
        }
        # Isolated: what the emulator runs must not find the repository on its path.
        command = [sys.executable, "-I", str(Path(__file__).with_name("emulated_cloud.py"))]
        self._process = LeashedProcess(command, env=env, log=self.log, cwd=self._work_dir)
        deadline = time.monotonic() + _HEALTHY_WITHIN_SECONDS
        while not self._answers_as(mark):
            self.require_running()
            if time.monotonic() > deadline:
                tail = self._process.tail()
                raise EmulatorFailed(f"no answer within {_HEALTHY_WITHIN_SECONDS:.0f} s. Its log ends:\n{tail}")
            time.sleep(0.1)

    def _answers_as(self, mark: str) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2) as answer:
                return bool(json.load(answer).get("edition") == mark)
        except (OSError, ValueError):
            return False

    def _temporary_dir(self) -> Path:
        directory = self._work_dir / "tmp"
        directory.mkdir(parents=True, exist_ok=True)
        return directory


def inherited_env() -> dict[str, str]:
    """The part of the caller's environment that the lab's programs may see."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
