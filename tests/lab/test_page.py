"""The page of an outage: what it says, that it fetches nothing, that hostile text stays text, that it can be read."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from lab.accounting import LedgerEntry, settle
from lab.mailbox import Heard
from lab.observation import Change, Sample
from lab.orders import Sent
from lab.outage import Milestones, OutagePlan, OutageResult
from lab.page import page, sentences
from tests.browser import BrowserPage
from tests.schemas.schema_files import examples

SENT = [Sent(f"o{number}", f"m{number}", float(number)) for number in range(40)]
HOSTILE = "</pre><script>alert(1)</script><img src=//evil.example/x onerror=alert(2)>&amp;\"'<b>"
LONG = "unbreakable" * 40


def sample(at: float, circuit: str, mapping: str, alarm: str, *, depth: int = 0, processed: int = 0) -> Sample:
    return Sample(at=at, circuit=circuit, mapping=mapping, alarm=alarm, visible=depth, processed=processed)


def outage(**changes: Any) -> OutageResult:
    """An outage of five minutes, mended at 6:00 and over at 15:00."""
    samples = [sample(at, "CLOSED", "Enabled", "OK", processed=at) for at in range(0, 180, 10)]
    samples += [sample(at, "OPEN", "Disabled", "ALARM", depth=at - 180, processed=180) for at in range(180, 400, 10)]
    samples += [
        sample(at, "HALF_OPEN", "Enabled", "OK", depth=max(0, 220 - (at - 400)), processed=at - 200)
        for at in range(400, 900, 10)
    ]
    samples += [sample(at, "CLOSED", "Enabled", "OK", processed=at - 200) for at in range(900, 960, 10)]
    whole = OutageResult(
        plan=OutagePlan(),
        scale=12,
        milestones=Milestones(60, 360, 950, first_failure=61, paused=180, flowing=400, drained=620, closed=900),
        account=settle(SENT, [LedgerEntry(order.message_id, order.order_id) for order in SENT], [], []),
        receives_burnt=12,
        failed_calls=9,
        executions=(),
        mapping_at_end="Enabled",
        circuit_at_end="CLOSED",
        samples=tuple(samples),
        changes=(Change(60.0, "lab", "SHOULD_ERROR=true: the outage begins"), Change(180.0, "circuit", "OPEN")),
        failed_by_second=tuple((float(at), 1.0) for at in range(61, 180, 12)),
        began=1000.0,
    )
    return replace(whole, **changes)


def notice(at: float, subject: str = "[orders] OPEN", message: str = "Why: x\n\ncircuit: orders") -> Heard:
    return Heard(at, subject, message, {})


def ended(**changes: Any) -> Heard:
    """The event that ends the incident."""
    return Heard(1075.0, "", "", {"source": "sqs-circuit-breaker", "detail": examples("CLOSED")[0] | changes})


def hostile() -> str:
    """A page all of whose foreign words are hostile."""
    report = examples("CLOSED")[0]["report"] | {"outcome": HOSTILE, "cause": {"reason": HOSTILE, HOSTILE: LONG}}
    result = outage(
        changes=(Change(1.0, HOSTILE, HOSTILE), Change(2.0, "breaker", LONG)),
        mapping_at_end=HOSTILE,
        samples=(sample(0, HOSTILE, HOSTILE, HOSTILE), sample(900, HOSTILE, LONG, HOSTILE)),
    )
    told = [notice(1000.0, HOSTILE, f"{HOSTILE}\n\n{LONG}\n\n{HOSTILE}"), notice(1001.0, LONG, LONG)]
    return page(result, told, [ended(report=report, reason=HOSTILE)])


def open_all(browser_page: BrowserPage) -> None:
    """Unfold what is folded."""
    browser_page.page.evaluate("() => document.querySelectorAll('details').forEach(each => each.open = true)")


# What it says -------------------------------------------------------------------------------------------------------


def test_page_tells_the_outage_in_plain_words() -> None:
    told = " ".join(sentences(outage()))
    for words in (
        "40 orders were sent",
        "down from 1:00 to 6:00",
        "paused the consumer at 3:00",
        "119 s after the first failed call",
        "220 at the most",
        "9 calls failed",
        "Messages flowed again 40 s after the service was mended",
        "worked off after 4.33 minutes",
        "ended after 9 minutes",
        "40 orders were processed, 0 dead-lettered, 0 lost",
    ):
        assert words in told


def test_page_of_a_circuit_that_never_opened_says_so() -> None:
    result = outage(milestones=Milestones(60, 360, 950, first_failure=61))
    assert "never opened, and 9 calls failed" in " ".join(sentences(result))
    text = page(result, [], [])
    assert "1 promise broken" in text
    assert "The circuit never opened: the mapping was never seen Disabled." in text
    assert "No incident has ended" in text
    assert "No notification was sent" in text


def test_page_lists_every_promise_as_kept_or_broken() -> None:
    good = page(outage(), [], [])
    assert "Every promise was kept" in good
    assert good.count('<li class="kept">') == len(list(outage().promises())) == 7
    lost = outage(account=settle(SENT, [LedgerEntry("m0", "o0")], [], []))
    bad = page(lost, [], [])
    assert bad.count('<li class="broken">') == 1
    assert "39 of 40 orders were lost" in bad


def test_page_shows_notices_when_they_were_sent_and_the_report_of_the_end() -> None:
    text = page(outage(), [notice(1015.0), notice(1075.0, "[orders] CLOSED")], [ended()])
    assert re.search(r"3:00</span> \[orders\] OPEN", text)
    assert re.search(r"15:00</span> \[orders\] CLOSED", text)
    assert '<th scope="row">failed probes</th><td>8</td>' in text
    assert '<th scope="row">failed messages</th><td>not known</td>' in text
    assert "multiply its durations by 12" in text


def test_page_without_a_redrive_says_none_and_not_unknown() -> None:
    assert '<th scope="row">redrive</th><td>none</td>' in page(outage(), [], [ended()])


# In a browser -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1200, 400])
def test_page_can_be_read_at_any_width_light_and_dark(browser_page: BrowserPage, width: int, dark: bool) -> None:
    text = page(outage(), [notice(1015.0), notice(1075.0, "[orders] CLOSED")], [ended()])
    browser_page.show(text, width=width, dark=dark)
    open_all(browser_page)
    assert browser_page.hard_to_read() == []
    assert browser_page.sticking_out() == []
    assert browser_page.requests == browser_page.errors == []
    background = browser_page.page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") is not dark


def test_page_is_dark_ink_on_white_paper(browser_page: BrowserPage) -> None:
    browser_page.show(page(outage(), [], [ended()]), dark=True)
    browser_page.page.emulate_media(media="print", color_scheme="dark")
    colours = browser_page.page.evaluate(
        "() => [getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert browser_page.hard_to_read() == []


@pytest.mark.parametrize("width", [1200, 400])
def test_page_shows_hostile_text_as_text(browser_page: BrowserPage, width: int) -> None:
    browser_page.show(hostile(), width=width)
    open_all(browser_page)
    assert browser_page.scripts() == browser_page.requests == browser_page.dialogs == browser_page.errors == []
    assert browser_page.sticking_out() == []
    seen = browser_page.texts()
    # In the timeline twice, a promise, a notice's subject, its text and its fields, and the report.
    assert sum(HOSTILE in text for text in seen) >= 7
    assert any(LONG in text for text in seen)


def test_page_lets_nothing_run_or_load_even_if_something_got_in(browser_page: BrowserPage) -> None:
    text = page(outage(), [], []).replace(
        "</main>", "<script>document.title = 'ran'</script><img src='https://evil.example/x'></main>"
    )
    browser_page.show(text)
    assert browser_page.page.title() != "ran"
    assert browser_page.requests == []
