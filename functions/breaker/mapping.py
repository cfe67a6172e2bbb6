"""The event source mapping, the one switch the breaker turns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from breaker.errors import MappingNotSettled

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# Answers that pass: another change is in progress, or Lambda's control plane is throttled or in trouble.
_PASSING = {
    "ResourceInUseException",
    "ResourceConflictException",
    "TooManyRequestsException",
    "ServiceException",
}


@dataclass(frozen=True)
class MappingState:
    """State of an event source mapping, in Lambda's own words.

    Attributes
    ----------
    state
        Creating, Enabling, Enabled, Disabling, Disabled, Updating or Deleting.
    """

    state: str

    @property
    def is_off(self) -> bool:
        """True when the mapping is, or is about to be, disabled."""
        return self.state in ("Disabled", "Disabling")

    @property
    def is_on(self) -> bool:
        """True when the mapping is, or is about to be, enabled."""
        return self.state in ("Enabled", "Enabling", "Creating")


def read_mapping(client: "LambdaClient", mapping_id: str) -> MappingState:
    """Return the mapping's state.

    Raises
    ------
    MappingNotSettled
        Lambda cannot say at the moment.
    """
    try:
        return MappingState(client.get_event_source_mapping(UUID=mapping_id)["State"])
    except ClientError as error:
        raise _retryable(error, mapping_id) from error


def switch_mapping(client: "LambdaClient", mapping_id: str, *, enabled: bool) -> None:
    """Ask Lambda to enable or disable the mapping. The change takes a while; read its state to see it done.

    Raises
    ------
    MappingNotSettled
        Another change is in progress, or Lambda cannot make it at the moment.
    """
    try:
        client.update_event_source_mapping(UUID=mapping_id, Enabled=enabled)
    except ClientError as error:
        raise _retryable(error, mapping_id) from error


def _retryable(error: ClientError, mapping_id: str) -> Exception:
    """Return MappingNotSettled for an answer that passes, else the error itself."""
    code = error.response["Error"]["Code"]
    return MappingNotSettled(f"mapping {mapping_id}: Lambda answered {code}") if code in _PASSING else error
