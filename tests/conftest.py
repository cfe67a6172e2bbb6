"""What every test stands on: an AWS account that does not exist, and no way out of this machine."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

# The fixture `browser_page`.
pytest_plugins = ["tests.browser"]

REPOSITORY = Path(__file__).resolve().parent.parent

# The deployment package is functions/, so its modules are imported as they are on Lambda. The other two hold what the
# tests in and around them share.
for folder in ("functions", "tests/statemachine", "tests/template"):
    sys.path.insert(0, str(REPOSITORY / folder))

# Set at import, not in a fixture: the handlers' modules make their clients when they are imported.
os.environ.update(
    {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "POWERTOOLS_SERVICE_NAME": "circuit-breaker",
        "POWERTOOLS_METRICS_NAMESPACE": "SqsCircuitBreaker",
    }
)
for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves this machine: a test that needs one is wrong, and may cost money."""
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise ConnectionRefusedError(f"a test tried to connect to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)
