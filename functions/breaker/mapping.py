"""The event source mapping, the one switch the breaker turns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from breaker.errors import MappingNotSettled

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import ScalingConfigTypeDef

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
        Creating, Enabling, Enabled, Disabling, Disabled, Updating or Deleting. "Deleted" where there is none any more.
    maximum_concurrency
        How many batches Lambda runs at once, 0 without a limit of the mapping's own.
    provisioned
        True in provisioned mode, where Lambda takes no maximum concurrency.
    """

    state: str
    maximum_concurrency: int = 0
    provisioned: bool = False

    @property
    def is_off(self) -> bool:
        """True when the mapping is, or is about to be, disabled."""
        return self.state in ("Disabled", "Disabling")

    @property
    def is_on(self) -> bool:
        """True when the mapping is, or is about to be, enabled."""
        return self.state in ("Enabled", "Enabling", "Creating")

    @property
    def is_gone(self) -> bool:
        """True when there is nothing left to pause."""
        return self.state in ("Deleting", "Deleted")


def read_mapping(client: "LambdaClient", mapping_id: str) -> MappingState:
    """Return the mapping's state.

    Raises
    ------
    MappingNotSettled
        Lambda cannot say at the moment.
    """
    try:
        answer = client.get_event_source_mapping(UUID=mapping_id)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return MappingState("Deleted")
        raise _retryable(error, mapping_id) from error
    return MappingState(
        state=answer["State"],
        maximum_concurrency=(answer.get("ScalingConfig") or {}).get("MaximumConcurrency", 0),
        provisioned=bool(answer.get("ProvisionedPollerConfig")),
    )


def switch_mapping(
    client: "LambdaClient", mapping_id: str, *, enabled: bool, maximum_concurrency: int | None = None
) -> None:
    """Ask Lambda to enable or disable the mapping. The change takes a while; read its state to see it done.

    Parameters
    ----------
    maximum_concurrency
        The limit to set in the same request, 0 to remove it, None to leave it as it is.

    Raises
    ------
    MappingNotSettled
        Another change is in progress, or Lambda cannot make it at the moment.
    """
    try:
        if maximum_concurrency is None:
            client.update_event_source_mapping(UUID=mapping_id, Enabled=enabled)
        else:
            client.update_event_source_mapping(
                UUID=mapping_id, Enabled=enabled, ScalingConfig=_scaling(maximum_concurrency)
            )
    except ClientError as error:
        raise _retryable(error, mapping_id) from error


def _scaling(maximum_concurrency: int) -> "ScalingConfigTypeDef":
    # Leaving the field out would leave the limit; an empty object removes it:
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html
    return {"MaximumConcurrency": maximum_concurrency} if maximum_concurrency else {}


def _retryable(error: ClientError, mapping_id: str) -> Exception:
    """Return MappingNotSettled for an answer that passes, else the error itself."""
    code = error.response["Error"]["Code"]
    return MappingNotSettled(f"mapping {mapping_id}: Lambda answered {code}") if code in _PASSING else error
