"""What a notification tells a person who knows nothing yet."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.announcements import _NOT_NOTIFIED, Change
from breaker.notices import _WORDS, write_notice
from tests.schemas.schema_files import examples

QUESTIONS = ("What happened", "Why", "What is safe", "What happens by itself", "What to do")
TOLD = sorted(set(Change) - _NOT_NOTIFIED)
REPORT = examples("CLOSED")[0]["report"]


def detail(change: str, reason: str = "alarm orders-errors is in ALARM", **more: Any) -> dict[str, Any]:
    """Return an event's detail."""
    return {"circuit": "orders", "incident": "orders-1", "change": change, "from": "OPEN", "to": "OPEN"} | {
        "reason": reason,
        **more,
    }


def answers(change: str, **more: Any) -> dict[str, str]:
    """Return a notice's paragraphs by the question that they answer."""
    paragraphs = write_notice(detail(change, **more)).message.split("\n\n")
    return {question: text for question, _, text in (paragraph.partition(": ") for paragraph in paragraphs)}


def figures(report: dict[str, Any]) -> str:
    """Return the paragraph that has the report in words."""
    return answers("CLOSED", report=report)["The incident in figures"]


def test_notice_every_change_that_is_notified_has_its_own_words() -> None:
    assert set(_WORDS) == {change.value for change in TOLD}


@pytest.mark.parametrize("change", TOLD)
def test_notice_answers_what_a_woken_person_asks(change: str) -> None:
    told = answers(change)
    assert [question for question in told if question in QUESTIONS] == list(QUESTIONS)
    assert all(len(told[question]) > 5 for question in QUESTIONS)
    assert told["Why"] == "alarm orders-errors is in ALARM"
    assert "orders" in told["What happened"]
    longest = max(len(sentence) for text in told.values() for sentence in re.split(r"[.:] ", text))
    assert longest < 200


@pytest.mark.parametrize("change", TOLD)
def test_notice_ends_with_the_fields_of_the_event(change: str) -> None:
    lines = write_notice(detail(change)).message.splitlines()
    assert {"circuit: orders", "incident: orders-1", f"change: {change}"} <= set(lines)


def test_notice_fields_of_an_object_are_lines_too() -> None:
    lines = write_notice(examples("CLOSED")[0]).message.splitlines()
    assert {"report.failed_probes: 8", "report.redrive: null", "report.cause.kind: ALARM"} <= set(lines)
    assert not any("{" in line for line in lines if line.startswith("report"))


@given(st.text(max_size=600), st.text(max_size=80), st.sampled_from(sorted(Change)))
def test_notice_any_text_makes_a_subject_that_sns_takes(reason: str, circuit: str, change: str) -> None:
    subject = write_notice(detail(change, reason) | {"circuit": circuit}).subject
    assert 0 < len(subject) <= 100
    assert subject.isascii()
    assert subject.isprintable()


def test_notice_subject_that_is_cut_shows_it() -> None:
    assert write_notice(detail("OPENED", "x" * 500)).subject.endswith("xxx...")


@pytest.mark.parametrize("change", TOLD)
def test_notice_subject_says_what_and_where_first(change: str) -> None:
    assert write_notice(detail(change)).subject.startswith("[orders] ")


def test_notice_opened_says_that_messages_are_kept_and_that_nothing_need_be_done() -> None:
    told = answers("OPENED")
    assert "paused" in told["What happened"]
    assert "None is lost" in told["What is safe"]
    assert "retention" in told["What is safe"]
    assert "one message at a time" in told["What happens by itself"]
    assert '"command": "CLOSE"' in told["What to do"]


def test_notice_opened_until_a_time_says_when_it_is_tried_again() -> None:
    told = answers("OPENED", trip={"until": "2026-03-01T14:00:00Z"})
    assert "Until 2026-03-01T14:00:00Z nothing is tried" in told["What happens by itself"]


def test_notice_reopened_says_that_messages_were_let_in_and_failed() -> None:
    told = answers("REOPENED")
    assert "let in" in told["What happened"]
    assert "receive" in told["What is safe"]
    assert '"command": "OPEN"' in told["What to do"]


