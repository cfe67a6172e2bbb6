"""The dashboard's widget in a real browser: readable in both themes, narrow and wide, whatever it has to say."""

import json
import re
from typing import Any

import pytest
from sam_template import source_template

from breaker.overview import Overview, Seen
from breaker.status import Standing, as_rows
from breaker.widget import MAX_CIRCUITS, NO_CIRCUIT, as_html, as_sentence
from tests.browser import BrowserPage
from tests.standings import NOW, seen, unread, unseen

# The console's own colours behind and around a widget. What the widget says must not hang on them.
_CONSOLE = {"light": ("#ffffff", "#000716"), "dark": ("#161d26", "#d1d5db")}
HOSTILE = [
    "<script>document.title = 'ran'; alert('ran')</script>",
    '"><img src=https://example.com/x onerror="alert(\'ran\')">',
    "' onmouseover='alert(1)' style='position:fixed;inset:0",
    "</span></div></style><style>* { display: none }</style>",
    "javascript:alert(1) &lt;script&gt; &#60;b&#62;",
    "\u202ereversed\u202c \u200f\u2066 \x1b[2J \x00 שלום",
    "x" * 10_000,
    "🍏" * 300,
]

MIXED = [
    *[seen(f"circuit-{standing.value.lower().replace('_', '-')}", standing) for standing in Standing],
    seen("payments", Standing.FLOWING, mode="WATCH"),
    unseen("invoices", Standing.PAUSED, "GetEventSourceMapping was answered with AccessDeniedException"),
    unread("shipping", "GetItem was answered with ProvisionedThroughputExceededException"),
]


def show(page: BrowserPage, widget: str, *, theme: str, width: int = 1200, height: int = 700) -> None:
    back, text = _CONSOLE[theme]
    page.show(
        f"<!doctype html><html><body style='margin:0;background:{back};color:{text}'>{widget}</body></html>",
        width=width,
        height=height,
        dark=theme == "dark",
    )


def assert_harmless(page: BrowserPage) -> None:
    assert page.scripts() == []
    assert page.requests == []
    assert page.dialogs == []
    assert page.errors == []
    assert page.page.title() == ""


def widget_of(circuits: list[Seen], theme: str, **left_out: int) -> str:
    return as_html(Overview(circuits, left_out), now=NOW, theme=theme)


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_widget_is_readable_in_every_standing(browser_page: BrowserPage, theme: str, width: int) -> None:
    show(browser_page, widget_of(MIXED, theme, CLOSED=448, OPEN=2), theme=theme, width=width)
    browser_page.picture(f"widget-{theme}-{width}")
    assert_harmless(browser_page)
    assert browser_page.hard_to_read() == []
    assert browser_page.sticking_out() == []
    texts = browser_page.texts()
    assert {one.circuit for one in MIXED} <= set(texts)
    for one in MIXED:
        if one.status and one.status.standing is not Standing.FLOWING:
            assert {text for _, text in as_rows(one.status, now=NOW)} <= set(texts)
        assert not one.trouble or one.trouble in texts
    assert "450 more circuits are not shown: 448 CLOSED, 2 OPEN. make status prints them all." in texts


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_widget_hostile_words_are_shown_as_words(browser_page: BrowserPage, theme: str, width: int) -> None:
    circuits = [seen(f"circuit-{number}", Standing.PAUSED, reason=text) for number, text in enumerate(HOSTILE)]
    circuits += [seen(text[:2000], Standing.GAVE_UP) for text in HOSTILE]
    circuits += [unread(text[:2000], text) for text in HOSTILE]
    show(browser_page, widget_of(circuits, theme), theme=theme, width=width)
    browser_page.picture(f"widget-hostile-{theme}-{width}")
    assert_harmless(browser_page)
    assert browser_page.hard_to_read() == []
    assert browser_page.sticking_out() == []
    texts = browser_page.texts()
    for text in HOSTILE[:5]:
        assert texts.count(text) >= 3, text
    assert "?reversed? ?? ?[2J ? שלום" in texts
    assert sum("(9500 more characters)" in text for text in texts) >= 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "sentence", [NO_CIRCUIT, "The circuits cannot be shown: Scan was answered with <b>Denied</b>."]
)
def test_widget_sentence_is_readable(browser_page: BrowserPage, sentence: str, theme: str) -> None:
    show(browser_page, as_sentence(sentence, theme=theme), theme=theme, width=400)
    assert_harmless(browser_page)
    assert browser_page.texts() == [sentence]
    assert browser_page.hard_to_read() == []
    assert browser_page.sticking_out() == []


def test_widget_as_many_circuits_as_it_shows_are_all_to_be_seen(browser_page: BrowserPage) -> None:
    circuits = [seen(f"circuit-{number}", Standing.FLOWING) for number in range(MAX_CIRCUITS)]
    show(browser_page, widget_of(circuits, "light", CLOSED=500 - MAX_CIRCUITS), theme="light")
    browser_page.picture("widget-many")
    assert {one.circuit for one in circuits} <= set(browser_page.texts())
    assert browser_page.sticking_out() == []


def test_widget_few_circuits_fit_where_the_dashboard_shows_them(browser_page: BrowserPage) -> None:
    circuits = [
        seen("orders", Standing.PAUSED),
        seen("payments", Standing.RECOVERING),
        seen("invoices", Standing.FLOWING),
    ]
    show(browser_page, widget_of(circuits, "light"), theme="light", width=1100, height=470)
    # This is docs/widget.png.
    browser_page.picture("widget")
    (widget,) = [widget for widget in dashboard_widgets() if widget["type"] == "custom"]
    # A row of the dashboard's grid is about 50 pixels high, and the widget's title takes one.
    height = browser_page.page.evaluate("document.querySelector('.cb').getBoundingClientRect().height")
    assert height <= (widget["height"] - 1) * 50


def dashboard_widgets() -> list[dict[str, Any]]:
    body = source_template()["Resources"]["CircuitsDashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    # JSON before anything is filled in, but for the two alarms that there may be.
    widgets: list[dict[str, Any]] = json.loads(re.sub(r"^ +\$\{\w+\}\n", "", body, flags=re.MULTILINE))["widgets"]
    return widgets
