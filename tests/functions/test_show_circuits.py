"""The dashboard's widget: what it shows, and that nothing AWS answers keeps it from showing the rest."""

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from boto3.dynamodb.types import TypeSerializer

from breaker import clock
from breaker.circuit_table import CircuitTable
from breaker.overview import Overview, look
from breaker.status import Standing, as_rows
from breaker.widget import MAX_CIRCUITS, MAX_TEXT_CHARACTERS, NO_CIRCUIT, as_html
from show_circuits import DOCUMENTATION
from tests.functions.world import TABLE, Context, World
from tests.standings import NOW, seen, unread, unseen

DARK = {"widgetContext": {"theme": "dark", "width": 588, "height": 369}}


def texts(answer: str) -> list[str]:
    """Return the pieces of text of an HTML document, without its style."""
    pieces = re.split(r"<[^>]*>", re.sub(r"<style>.*?</style>", "", answer, flags=re.DOTALL))
    return [html.unescape(piece) for piece in pieces if piece]


def put(world: World, item: dict[str, Any]) -> None:
    """Write an item of the breaker's table."""
    write = TypeSerializer().serialize
    world.dynamodb.put_item(TableName=TABLE, Item={name: write(value) for name, value in item.items()})


def copies(world: World, count: int, **changes: Any) -> list[str]:
    """Register copies of the circuit, which share its parts."""
    (record,) = [item for item in world.items() if item["sk"] == "CIRCUIT" and item["pk"] == "CIRCUIT#orders"]
    names = [f"copy-{number:03}" for number in range(count)]
    for name in names:
        item = {**record, **changes, "pk": f"CIRCUIT#{name}", "circuit": {**record["circuit"], "name": name}}
        put(world, item)
    return names


def test_show_circuits_says_what_make_status_says(world: World) -> None:
    world.send()
    world.open()
    (answer,) = [world.run("show_circuits", DARK)]
    shown = texts(answer)
    assert "orders" in shown
    assert "OPEN (paused)" in shown
    assert "1 OPEN" in shown
    for key, text in as_rows(look(world.record()), now=clock.now()):
        assert key in shown
        assert text in shown
    assert "1 waiting, 0 hidden, 0 delayed" in shown


def test_show_circuits_flowing_circuit_takes_few_lines(world: World) -> None:
    shown = texts(world.run("show_circuits", {}))
    assert "CLOSED (flowing)" in shown
    assert {"since", "why", "queue"} <= set(shown)
    assert not {"incident", "mapping", "mode", "to do"} & set(shown)


def test_show_circuits_flowing_circuit_in_another_mode_says_so(world: World) -> None:
    world.register(Mode="WATCH")
    assert "WATCH" in texts(world.run("show_circuits", {}))


def test_show_circuits_changes_nothing(world: World) -> None:
    world.send()
    world.open()
    before = world.items()
    world.run("show_circuits", {})
    assert world.items() == before
    assert world.mapping_is() == "Disabled"
    assert world.events == []
    assert [message.approximate_receive_count for message in world.messages()] == [0]


@pytest.mark.parametrize(
    ("event", "theme"),
    [
        (DARK, "dark"),
        ({"widgetContext": {"theme": "light"}}, "light"),
        ({"widgetContext": {"theme": "</style><script>"}}, "light"),
        ({"widgetContext": {}}, "light"),
        ({"widgetContext": None}, "light"),
        ({"describe": False}, "light"),
        ({}, "light"),
    ],
)
def test_show_circuits_follows_the_theme(world: World, event: dict[str, Any], theme: str) -> None:
    answer = world.run("show_circuits", event)
    other = world.run("show_circuits", {"widgetContext": {"theme": {"dark": "light", "light": "dark"}[theme]}})
    assert answer == world.run("show_circuits", {"widgetContext": {"theme": theme}})
    assert answer != other
    assert texts(answer) == texts(other)


def test_show_circuits_describe_returns_markdown_and_asks_nothing(world: World) -> None:
    world.refuse(world.dynamodb, "scan", "AccessDeniedException")
    assert world.run("show_circuits", {"describe": True}) == DOCUMENTATION
    assert DOCUMENTATION.startswith("## ")
    assert "<" not in DOCUMENTATION


def test_show_circuits_without_a_circuit_says_so_kindly(world: World) -> None:
    world.table.remove("orders")
    assert texts(world.run("show_circuits", {})) == [NO_CIRCUIT]


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException", "ThrottlingException"])
def test_show_circuits_table_refused_says_so_in_a_sentence(world: World, code: str) -> None:
    world.refuse(world.dynamodb, "scan", code)
    assert texts(world.run("show_circuits", {})) == [f"The circuits cannot be shown: scan was answered with {code}."]


def test_show_circuits_what_cannot_be_looked_at_hides_neither_its_state_nor_the_others(world: World) -> None:
    world.open()
    copies(world, 1, state="HALF_OPEN")
    world.refuse(world.lambda_, "get_event_source_mapping", "AccessDeniedException")
    shown = texts(world.run("show_circuits", {}))
    assert "1 OPEN, 1 HALF_OPEN" in shown
    assert "get_event_source_mapping was answered with AccessDeniedException" in shown
    assert world.record().reason in shown
    assert {"orders", "copy-000"} <= set(shown)
    assert len([head for head in shown if head.startswith(("OPEN", "HALF_OPEN"))]) == 2


