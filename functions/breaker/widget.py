"""The circuits as HTML for a CloudWatch dashboard, in its light or dark theme.

Pure. Everything that comes from a circuit is cut, made printable and escaped: names and reasons are other people's
words. No colour says what no word says, and each stands on a background of our own, whatever the console's may be.
"""

from collections.abc import Mapping
from datetime import datetime
from html import escape

from breaker import clock
from breaker.circuit_table import CircuitState
from breaker.overview import Overview, Seen
from breaker.status import Standing, as_moment, as_rows, headline, printable

# The widget's text fields are for a glance. `make status` has the whole.
MAX_TEXT_CHARACTERS = 500
# CloudWatch states no limit for an answer; at most so many are read at a glance, and they stay far below 1 MB.
MAX_CIRCUITS = 50

NO_CIRCUIT = (
    "No circuit is registered with this breaker yet. Deploying the breaker's stack registers one, and attach.yaml more."
)

# What wants a person comes first, what is well last. None: what could not be looked at.
_ORDER = (
    Standing.GAVE_UP,
    Standing.WITHOUT_OWNER,
    None,
    Standing.PAUSED_BY_OTHERS,
    Standing.OPENING,
    Standing.PAUSED,
    Standing.HELD_OPEN,
    Standing.CLOSING,
    Standing.RECOVERING,
    Standing.BEING_REMOVED,
    Standing.FLOWING,
)
_OF_A_FLOWING_ONE = {"since", "why", "queue"}

_COLOUR_OF = {CircuitState.OPEN: "red", CircuitState.HALF_OPEN: "amber", CircuitState.CLOSED: "green"}
_COLOURS = {
    "light": {"back": "#ffffff", "text": "#16191f", "quiet": "#545b64", "line": "#b6bec9", "loud": "#b00020"},
    "dark": {"back": "#161d26", "text": "#ebebf0", "quiet": "#b4b4bb", "line": "#596678", "loud": "#ff9d96"},
}
_STYLE = """
.cb { background: %(back)s; color: %(text)s; padding: 8px; font: 14px/1.45 "Amazon Ember", Arial, sans-serif; }
.cb * { box-sizing: border-box; }
.cb p { margin: 0 0 8px; color: %(text)s; font: inherit; overflow-wrap: anywhere; }
.cb-list { display: grid; gap: 8px; grid-template-columns: repeat(auto-fill, minmax(min(100%%, 400px), 1fr)); }
.cb-list { align-items: start; margin-bottom: 8px; }
.cb-one { border: 1px solid %(line)s; border-left-width: 6px; border-radius: 4px; padding: 8px 10px; min-width: 0; }
.cb-red { border-left-color: #c22d2d; }
.cb-amber { border-left-color: #d9a400; }
.cb-green { border-left-color: #1d8102; }
.cb-head { display: inline-block; margin-right: 8px; border-radius: 3px; padding: 1px 7px; }
.cb-head { font-size: 12px; font-weight: bold; }
.cb-red .cb-head { background: #b3261e; color: #ffffff; }
.cb-amber .cb-head { background: #f2c200; color: #16191f; }
.cb-green .cb-head { background: #1a7302; color: #ffffff; }
.cb-grey .cb-head { background: #545b64; color: #ffffff; }
.cb-name { font-weight: bold; overflow-wrap: anywhere; unicode-bidi: isolate; }
.cb-rows { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 1px 12px; margin-top: 6px; }
.cb-key { color: %(quiet)s; }
.cb-text { overflow-wrap: anywhere; unicode-bidi: isolate; min-width: 0; }
.cb-act { color: %(loud)s; font-weight: bold; }
"""


def as_html(overview: Overview, *, now: datetime, theme: str) -> str:
    """Return the circuits as HTML.

    Parameters
    ----------
    theme
        "dark" for the console's dark theme; anything else is light.
    """
    seen = sorted(overview.seen, key=_rank)
    if not seen and not overview.left_out:
        return as_sentence(NO_CIRCUIT, theme=theme)
    circuits = "".join(_circuit(one, now) for one in seen)
    left_out = f"<p>{escape(_left_out(overview.left_out))}</p>" if overview.left_out else ""
    return _page(f'<p>{_summary(overview, now)}</p><div class="cb-list">{circuits}</div>{left_out}', theme)


def as_sentence(sentence: str, *, theme: str) -> str:
    """Return one sentence in place of the circuits."""
    return _page(f"<p>{_text(sentence)}</p>", theme)


def _page(content: str, theme: str) -> str:
    style = _STYLE % _COLOURS["dark" if theme == "dark" else "light"]
    return f'<style>{style}</style><div class="cb">{content}</div>'


def _rank(one: Seen) -> tuple[int, str]:
    return _ORDER.index(one.status.standing if one.status else None), one.circuit


def _summary(overview: Overview, now: datetime) -> str:
    states = [one.record.state.value if one.record else "unread" for one in overview.seen]
    for state, more in overview.left_out.items():
        states += [state] * more
    counts = [
        f"{states.count(state)} {state}" for state in ("OPEN", "HALF_OPEN", "CLOSED", "unread") if state in states
    ]
    return f"<b>{', '.join(counts)}</b> at {clock.iso(now)}"


def _left_out(left_out: Mapping[str, int]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in left_out.items())
    return f"{sum(left_out.values())} more circuits are not shown: {counts}. make status prints them all."


def _circuit(one: Seen, now: datetime) -> str:
    if one.record is None:
        return _card("grey", "UNKNOWN", one.circuit, [("trouble", one.trouble)])
    state = one.record.state
    if one.status is None:
        rows = [("since", as_moment(one.record.since, now=now)), ("why", one.record.reason), ("trouble", one.trouble)]
        return _card(_COLOUR_OF[state], state.value, one.circuit, rows)
    rows = as_rows(one.status, now=now)
    if one.status.standing is Standing.FLOWING:
        watched = one.status.mode != "ACTIVE" or one.status.mode_by_hand
        rows = [row for row in rows if row[0] in _OF_A_FLOWING_ONE or (row[0] == "mode" and watched)]
    elif state is CircuitState.CLOSED:
        return _card("amber", headline(one.status), one.circuit, rows)
    return _card(_COLOUR_OF[state], headline(one.status), one.circuit, rows)


def _card(colour: str, head: str, name: str, rows: list[tuple[str, str]]) -> str:
    lines = "".join(
        f'<span class="cb-key">{escape(key)}</span><span class="cb-text{_loud(key, text)}">{_text(text)}</span>'
        for key, text in rows
    )
    return (
        f'<div class="cb-one cb-{colour}"><span class="cb-head">{escape(head)}</span>'
        f'<span class="cb-name">{_text(name)}</span><div class="cb-rows">{lines}</div></div>'
    )


def _loud(key: str, text: str) -> str:
    return " cb-act" if key == "trouble" or (key == "to do" and text.startswith("ACT")) else ""


def _text(text: str) -> str:
    shown = printable(text[:MAX_TEXT_CHARACTERS])
    more = len(text) - MAX_TEXT_CHARACTERS
    return escape(shown + (f"… ({more} more characters)" if more > 0 else ""))
