"""A real browser for tests that look at HTML: chromium, driven by Playwright. Nothing that a page asks for is fetched.

    def test_report_is_readable(browser_page: BrowserPage) -> None:
        browser_page.show(html, width=400)
        assert browser_page.scripts() == browser_page.requests == browser_page.dialogs == []
        assert browser_page.hard_to_read() == []
        browser_page.picture("report")

Where there is no chromium such a test is skipped, but with CI=true in the environment it fails. CHROMIUM names another
browser of its kind.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PICTURES = Path(__file__).resolve().parent.parent / ".lab" / "pictures"
"""Where `BrowserPage.picture` puts its pictures."""

# https://www.w3.org/TR/WCAG22/#contrast-minimum
READABLE_CONTRAST = 4.5

_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_HOW_TO_INSTALL = "there is no chromium: apt-get install chromium, or name one by CHROMIUM=/path/to/chrome"

# The walk through the page is one, so that what is invisible is invisible to all of them.
_PIECES = """
const pieces = () => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, element = node.parentElement;
    if (!node.textContent.trim() || element.closest("style, script, template, noscript")) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const boxes = [...range.getClientRects()].filter(box => box.width > 0 && box.height > 0);
    if (boxes.length) found.push({text: node.textContent.trim(), element, boxes});
  }
  return found;
};
"""

_TEXTS = "() => {" + _PIECES + "return pieces().map(piece => piece.text); }"

# Colours are painted onto a canvas to read them: that understands every notation of CSS, and mixes what is translucent.
_CONTRASTS = (
    "() => {"
    + _PIECES
    + """
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const brush = canvas.getContext("2d", {willReadFrequently: true});
  const paint = colours => {
    brush.globalAlpha = 1;
    brush.fillStyle = "white";
    brush.fillRect(0, 0, 1, 1);
    for (const colour of colours) {
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
    }
    return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = rgb => {
    const [r, g, b] = rgb.map(part => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return pieces().map(({text, element}) => {
    const behind = [];
    let painted = "", opacity = 1;
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage !== "none") painted = style.backgroundImage;
      opacity *= Number(style.opacity);
      behind.unshift(style.backgroundColor);
    }
    const colour = getComputedStyle(element).color;
    const back = luminance(paint(behind)), front = luminance(paint([...behind, colour]));
    const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
    return {text, colour, background: behind.at(-1), ratio, painted, opacity};
  });
}"""
)

_STICKING_OUT = (
    "() => {"
    + _PIECES
    + """
  const width = document.documentElement.clientWidth;
  const found = [];
  for (const {text, element, boxes} of pieces()) {
    const out = boxes.some(box => box.right > width + 1 || box.left < -1);
    // Text that is cut off by a box around it is as good as not there.
    let cut = false;
    for (let at = element; at && at !== document.documentElement; at = at.parentElement) {
      const hidden = getComputedStyle(at).overflowX !== "visible" && at !== document.body;
      if (hidden && at.scrollWidth > at.clientWidth + 1) cut = true;
    }
    if (out || cut) found.push(text);
  }
  if (!found.length && document.documentElement.scrollWidth > width) found.push("something without text");
  return found;
}"""
)

_SCRIPTS = """() => {
  const found = [...document.querySelectorAll("script, iframe, object, embed, use, foreignObject")].map(
    element => element.outerHTML
  );
  for (const element of document.querySelectorAll("*"))
    for (const {name, value} of element.attributes)
      if (name.startsWith("on") || /^\\s*(javascript|data|vbscript):/i.test(value)) found.push(`${name}=${value}`);
  return found;
}"""


@dataclass
class BrowserPage:
    """A page of a browser that is cut off from the net.

    Attributes
    ----------
    page
        Playwright's own page, for whatever else a test wants to see.
    requests
        Addresses that the page asked for. None was fetched.
    dialogs
        What the page said in dialogs.
    errors
        Errors of scripts.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note from now on what the page does."""

        def refuse(route: Any) -> None:
            self.requests.append(route.request.url)
            route.abort()

        def dismiss(dialog: Any) -> None:
            self.dialogs.append(dialog.message)
            dialog.dismiss()

        self.page.route("**/*", refuse)
        self.page.on("dialog", dismiss)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def show(self, html: str, *, width: int = 1000, height: int = 700, dark: bool = False) -> None:
        """Show a document, as for somebody whose system prefers dark colours, or not."""
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.set_content(html, wait_until="load")

    def texts(self) -> list[str]:
        """Return every piece of text that can be seen, scrolling allowed, as written in the document."""
        found: list[str] = self.page.evaluate(_TEXTS)
        return found

    def hard_to_read(self, least: float = READABLE_CONTRAST) -> list[str]:
        """Return the texts whose contrast to what is behind them is too low, or cannot be told."""
        return [
            f"{piece['text'][:60]!r}: {piece['colour']} on {piece['background']} {piece['painted']}"
            f" at opacity {piece['opacity']}: {piece['ratio']:.2f}"
            for piece in self.page.evaluate(_CONTRASTS)
            if piece["ratio"] < least or piece["painted"] or piece["opacity"] < 1
        ]

    def sticking_out(self) -> list[str]:
        """Return the texts that reach beyond the page's left or right edge, or are cut off there."""
        found: list[str] = self.page.evaluate(_STICKING_OUT)
        return found

    def scripts(self) -> list[str]:
        """Return what could run, or bring something into the page that does: elements and attributes."""
        found: list[str] = self.page.evaluate(_SCRIPTS)
        return found

    def picture(self, name: str) -> Path:
        """Write a picture of the whole page to `.lab/pictures/<name>.png`."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        path = PICTURES / f"{name}.png"
        self.page.screenshot(path=path, full_page=True, animations="disabled")
        return path


def chromium() -> str:
    """Return the path of the browser. Skips the test where there is none, but fails it in CI."""
    named = os.environ.get("CHROMIUM", "")
    found = shutil.which(named or "chromium")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(_HOW_TO_INSTALL, pytrace=False)
        pytest.skip(_HOW_TO_INSTALL)
    return found


# One for a module: starting it takes longer than a test, and it must be gone before a test that runs an event loop.
@pytest.fixture(scope="module")
def _browser() -> Iterator[Any]:
    path = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture
def browser_page(_browser: Any) -> Iterator[BrowserPage]:
    """An empty page, with nothing of any other test's."""
    context = _browser.new_context(offline=True, locale="en-GB", timezone_id="UTC")
    try:
        shown = BrowserPage(context.new_page())
        shown.listen()
        yield shown
    finally:
        context.close()
