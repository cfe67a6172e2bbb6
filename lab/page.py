"""The report of an outage as one HTML page: nothing is fetched, and everything that was not written here is escaped.

Its charts stretch to the page's width while their words, which are HTML, do not. So it can be read on a telephone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from lab.clock import clock_text
from lab.mailbox import Heard
from lab.outage import OutageResult
from lab.page_style import STYLE
from lab.picture import bands, failures_per_bin, processed_per_bin
from lab.summary import rows

# The charts' own width; the page stretches it.
_WIDTH, _HEIGHT = 1000.0, 100.0
_BIN_SECONDS = 10.0
_HEADROOM = 1.08
# At most so many labels below a chart. Every second one goes where the page is narrow.
_MOST_TICKS = 9
_STATES = {
    "CLOSED": "good", "Enabled": "good", "OK": "good", "OPEN": "bad", "Disabled": "bad", "ALARM": "bad",
    "HALF_OPEN": "between", "Enabling": "between", "Disabling": "between", "Updating": "between",
}  # fmt: skip
# What null means in the report, where it is not that nobody knows.
_NOTHING = {"redrive": "none", "closed_at": "not yet"}
_LANES = (("circuit", "circuit"), ("mapping", "consumer"), ("alarm", "alarm"))


def write_page(result: OutageResult, notices: Sequence[Heard], events: Sequence[Heard], path: Path) -> Path:
    """Write the page to ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(result, notices, events), encoding="utf-8")
    return path


def page(result: OutageResult, notices: Sequence[Heard], events: Sequence[Heard]) -> str:
    """Return the page."""
    broken = result.broken_promises()
    sections = (
        ("What happened", _story(result)),
        ("In pictures", _charts(result)),
        ("In figures", _figures(result)),
        ("What must be true", _promises(result)),
        ("Moment by moment", _timeline(result)),
        ("What was told", _notices(result, notices)),
        ("The incident's report", _report(result, events)),
    )
    title = f"An outage of {_minutes(result.plan.outage)}"
    verdict = f"{_times(len(broken), 'promise')} broken" if broken else "Every promise was kept"
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
            f"<header><h1>{title}</h1>",
            f'<p class="verdict {"broken" if broken else "kept"}">{verdict}</p></header>',
            *(f"<section>\n<h2>{heading}</h2>\n{body}\n</section>" for heading, body in sections),
            f"<footer><p>Times are as on AWS. They were measured on one machine, {result.scale} times faster, against"
            " an emulated cloud.</p></footer>\n</main>\n</body>\n</html>\n",
        ]
    )


# In words -----------------------------------------------------------------------------------------------------------


def _story(result: OutageResult) -> str:
    return "<p>" + " ".join(escape(sentence) for sentence in sentences(result)) + "</p>"


