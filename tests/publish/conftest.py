"""The application as `sam package` packages it, once for all tests of it."""

import copy
from typing import Any

import pytest

from publish.packaging import REPOSITORY, Uploaded, load, package_locally, prepare


@pytest.fixture(scope="session")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Uploaded:
    """What would be published, but for the libraries: `sam build` fetches them, and tests stay on this machine."""
    directory = tmp_path_factory.mktemp("publish")
    return package_locally(prepare(REPOSITORY, directory), directory / "packaged.yaml")


@pytest.fixture(scope="session")
def packaged_once(uploaded: Uploaded) -> dict[str, Any]:
    return load(uploaded.template)


@pytest.fixture
def packaged(packaged_once: dict[str, Any]) -> dict[str, Any]:
    """The packaged template; a copy that may be changed."""
    return copy.deepcopy(packaged_once)
