"""The steps in which messages are let in again: the mapping's maximum concurrency, step by step.

Concurrency is not rate: a fast target takes many messages a second even at 2, the least that Lambda allows.
"""

from collections.abc import Sequence
from itertools import pairwise

# https://docs.aws.amazon.com/lambda/latest/api/API_ScalingConfig.html
LEAST_CONCURRENCY = 2
MOST_CONCURRENCY = 1000


def read_steps(text: str) -> list[int]:
    """Read the setting RampConcurrency, for example `"2,10"`.

    Raises
    ------
    ValueError
        A step is out of range or not above the one before. The message says which rule was broken.
    """
    steps = [int(step) for step in text.split(",")]
    if not all(LEAST_CONCURRENCY <= step <= MOST_CONCURRENCY for step in steps):
        raise ValueError(f"must be {LEAST_CONCURRENCY} to {MOST_CONCURRENCY} in each step")
    if any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError("must grow from step to step")
    return steps


def recovery_steps(ramp: Sequence[int], *, own: int, provisioned: bool) -> list[int]:
    """Return the maximum concurrency of each step of a recovery; the last is the owner's own, 0 for none.

    Parameters
    ----------
    ramp
        Steps before the owner's own. Those that are not below it are left out.
    provisioned
        True for a mapping in provisioned mode, which takes no maximum and is enabled whole.
    """
    if provisioned:
        return [own]
    return [step for step in ramp if own == 0 or step < own] + [own]
