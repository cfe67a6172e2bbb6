"""What tests ask the browser is answered truly: each question also on a page where the answer is bad."""

import pytest

from tests.browser import BrowserPage, chromium


def test_texts_visible_ones_are_told(browser_page: BrowserPage) -> None:
    browser_page.show(
        "<style>p::after {content: 'no'}</style><p>yes <b>and yes</b></p><p hidden>no</p>"
        "<p style='display: none'>no</p><p style='visibility: hidden'>no</p>"
        "<p style='opacity: 0'>no</p><p style='font-size: 0'>no</p>"
        "<div style='height: 5000px'></div><p>far down</p>"
    )
    assert browser_page.texts() == ["yes", "and yes", "far down"]


@pytest.mark.parametrize(
    ("style", "readable"),
    [
        ("color: black", True),
        ("color: #767676", True),  # 4.54:1
        ("color: #777777", False),  # 4.48:1
        ("color: white; background: #000", True),
        ("color: white", False),
        ("color: #000; background: #333", False),
        ("color: oklch(90% 0 0)", False),
        ("color: rgb(0 0 0 / 30%)", False),
        ("color: black; background: rgb(0 0 0 / 90%)", False),
        ("color: black; opacity: 0.5", False),
        ("color: black; background: linear-gradient(black, white)", False),
    ],
)
def test_hard_to_read_low_contrast_is_told(browser_page: BrowserPage, style: str, readable: bool) -> None:
    browser_page.show(f"<body><div style='{style}'><p>the text</p></div>")
    told = browser_page.hard_to_read()
    assert told == [] if readable else ["'the text'" in line for line in told] == [True]


def test_hard_to_read_text_in_the_theme_that_the_page_forgot_is_told(browser_page: BrowserPage) -> None:
    html = "<style>@media (prefers-color-scheme: dark) {body {background: #16191f}}</style><p style='color: black'>text"
    browser_page.show(html)
    assert browser_page.hard_to_read() == []
    browser_page.show(html, dark=True)
    assert len(browser_page.hard_to_read()) == 1


@pytest.mark.parametrize(
    ("html", "told"),
    [
        ("<p>several short words that are wrapped where the page is narrow", []),
        (f"<p>{'x' * 200}", ["x" * 200]),
        (f"<p style='overflow: hidden'>{'x' * 200}", ["x" * 200]),
        ("<p style='margin-left: -60px'>text", ["text"]),
        ("<div style='width: 900px; height: 9px'></div><p>text", ["something without text"]),
    ],
)
def test_sticking_out_what_does_not_fit_is_told(browser_page: BrowserPage, html: str, told: list[str]) -> None:
    browser_page.show(html, width=400)
    assert browser_page.sticking_out() == told


def test_scripts_and_requests_and_dialogs_are_told_and_nothing_is_fetched(browser_page: BrowserPage) -> None:
    browser_page.show(
        "<img src='https://example.com/a.png' onerror='alert(1)'><script>nobody.knows()</script>"
        "<a href=' JavaScript:alert(2)'>go</a><link rel=stylesheet href='http://127.0.0.1:9/b.css'>"
    )
    browser_page.page.wait_for_function("() => document.querySelector('img').complete")
    assert sorted(browser_page.requests) == ["http://127.0.0.1:9/b.css", "https://example.com/a.png"]
    assert browser_page.dialogs == ["1"]
    assert browser_page.errors == ["nobody is not defined"]
    assert browser_page.scripts() == [
        "<script>nobody.knows()</script>",
        "onerror=alert(1)",
        "href= JavaScript:alert(2)",
    ]


def test_picture_is_written(browser_page: BrowserPage) -> None:
    browser_page.show("<p>hello", width=300)
    path = browser_page.picture("browser")
    assert path.read_bytes().startswith(b"\x89PNG")
    path.unlink()


def test_chromium_absent_skips_with_how_to_install_it_but_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt-get install chromium"):
        chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="apt-get install chromium"):
        chromium()
