"""What may start an execution, and every way in which it may be wrong."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.errors import InvalidTrip, StaleTrip
from breaker.trip import Trip, TripKind, read_trip

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def alarm_event(**changes: Any) -> dict[str, Any]:
    """Return the start document of a rule on an alarm's change."""
    cause = {
        "version": "0",
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "time": "2026-03-01T11:59:30Z",
        "detail": {"alarmName": "orders-error-rate", "state": {"value": "ALARM", "reason": "of no interest"}},
        **changes,
    }
    return {"circuit": "orders", "cause": {name: value for name, value in cause.items() if value is not ...}}


def custom_event(*, age: timedelta = timedelta(0), **changes: Any) -> dict[str, Any]:
    """Return the start document of a rule on an event from code."""
    cause = {
        "source": "shop.payments",
        "detail-type": "Circuit Trip Requested",
        "time": (NOW - age).isoformat(),
        "detail": {"circuit": "orders", "reason": "card 4111 1111 1111 1111 was refused"},
        **changes,
    }
    return {"circuit": "orders", "cause": {name: value for name, value in cause.items() if value is not ...}}


# Accepted


def test_read_trip_alarm_event_names_the_alarm_and_when() -> None:
    assert read_trip(alarm_event(), now=NOW) == Trip(
        "orders",
        TripKind.ALARM,
        "alarm orders-error-rate is in ALARM",
        "2026-03-01T11:59:30Z",
        alarm_name="orders-error-rate",
    )


def test_read_trip_alarm_event_of_any_age_is_read_because_the_alarm_itself_is_asked() -> None:
    assert read_trip(alarm_event(time="2025-01-01T00:00:00Z"), now=NOW).at == "2025-01-01T00:00:00Z"


def test_read_trip_command_takes_its_reason_as_given() -> None:
    trip = read_trip({"circuit": "orders", "command": "OPEN", "reason": "  maintenance \n"}, now=NOW)
    assert trip == Trip("orders", TripKind.COMMAND, "maintenance", "2026-03-01T12:00:00Z", command="OPEN")


@pytest.mark.parametrize(
    ("end", "until"),
    [
        ({"until": "2026-03-01T15:00:00+02:00"}, "2026-03-01T13:00:00Z"),
        ({"for_minutes": 90}, "2026-03-01T13:30:00Z"),
        ({"for_minutes": 20160}, "2026-03-15T12:00:00Z"),
        ({}, ""),
    ],
)
def test_read_trip_command_open_takes_an_end(end: dict[str, Any], until: str) -> None:
    trip = read_trip({"circuit": "orders", "command": "OPEN", "reason": "maintenance", **end}, now=NOW)
    assert trip.until == until
    assert trip.as_dict().get("until", "") == until


def test_read_trip_command_status_needs_no_reason() -> None:
    assert read_trip({"circuit": "orders", "command": "STATUS"}, now=NOW).command == "STATUS"
    assert read_trip({"circuit": "orders", "command": "STATUS", "reason": "why not"}, now=NOW).reason == "why not"


def test_read_trip_resume_names_the_incident() -> None:
    trip = read_trip({"circuit": "orders", "resume": "orders-1a2b"}, now=NOW)
    assert trip == Trip(
        "orders", TripKind.RESUME, "resumes incident orders-1a2b", "2026-03-01T12:00:00Z", incident="orders-1a2b"
    )


def test_read_trip_custom_event_does_not_repeat_the_events_words() -> None:
    trip = read_trip(custom_event(age=timedelta(minutes=2)), now=NOW)
    assert trip == Trip("orders", TripKind.EVENT, "event from shop.payments", "2026-03-01T11:58:00Z")


def test_read_trip_custom_event_at_the_age_limit_is_accepted() -> None:
    assert read_trip(custom_event(age=timedelta(minutes=5)), now=NOW).kind is TripKind.EVENT