def test_notice_gave_up_and_paused_says_that_nothing_happens_by_itself() -> None:
    for then in ({}, {"then": "STAY_OPEN"}):
        told = answers("GAVE_UP", **then)
        assert "STAYS PAUSED" in told["What happened"]
        assert told["What happens by itself"].startswith("Nothing")
        assert '"command": "PROBE"' in told["What to do"]
        assert '"command": "CLOSE"' in told["What to do"]


def test_notice_gave_up_and_closed_warns_of_the_dead_letter_queue() -> None:
    told = answers("GAVE_UP", then="CLOSE")
    assert "dead-letter queue" in told["What is safe"]
    assert '"command": "OPEN"' in told["What to do"]


def test_notice_closed_says_that_messages_flow_unless_somebody_has_disabled_the_mapping() -> None:
    assert "Messages flow" in answers("CLOSED", report=REPORT)["What is safe"]
    for outcome in ("DISABLED_BY_OTHERS", "MAPPING_GONE"):
        told = answers("CLOSED", report=REPORT | {"outcome": outcome})
        assert "does not run" in told["What happened"]
        assert "enable" in told["What to do"]


def test_notice_closed_by_a_removal_says_that_nothing_protects_the_consumer_any_more() -> None:
    told = answers("CLOSED", report=REPORT | {"outcome": "REMOVED"})
    assert "no longer protected" in told["What happened"]
    assert "disable" in told["What to do"]


def test_notice_of_an_end_has_the_report_in_words() -> None:
    for change in ("CLOSED", "GAVE_UP"):
        (told,) = (figures(example["report"]) for example in examples(change) if "report" in example)
        assert "Probes: " in told
        assert max(len(sentence) for sentence in re.split(r"[.:] ", told)) < 100
    assert "The incident in figures" not in answers("OPENED")


def test_notice_report_says_all_that_is_known() -> None:
    told = figures(
        REPORT
        | {"duration_seconds": 2280, "probes": 9, "failed_probes": 8, "reopened": 2, "receives_burnt": 305}
        | {"receives_burnt_from": "MESSAGES", "most_waiting": 1630, "oldest_message_seconds": 1860}
        | {"dead_lettered": 31, "redrive": "done", "redriven": 30, "errors_began_at": "2026-03-01T12:00:00Z"}
    )
    for words in (
        "it lasted 38 minutes, since 2026-03-01T12:03:12Z",
        "The errors had begun at 2026-03-01T12:00:00Z",
        "opened again 2 times",
        "Probes: 9, of which 8 failed",
        "Receives burnt: about 305.",
        "Most messages waiting: about 1630",
        "Age of the oldest message: about 31 minutes",
        "Dead-lettered: about 31. Redrive: done, 30 moved back",
    ):
        assert words in told


def test_notice_report_says_what_is_not_known_and_how_it_was_counted() -> None:
    nothing = dict.fromkeys(("receives_burnt", "receives_burnt_from", "most_waiting", "oldest_message_seconds"))
    told = figures(REPORT | nothing | {"dead_lettered": None, "errors_began_at": None, "redrive": None})
    assert told.count("not known") == 4
    assert not {"Redrive", "opened again", "had begun"} & set(re.findall("Redrive|opened again|had begun", told))
    assert "about 34, each failed call counted as one" in figures(REPORT | {"receives_burnt_from": "CALLS"})


def test_notice_report_of_an_incident_that_goes_on_does_not_call_it_over() -> None:
    assert "it has lasted" in figures(REPORT | {"closed_at": None})


def test_notice_near_retention_does_not_promise_that_all_is_safe() -> None:
    told = answers("NEAR_RETENTION")
    assert "SQS deletes" in told["What is safe"]
    assert "Lengthen the queue's retention" in told["What to do"]


@pytest.mark.parametrize(("state", "expected"), [("OPEN", "RESUMED"), ("CLOSED", "reconciler")])
def test_notice_breaker_failed_says_who_takes_over_and_how_messages_flow_without_it(state: str, expected: str) -> None:
    told = answers("BREAKER_FAILED", to=state)
    assert expected in told["What happens by itself"]
    assert "enable the event source mapping yourself" in told["What to do"]


def test_notice_overridden_says_that_the_change_stands() -> None:
    assert "stands" in answers("OVERRIDDEN")["What happened"]


def test_notice_circuit_unknown_is_told_all_the_same() -> None:
    notice = write_notice(detail("BREAKER_FAILED", to="") | {"circuit": ""})
    assert "unknown" in notice.message
