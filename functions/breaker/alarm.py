"""Reads an alarm. The breaker never sets one: that would not last.

On a user's alarm it would also be a false "resolved".
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient


def alarm_state(client: "CloudWatchClient", name: str) -> str | None:
    """Return OK, ALARM or INSUFFICIENT_DATA for a metric alarm, None where no such alarm exists."""
    alarms = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarms[0]["StateValue"] if alarms else None


def rang_since(client: "CloudWatchClient", name: str, moment: float) -> bool:
    """True when the alarm is in ALARM and changed to it at or after `moment`, epoch seconds."""
    for alarm in client.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        changed = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
        return alarm["StateValue"] == "ALARM" and changed.timestamp() >= moment
    return False
