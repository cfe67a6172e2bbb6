"""Reads a circuit's alarms. The breaker never sets one: that would not last.

On a user's alarm it would also be a false "resolved". Each call names one alarm, so that it needs permission on that
one alone.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


def alarm_state(client: "CloudWatchClient", name: str) -> str | None:
    """Return OK, ALARM or INSUFFICIENT_DATA for a metric alarm, None where no such alarm exists."""
    alarms = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarms[0]["StateValue"] if alarms else None


def most_urgent_state(client: "CloudWatchClient", names: Iterable[str]) -> str | None:
    """Return ALARM if any of the alarms is in it, else INSUFFICIENT_DATA, else OK; None where there are none."""
    states = {alarm_state(client, name) for name in names}
    return next((state for state in ("ALARM", "INSUFFICIENT_DATA", "OK") if state in states), None)


def any_rings(client: "CloudWatchClient", names: Iterable[str]) -> bool:
    """True when at least one of the alarms is in ALARM."""
    return any(alarm_state(client, name) == "ALARM" for name in names)


def rang_since(client: "CloudWatchClient", names: Iterable[str], moment: float) -> str | None:
    """Return the name of an alarm that is in ALARM and changed to it at or after `moment`, epoch seconds."""
    for name in names:
        for alarm in client.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
            changed = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
            if alarm["StateValue"] == "ALARM" and changed.timestamp() >= moment:
                return name
    return None