def test_read_trip_custom_event_from_a_clock_ahead_is_accepted() -> None:
    assert read_trip(custom_event(age=timedelta(minutes=-1)), now=NOW).kind is TripKind.EVENT


# Refused


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param(None, "input: None must be a JSON object with the field circuit", id="nothing"),
        pytest.param([], "input: [] must be a JSON object", id="a list"),
        pytest.param("OPEN", "input: 'OPEN' must be a JSON object", id="a text"),
        pytest.param({}, "circuit: None must be the name of a registered circuit", id="empty"),
        pytest.param({"circuit": ""}, "circuit: '' must be the name", id="no name"),
        pytest.param({"circuit": 7, "command": "OPEN"}, "circuit: 7 must be the name", id="a number for a name"),
        pytest.param(
            {"circuit": "orders"},
            "input: [] given; exactly one of cause, command, resume and errors_go_on must be",
            id="nothing asked for",
        ),
        pytest.param(
            {"circuit": "orders", "command": "OPEN", "resume": "x"},
            "input: ['command', 'resume'] given; exactly one of cause, command, resume and errors_go_on must be",
            id="two things asked for",
        ),
        pytest.param(
            {"circuit": "orders", "command": "OPEN", "reason": "x", "force": True},
            "force: not a field that goes with command; allowed are ['circuit', 'command', 'for_minutes', 'reason',",
            id="an unknown field",
        ),
        pytest.param(
            {"circuit": "orders", "resume": "x", "reason": "y"}, "reason: not a field that goes with resume", id="mixed"
        ),
        pytest.param(
            {"circuit": "orders", "command": "STOP", "reason": "x"},
            "command: 'STOP' is unknown; known are OPEN, CLOSE, PROBE, STATUS, ACTIVE, WATCH, OFF",
            id="an unknown command",
        ),
        pytest.param(
            {"circuit": "orders", "command": ["OPEN"], "reason": "x"}, "command: ['OPEN'] is unknown", id="a list"
        ),
        pytest.param(
            {"circuit": "orders", "command": "OPEN"},
            "reason: None must be a text of 1 to 500 characters",
            id="no reason",
        ),
        pytest.param(
            {"circuit": "orders", "command": "OPEN", "reason": "  "}, "reason: '  ' must be a text", id="a blank reason"
        ),
        pytest.param(
            {"circuit": "orders", "command": "OPEN", "reason": "x" * 501}, "reason: 'xxx", id="too long a reason"
        ),
        *[
            pytest.param(
                {"circuit": "orders", "command": command},
                "reason: None must be a text",
                id=f"{command} without a reason",
            )
            for command in ("CLOSE", "PROBE", "ACTIVE", "WATCH", "OFF")
        ],
        pytest.param(
            {"circuit": "orders", "command": "CLOSE", "reason": "x", "until": "2026-03-01T13:00:00Z"},
            "until: not a field that goes with command",
            id="an end of what has none",
        ),
        *[
            pytest.param({"circuit": "orders", "command": "OPEN", "reason": "x", **end}, message, id=str(end))
            for end, message in (
                ({"until": "2026-03-01T12:00:00Z"}, "until: '2026-03-01T12:00:00Z' must be later than now"),
                ({"until": "2026-03-15T12:00:01Z"}, "must be later than now, 2026-03-01T12:00:00Z, by at most 14 days"),
                ({"until": "2026-03-01T13:00:00"}, "until: '2026-03-01T13:00:00' must be an ISO 8601 time with an off"),
                ({"until": "tomorrow"}, "until: 'tomorrow' must be an ISO 8601 time with an offset"),
                ({"until": 7}, "until: 7 must be an ISO 8601 time with an offset"),
                ({"for_minutes": 0}, "for_minutes: 0 must be a whole number of minutes, 1 to 20160"),
                ({"for_minutes": 20161}, "for_minutes: 20161 must be"),
                ({"for_minutes": True}, "for_minutes: True must be"),
                ({"for_minutes": "60"}, "for_minutes: '60' must be"),
                ({"for_minutes": 60, "until": "2026-03-01T13:00:00Z"}, "until: given together with for_minutes"),
            )
        ],
        pytest.param({"circuit": "orders", "resume": ""}, "resume: '' must be the id of the", id="no incident"),
        pytest.param({"circuit": "orders", "resume": {"id": 1}}, "resume: {'id': 1} must be", id="no text"),
        pytest.param({"circuit": "orders", "cause": "ALARM"}, "cause: 'ALARM' must be an EventBridge event", id="text"),
        pytest.param({"circuit": "orders", "cause": {}}, "cause.detail: None must be an object", id="no detail"),
        pytest.param(
            alarm_event(source="aws.s3", **{"detail-type": "Object Created"}),
            "cause.detail-type: 'Object Created' must be 'CloudWatch Alarm State Change' from aws.cloudwatch, or"
            " 'Circuit Trip Requested'",
            id="another event",
        ),
        pytest.param(
            alarm_event(source="somebody.else"),
            "cause.detail-type: 'CloudWatch Alarm State Change' must be",
            id="an alarm change not from CloudWatch",
        ),
        pytest.param(
            alarm_event(**{"detail-type": "CloudWatch Alarm Configuration Change"}),
            "cause.detail-type: 'CloudWatch Alarm Configuration Change' must be",
            id="not a change of state",
        ),
        pytest.param(
            alarm_event(detail={"state": {"value": "ALARM"}}),
            "cause.detail.alarmName: None must be the name of an alarm",
            id="no alarm",
        ),
        pytest.param(
            alarm_event(detail={"alarmName": "a", "state": {"value": "OK"}}),
            "cause.detail.state.value: 'OK' must be 'ALARM'",
            id="changed to OK",
        ),
        pytest.param(
            alarm_event(detail={"alarmName": "a", "state": "ALARM"}),
            "cause.detail.state.value: None must be 'ALARM'",
            id="a state that is no object",
        ),
        pytest.param(
            alarm_event(time=...), "cause.time: None must be an ISO 8601 time with an offset", id="an alarm of no time"
        ),
        pytest.param(alarm_event(time="yesterday"), "cause.time: 'yesterday' must be", id="no time"),
        pytest.param(alarm_event(time="2026-03-01T12:00:00"), "cause.time: '2026-03-01T12:00:00' must be", id="local"),
        pytest.param(alarm_event(time=1772366400), "cause.time: 1772366400 must be", id="epoch seconds"),
        pytest.param(
            custom_event(detail={"circuit": "payments"}),
            "cause.detail.circuit: 'payments' must be 'orders'",
            id="a custom event for another circuit",
        ),
        pytest.param(custom_event(time=...), "cause.time: None must be", id="a custom event of no time"),
    ],
)
def test_read_trip_bad_start_is_refused_naming_field_value_and_rule(document: Any, message: str) -> None:
    with pytest.raises(InvalidTrip) as refused:
        read_trip(document, now=NOW)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 300


def test_read_trip_custom_event_over_five_minutes_old_is_stale() -> None:
    with pytest.raises(StaleTrip) as refused:
        read_trip(custom_event(age=timedelta(minutes=5, seconds=1)), now=NOW)
    assert str(refused.value) == (
        "cause.time: '2026-03-01T11:54:59+00:00' is 301 s old; a custom event may be at most 300 s old"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["circuit", "cause", "command", "resume", "reason", "detail", "time", "source", "detail-type"])


@given(st.dictionaries(FIELDS, JSON | st.dictionaries(FIELDS, JSON)))
def test_read_trip_any_json_is_a_trip_or_refused_by_name(document: dict[str, Any]) -> None:
    try:
        trip = read_trip(document, now=NOW)
    except (InvalidTrip, StaleTrip):
        return
    assert trip.circuit == document["circuit"]
    assert 0 < len(trip.reason) <= 1000
