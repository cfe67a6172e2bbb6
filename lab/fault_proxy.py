"""The proxy between the application's functions and the emulated cloud: microburst, in a process of its own.

It answers some requests with throttles and errors in AWS's own wire format, delays others, and loses the answers of
others still. Only the functions' calls pass through it.
"""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.emulator import free_port, inherited_env
from lab.leash import LeashedProcess

_READY_WITHIN_SECONDS = 20.0
_FAULT = re.compile(r'^microburst_faults_total\{service="([^"]*)",operation="([^"]*)",action="([^"]*)"\} (\d+)$')
_MEASURE = re.compile(r"[:=]?\d[\d.]*(ms)?")


class ProxyFailed(RuntimeError):
    """The proxy did not start, or has ended."""


class FaultProxy:
    """A proxy with a port of its own from the beginning, so that it can be named before it is started."""

    def __init__(self, work_dir: Path) -> None:
        self._work_dir = work_dir
        self._port = free_port()
        self._process: LeashedProcess | None = None
        self.log = work_dir / "fault-proxy.log"

    @property
    def endpoint(self) -> str:
        """Where it answers, for AWS_ENDPOINT_URL."""
        return f"http://127.0.0.1:{self._port}"

    def start(self, upstream: str) -> None:
        """Start it in front of an endpoint, without any faults.

        Raises
        ------
        ProxyFailed
            It gave no answer in time.
        """
        command = [sys.executable, "-I", "-m", "microburst", "--upstream", upstream, "--port", str(self._port)]
        self._process = LeashedProcess(command, env=inherited_env(), log=self.log, cwd=self._work_dir)
        deadline = time.monotonic() + _READY_WITHIN_SECONDS
        while True:
            self.require_running()
            try:
                if json.loads(self._call("GET", "health"))["upstream"] == upstream:
                    return
            except OSError:
                pass
            if time.monotonic() > deadline:
                raise ProxyFailed(f"the proxy gave no answer in {_READY_WITHIN_SECONDS:.0f} s: {self._process.tail()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it. Safe to call twice."""
        if self._process is not None:
            self._process.end()

    def set_rules(self, rules: Sequence[dict[str, Any]]) -> None:
        """Put these rules in the place of all others."""
        self._call("POST", "rules", list(rules))

    def add_rule(self, rule: dict[str, Any]) -> None:
        """Put a rule beside the others, until they are replaced."""
        self._call("PATCH", "rules", [rule])

    def injected(self) -> Counter[tuple[str, str]]:
        """How many faults were injected, by service and kind."""
        counted: Counter[tuple[str, str]] = Counter()
        for line in self._call("GET", "metrics").splitlines():
            found = _FAULT.match(line)
            if found:
                counted[found[1], _MEASURE.sub("", found[3])] += int(found[4])
        return counted

    def require_running(self) -> None:
        """Raise ProxyFailed if it has ended by itself."""
        if self._process is None or self._process.returncode is not None:
            raise ProxyFailed(f"the proxy has ended. The end of {self.log}:\n{self._process and self._process.tail()}")

    def _call(self, method: str, path: str, body: object = None) -> str:
        request = urllib.request.Request(
            f"{self.endpoint}/_microburst/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text: str = answer.read().decode()
            return text