def sentences(result: OutageResult) -> Iterator[str]:
    """What happened, in plain words."""
    times, account = result.milestones, result.account
    yield f"{account.sent} orders were sent, about {result.plan.rate:g} a second."
    yield f"The service behind the consumer was down from {clock_text(times.broken)} to {clock_text(times.fixed)}."
    if times.paused is None:
        yield f"The circuit never opened, and {result.failed_calls} calls failed."
    else:
        yield f"The breaker had paused the consumer at {clock_text(times.paused)}."
        if times.time_to_open is not None:
            yield f"That was {times.time_to_open:.0f} s after the first failed call."
        yield f"From then on orders waited in the queue, {max(sample.depth for sample in result.samples)} at the most."
        yield f"The breaker tried the consumer {_times(result.probes, 'time')}."
        yield f"In all, {_times(result.failed_calls, 'call')} failed."
        if times.fix_to_flowing is not None:
            yield f"Messages flowed again {times.fix_to_flowing:.0f} s after the service was mended."
        if times.fix_to_drained is not None:
            yield f"The backlog was worked off after {_minutes(times.fix_to_drained)}."
        if times.fix_to_closed is not None:
            yield f"What followed was watched, and good: the incident ended after {_minutes(times.fix_to_closed)}."
    yield (
        f"{len(account.processed)} orders were processed, {len(account.dead_lettered)} dead-lettered,"
        f" {len(account.lost)} lost."
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def _times(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


# In pictures --------------------------------------------------------------------------------------------------------


def _charts(result: OutageResult) -> str:
    end = result.samples[-1].at or 1.0
    legend = (
        '<p class="legend"><span class="key outage"></span>the service is down. Dashed: the consumer is paused,'
        " and runs again.</p>"
    )
    return "\n".join([legend, _rates(result, end), _failures(result, end), _depths(result, end), _lanes(result, end)])


def _rates(result: OutageResult, end: float) -> str:
    starts, processed = processed_per_bin(result.samples, end)
    top = max([*processed, result.plan.rate]) * _HEADROOM
    points = [(0.0, 0.0)]
    for start, value in zip(starts, processed, strict=True):
        points += [(start, value), (start + _BIN_SECONDS, value)]
    points.append((points[-1][0], 0.0))
    shapes = [
        f'<polygon class="good area" points="{_points(points, end, top)}"/>',
        f'<polyline class="sent line" points="{_points([(0, result.plan.rate), (end, result.plan.rate)], end, top)}"/>',
    ]
    legend = '<span class="key good"></span>processed <span class="key sent"></span>sent'
    return _chart("Orders a second", legend, shapes, result, end, top)


def _failures(result: OutageResult, end: float) -> str:
    bins = max(1, int(end // _BIN_SECONDS))
    counted = failures_per_bin(result.failed_by_second, bins, _BIN_SECONDS)
    top = max([*counted, 1]) * _HEADROOM
    shapes = [_bar(place * _BIN_SECONDS, count, end, top) for place, count in enumerate(counted) if count]
    legend = '<span class="key bad"></span>failed'
    return _chart(f"Failed calls in {_BIN_SECONDS:.0f} s", legend, shapes, result, end, top)


def _depths(result: OutageResult, end: float) -> str:
    samples = result.samples
    top = max([*(sample.depth for sample in samples), 1]) * _HEADROOM
    depth = [(sample.at, float(sample.depth)) for sample in samples]
    hidden = [(sample.at, float(sample.in_flight + sample.delayed)) for sample in samples]
    shapes = [
        f'<polygon class="wait area" points="{_points([(depth[0][0], 0), *depth, (depth[-1][0], 0)], end, top)}"/>',
        f'<polyline class="between line" points="{_points(hidden, end, top)}"/>',
    ]
    legend = '<span class="key wait"></span>in the queue <span class="key between"></span>of these hidden'
    return _chart("Messages waiting", legend, shapes, result, end, top)


def _lanes(result: OutageResult, end: float) -> str:
    shown = []
    for attribute, name in _LANES:
        stretches = [
            f'<rect class="{_STATES.get(state, "unknown")}" x="{_x(start, end)}" y="{_lane_top(state)}"'
            f' width="{_x(stop - start, end)}" height="{100 - _lane_top(state)}">'
            f"<title>{escape(f'{state} from {clock_text(start)}')}</title></rect>"
            for start, stop, state in bands(result.samples, attribute, end)
        ]
        svg = f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">{"".join(stretches)}</svg>'
        shown.append(f'<div class="lane"><span class="lane-name">{name}</span><div class="plot">{svg}</div></div>')
    legend = (
        '<span class="key good"></span>CLOSED, Enabled, OK <span class="key bad"></span>OPEN, Disabled, ALARM'
        ' <span class="key between"></span>HALF_OPEN, changing <span class="key unknown"></span>no data'
    )
    return (
        f'<figure class="lanes"><figcaption><b>States</b> <span class="legend">{legend}</span></figcaption>'
        f"{''.join(shown)}{_ticks(end)}</figure>"
    )


def _lane_top(state: str) -> int:
    # The worse, the higher: colours alone do not tell everybody.
    return {"bad": 0, "between": 35, "good": 65}.get(_STATES.get(state, ""), 85)


def _chart(title: str, legend: str, shapes: Sequence[str], result: OutageResult, end: float, top: float) -> str:
    times = result.milestones
    outage = (
        f'<rect class="outage" x="{_x(times.broken, end)}" y="0" width="{_x(times.fixed - times.broken, end)}"'
        ' height="100"/>'
    )
    marks = "".join(
        f'<line class="mark {kind}" x1="{_x(at, end)}" x2="{_x(at, end)}" y1="0" y2="100"/>'
        for at, kind in ((times.paused, "bad"), (times.flowing, "good"))
        if at is not None
    )
    # The scale leaves some room above the greatest.
    greatest = f"{top / _HEADROOM:.0f}" if top >= 100 else f"{top / _HEADROOM:.3g}"
    return (
        f'<figure><figcaption><b>{title}</b> <span class="legend">{legend}</span></figcaption>'
        f'<div class="plot tall"><span class="top">{greatest}</span>'
        f'<svg viewBox="0 0 1000 100" preserveAspectRatio="none" role="img" aria-label="{escape(title)}, {greatest} at'
        f' the most">{outage}{"".join(shapes)}{marks}</svg></div>{_ticks(end)}</figure>'
    )


def _ticks(end: float) -> str:
    step = next((step for step in (60, 120, 300, 600, 1200, 3600) if end / step <= _MOST_TICKS), end / _MOST_TICKS)
    places = [number * step for number in range(int(end // step) + 1)]
    # One at the very edge would stick out.
    labels = [f'<span style="left:{100 * at / end:.2f}%">{clock_text(at)}</span>' for at in places if at < end * 0.96]
    return f'<div class="ticks">{"".join(labels)}</div>'


def _bar(at: float, count: float, end: float, top: float) -> str:
    height = _HEIGHT * count / top
    return (
        f'<rect class="bad" x="{_x(at, end)}" y="{_HEIGHT - height:.2f}" width="{_x(_BIN_SECONDS * 0.85, end)}"'
        f' height="{height:.2f}"/>'
    )


def _points(points: Sequence[tuple[float, float]], end: float, top: float) -> str:
    return " ".join(f"{_x(at, end)},{_HEIGHT - _HEIGHT * value / top:.2f}" for at, value in points)


def _x(seconds: float, end: float) -> str:
    return f"{_WIDTH * min(seconds, end) / end:.2f}"


# In figures ---------------------------------------------------------------------------------------------------------


def _figures(result: OutageResult) -> str:
    lines = [
        f'<tr><th scope="row">{escape(name)}</th><td class="number">{escape(value)}</td><td>{escape(remark)}</td></tr>'
        for name, value, remark in filter(None, rows(result))
    ]
    return f'<table class="figures"><tbody>{"".join(lines)}</tbody></table>'


def _promises(result: OutageResult) -> str:
    lines = [
        f'<li class="{"broken" if promise.broken else "kept"}"><b>{"broken" if promise.broken else "kept"}</b>'
        f" {escape(promise.name)}.{' ' + escape(promise.broken) if promise.broken else ''}</li>"
        for promise in result.promises()
    ]
    return f'<ul class="promises">{"".join(lines)}</ul>'


def _timeline(result: OutageResult) -> str:
    # The steps of the state machine are many, and each has left its trace in something else.
    lines = [
        f'<tr><td class="number">{clock_text(change.at)}</td><td>{escape(change.subject)}</td>'
        f"<td>{escape(change.text)}</td></tr>"
        for change in result.changes
        if change.subject != "step"
    ]
    head = '<thead><tr><th class="number">at</th><th class="what">what</th><th>how</th></tr></thead>'
    return f"<table>{head}<tbody>{''.join(lines)}</tbody></table>"


def _notices(result: OutageResult, notices: Sequence[Heard]) -> str:
    if not notices:
        return "<p>No notification was sent.</p>"
    return "\n".join(
        f"<details{' open' if notice is notices[-1] else ''}>"
        f'<summary><span class="number">{clock_text(_at(result, notice))}</span> {escape(notice.subject)}</summary>'
        f"{_letter(notice.message)}</details>"
        for notice in notices
    )


def _letter(message: str) -> str:
    """A notification's message: its paragraphs, and the event's fields at its end as they are."""
    *paragraphs, fields = message.split("\n\n")
    return "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs) + f"<pre>{escape(fields)}</pre>"


def _report(result: OutageResult, events: Sequence[Heard]) -> str:
    reported = [event for event in events if "report" in event.event.get("detail", {})]
    if not reported:
        return "<p>No incident has ended, so there is no report.</p>"
    return _note(result) + "\n".join(_reported(result, event) for event in reported)


def _note(result: OutageResult) -> str:
    return (
        f"<p>This is the event that ends the incident, as it came. Its clock is this machine's: multiply its durations"
        f" by {result.scale} for what they would be on AWS. The emulated cloud has no metrics of queues, so what"
        " CloudWatch would say of them is unknown here.</p>"
    )


def _reported(result: OutageResult, event: Heard) -> str:
    report: Mapping[str, Any] = event.event["detail"]["report"]
    lines = []
    for name, value in report.items():
        text = _value(value, _NOTHING.get(name, "not known"))
        lines.append(f'<tr><th scope="row">{escape(name.replace("_", " "))}</th><td>{escape(text)}</td></tr>')
    whole = json.dumps(event.event, indent=2, ensure_ascii=False)
    return (
        f"<p>At {clock_text(_at(result, event))}:</p>"
        f'<table class="report"><tbody>{"".join(lines)}</tbody></table>'
        f"<details><summary>The whole event</summary><pre>{escape(whole)}</pre></details>"
    )


def _value(value: Any, nothing: str = "not known") -> str:
    if value is None:
        return nothing
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_value(inner)}" for name, inner in value.items())
    return str(value)


def _at(result: OutageResult, heard: Heard) -> float:
    return (heard.at - result.began) * result.scale