def test_show_circuits_mapping_that_is_not_settled_is_shown(world: World) -> None:
    world.mapping_state = "Disabling"
    assert "CLOSED (paused by others)" in texts(world.run("show_circuits", {}))


def test_show_circuits_record_that_cannot_be_read_hides_no_other(world: World) -> None:
    copies(world, 2)
    put(world, {"pk": "CIRCUIT#broken", "sk": "CIRCUIT", "circuit": {"name": "broken"}})
    world.refuse(world.dynamodb, "get_item", "ProvisionedThroughputExceededException", when="copy-001")
    shown = texts(world.run("show_circuits", {}))
    assert "2 CLOSED, 2 unread" in shown
    assert "get_item was answered with ProvisionedThroughputExceededException" in shown
    assert "circuit.target: missing" in shown
    assert shown.count("UNKNOWN") == 2
    assert {"orders", "copy-000", "copy-001", "broken"} <= set(shown)


def test_show_circuits_circuit_removed_meanwhile_is_left_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CircuitTable, "names", lambda table: ["gone", "orders"])
    shown = texts(world.run("show_circuits", {}))
    assert "1 CLOSED" in shown
    assert "gone" not in shown


def test_show_circuits_many_are_cut_and_those_that_are_not_closed_are_shown(world: World) -> None:
    copies(world, MAX_CIRCUITS + 5)
    world.open()
    answer = world.run("show_circuits", {})
    shown = texts(answer)
    assert f"1 OPEN, {MAX_CIRCUITS + 5} CLOSED" in shown
    names = [text for text in shown if text == "orders" or text.startswith("copy-")]
    # By its name it would be the last.
    assert "orders" in names
    assert len(names) == MAX_CIRCUITS
    assert shown[-1] == "6 more circuits are not shown: 6 CLOSED. make status prints them all."


def test_show_circuits_short_of_time_shows_what_the_records_say(world: World) -> None:
    copies(world, 3)
    left = iter([20.0] * 6)
    shown = texts(world.run("show_circuits", {}, context=Context(remaining_seconds=lambda: next(left, 1.0))))
    assert "4 CLOSED" in shown
    assert shown.count("there was no time left to look at its queue and its mapping") == 2
    none_left = Context(remaining_seconds=lambda: 1.0)
    shown = texts(world.run("show_circuits", {}, context=none_left))
    assert shown[-1] == "4 more circuits are not shown: 4 unread. make status prints them all."


# The document itself -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ['"' * 10_000, "<" * 10_000, "🍏" * 10_000, "\x00" * 10_000])
def test_widget_is_small_whatever_it_has_to_say(text: str) -> None:
    circuits = [seen(f"{number}{text}", Standing.GAVE_UP, reason=text) for number in range(MAX_CIRCUITS // 2)]
    circuits += [unseen(f"{number}{text}", Standing.PAUSED, text, reason=text) for number in range(MAX_CIRCUITS // 2)]
    answer = as_html(Overview(circuits, {"CLOSED": 450}), now=NOW, theme="light")
    # As Lambda sends it: a JSON text, here with every character beyond ASCII as an escape.
    assert len(json.dumps(answer)) < 1_000_000


def test_widget_text_is_cut_with_a_word_on_how_much() -> None:
    kept = "x" * MAX_TEXT_CHARACTERS
    for text, shown in ((kept, kept), (kept + "yz", f"{kept}… (2 more characters)")):
        answer = as_html(Overview([seen("orders", Standing.PAUSED, reason=text)]), now=NOW, theme="light")
        assert shown in texts(answer)


def test_widget_what_wants_somebody_comes_first() -> None:
    circuits = [seen(standing.value, standing) for standing in sorted(Standing)]
    circuits += [unread("UNREAD", "denied"), unseen("UNSEEN", Standing.PAUSED, "denied")]
    shown = texts(as_html(Overview(circuits), now=NOW, theme="light"))
    names = [text for text in shown if text in {one.circuit for one in circuits}]
    assert names[:2] == ["GAVE_UP", "WITHOUT_OWNER"]
    assert names[-1] == "FLOWING"
    assert len(names) == len(circuits)


def test_widget_call_to_act_stands_out() -> None:
    gave_up = as_html(Overview([seen("orders", Standing.GAVE_UP)]), now=NOW, theme="light")
    paused = as_html(Overview([seen("orders", Standing.PAUSED)]), now=NOW, theme="light")
    assert 'cb-text cb-act">ACT: ' in gave_up
    assert 'cb-text cb-act">' not in paused


def test_widget_closed_circuit_whose_messages_do_not_flow_is_not_green() -> None:
    one = seen("orders", Standing.PAUSED_BY_OTHERS)
    assert 'class="cb-one cb-green"' not in as_html(Overview([one]), now=NOW, theme="light")
    assert 'class="cb-one cb-green"' in as_html(Overview([seen("orders", Standing.FLOWING)]), now=NOW, theme="light")
    assert 'class="cb-one cb-green"' in as_html(Overview([replace(one, status=None)]), now=NOW, theme="light")
