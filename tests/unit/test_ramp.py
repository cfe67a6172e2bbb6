"""The steps of a ramp."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.errors import InvalidSetting
from breaker.ramp import read_steps, recovery_steps
from breaker.settings import read_settings

GIVEN = {
    "CircuitName": "orders",
    "TargetFunction": "orders-target",
    "QueueArn": "arn:aws:sqs:us-east-1:123456789012:orders",
    "AlarmNames": ["errors"],
}


@pytest.mark.parametrize(("text", "steps"), [("2", [2]), ("2,10", [2, 10]), ("2,3,4,5,1000", [2, 3, 4, 5, 1000])])
def test_read_steps_good_text_is_a_list(text: str, steps: list[int]) -> None:
    assert read_steps(text) == steps


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("1,2", "must be 2 to 1000 in each step"),
        ("2,1001", "must be 2 to 1000 in each step"),
        ("10,2", "must grow from step to step"),
        ("2,2", "must grow from step to step"),
        ("2, 10", "RampConcurrency: '2, 10' must match pattern"),
        ("", "RampConcurrency: '' must match pattern"),
        ("2,3,4,5,6,7", "RampConcurrency: '2,3,4,5,6,7' must match pattern"),
    ],
)
def test_setting_that_cannot_work_is_refused_naming_field_value_and_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^RampConcurrency: '{text}'") as refused:
        read_settings({**GIVEN, "RampConcurrency": text})
    assert rule in str(refused.value)


@pytest.mark.parametrize(
    ("own", "provisioned", "steps"),
    [
        (0, False, [2, 10, 0]),
        (50, False, [2, 10, 50]),
        (10, False, [2, 10]),
        (5, False, [2, 5]),
        (2, False, [2]),
        (0, True, [0]),
    ],
)
def test_recovery_steps_end_with_the_owners_own(own: int, provisioned: bool, steps: list[int]) -> None:
    assert recovery_steps([2, 10], own=own, provisioned=provisioned) == steps


@given(st.lists(st.integers(2, 1000), max_size=5, unique=True).map(sorted), st.just(0) | st.integers(2, 1000))
def test_recovery_steps_grow_and_never_pass_the_owners_own(ramp: list[int], own: int) -> None:
    steps = recovery_steps(ramp, own=own, provisioned=False)
    assert steps[-1] == own
    limits = [step or 1001 for step in steps]
    assert limits == sorted(set(limits))
