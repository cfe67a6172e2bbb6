"""Which messages stay hidden while the circuit is open, and which one is tried next."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.holding import (
    HOLD_MARGIN_SECONDS,
    MAX_HOLD_SECONDS,
    MOST_FILTERED,
    SEVERAL,
    HeldMessage,
    hide_for_seconds,
    may_hold_another,
    may_hold_filtered,
    needs_trial,
    next_to_try,
    to_hand_back,
    until_after_next_probe,
)

NOW = 1_772_366_400
TWELVE_HOURS = 43_200


def message(name: str = "m", **changes: int) -> HeldMessage:
    """Return a held message whose content is stored."""
    return replace(
        HeldMessage(name, f"handle of {name}", receive_count=1, hold_ends=NOW + MAX_HOLD_SECONDS, chunks=1), **changes
    )


MESSAGES = st.lists(
    st.builds(
        message,
        st.uuids().map(str),
        receive_count=st.integers(1, 10),
        hold_ends=st.integers(NOW - 10, NOW + MAX_HOLD_SECONDS),
        last_tried=st.integers(0, 3),
        tries=st.integers(0, 5),
        chunks=st.integers(0, 2),
        filtered=st.booleans(),
    ),
    unique_by=lambda held: held.message_id,
    max_size=6,
)


def test_hold_ends_before_sqs_shows_the_message_by_itself() -> None:
    assert TWELVE_HOURS - 60 <= MAX_HOLD_SECONDS < TWELVE_HOURS


def test_next_to_try_prefers_the_one_tried_longest_ago() -> None:
    held = [message("a", last_tried=30), message("b", last_tried=10), message("c", last_tried=20)]
    assert next_to_try(held) is held[1]


def test_next_to_try_never_tried_comes_first() -> None:
    held = [message("a", last_tried=10), message("b", last_tried=0)]
    assert next_to_try(held) is held[1]


def test_next_to_try_without_content_is_none() -> None:
    assert next_to_try([message(chunks=0)]) is None
    assert next_to_try([]) is None


@given(names=st.lists(st.uuids().map(str), min_size=1, max_size=8, unique=True), rounds=st.integers(1, 3))
def test_next_to_try_over_rounds_gives_every_message_its_turn(names: list[str], rounds: int) -> None:
    held = {name: message(name) for name in names}
    turns = []
    for turn in range(len(names) * rounds):
        chosen = next_to_try(list(held.values()))
        assert chosen is not None
        turns.append(chosen.message_id)
        held[chosen.message_id] = replace(chosen, last_tried=NOW + turn)
    assert all(turns.count(name) == rounds for name in names)


def test_may_hold_another_until_there_are_enough() -> None:
    assert may_hold_another([message("a")], max_held=2)
    assert not may_hold_another([message("a"), message("b")], max_held=2)


# Messages that the mapping would drop


def dropped(name: str = "f", **changes: int) -> HeldMessage:
    """Return a held message that the mapping would drop."""
    return message(name, **{"chunks": 0, "filtered": True, **changes})


def test_may_hold_another_counts_no_filtered_ones() -> None:
    assert may_hold_another([message("a"), dropped("b"), dropped("c")], max_held=2)


def test_may_hold_filtered_until_there_are_too_many() -> None:
    held = [dropped(str(number)) for number in range(MOST_FILTERED)]
    assert may_hold_filtered([*held[1:], message("a")])
    assert not may_hold_filtered(held)


def test_next_to_try_is_never_a_filtered_one() -> None:
    assert next_to_try([dropped(chunks=1)]) is None


def test_to_hand_back_is_never_a_filtered_one_which_would_come_again_at_once() -> None:
    held = [dropped("a", last_tried=0), message("b", last_tried=5)]
    assert to_hand_back(held, max_held=1, max_receive_count=5) is held[1]
    assert to_hand_back(held, max_held=2, max_receive_count=5) is None


# A trial of the mapping


def needs(
    held: list[HeldMessage], *, limit: int | None = 5, visible: int = 0, others: int = 0, delayed: int = 0
) -> bool:
    """Return whether a trial is needed, with so many other hidden messages."""
    return needs_trial(
        held, max_receive_count=limit, trial_receives=1, visible=visible, hidden=len(held) + others, delayed=delayed
    )


@pytest.mark.parametrize(
    ("held", "needed"),
    [
        ([message("a", tries=3)], True),
        ([message("a", tries=3), message("b", tries=4)], True),
        # Not tried often enough, or several that all fail: they decide.
        ([message("a", tries=2)], False),
        ([message("a", tries=30), message("b", tries=2)], False),
        ([message(name, tries=30) for name in "abc"], False),
        # The mapping's receive would dead-letter it.
        ([message("a", tries=30, receive_count=5)], False),
        ([message("a", tries=30), message("b", tries=30, receive_count=5)], False),
        # Not stored, so it comes back and is tried again.
        ([message("a", tries=30, chunks=0)], False),
        # What the mapping would drop shows nothing.
        ([dropped()], True),
        ([dropped(receive_count=5)], True),
        ([message("a", tries=3), dropped("b"), dropped("c"), dropped("d")], True),
        ([message("a", tries=2), dropped("b")], False),
        ([], False),
    ],
)
def test_needs_trial_where_few_messages_go_on_failing(held: list[HeldMessage], needed: bool) -> None:
    assert needs(held) is needed


@pytest.mark.parametrize("more", [{"visible": 1}, {"others": 1}, {"delayed": 1}])
def test_needs_trial_other_messages_are_waited_for(more: dict[str, int]) -> None:
    held = [message("a", tries=3)]
    assert needs(held)
    assert not needs(held, **more)


def test_needs_trial_counts_that_lag_behind_are_no_reason_to_wait() -> None:
    assert needs([message("a", tries=3)], others=-1)


@given(held=MESSAGES, limit=st.none() | st.integers(1, 8))
def test_needs_trial_never_costs_a_message_its_last_receive(held: list[HeldMessage], limit: int | None) -> None:
    unfiltered = [each for each in held if not each.filtered]
    if needs(held, limit=limit):
        assert len(unfiltered) < SEVERAL
        assert all(each.has_room(limit) for each in unfiltered)


def test_has_room_receive_count_at_the_maximum_has_none() -> None:
    assert message(receive_count=4).has_room(5)
    assert not message(receive_count=5).has_room(5)
    assert not message(receive_count=6).has_room(5)
    assert message(receive_count=1000).has_room(None)


def test_to_hand_back_while_there_is_room_is_none() -> None:
    assert to_hand_back([message("a")], max_held=2, max_receive_count=5) is None


def test_to_hand_back_full_is_the_one_held_longest() -> None:
    held = [message("a", last_tried=20), message("b", last_tried=10)]
    assert to_hand_back(held, max_held=2, max_receive_count=5) is held[1]


def test_to_hand_back_next_receive_would_dead_letter_is_kept() -> None:
    held = [message("a", receive_count=5, last_tried=1), message("b", receive_count=4, last_tried=2)]
    assert to_hand_back(held, max_held=1, max_receive_count=5) is held[1]
    assert to_hand_back(held[:1], max_held=1, max_receive_count=5) is None
    # It takes no place either.
    assert to_hand_back(held, max_held=2, max_receive_count=5) is None


@given(held=MESSAGES, most=st.integers(1, 5), limit=st.none() | st.integers(1, 8))
def test_to_hand_back_never_dead_letters(held: list[HeldMessage], most: int, limit: int | None) -> None:
    chosen = to_hand_back(held, max_held=most, max_receive_count=limit)
    assert chosen is None or (len(held) >= most and chosen.has_room(limit) and not chosen.filtered)


def test_hide_for_lasts_until_after_the_next_probe() -> None:
    assert (
        hide_for_seconds(message(), now=NOW, longest_wait=120, target_timeout=30, max_receive_count=5)
        == 150 + HOLD_MARGIN_SECONDS
    )


def test_hide_for_ends_with_the_hold() -> None:
    held = message(hold_ends=NOW + 100)
    assert hide_for_seconds(held, now=NOW, longest_wait=120, target_timeout=30, max_receive_count=5) == 100
    assert hide_for_seconds(held, now=NOW + 200, longest_wait=120, target_timeout=30, max_receive_count=5) == 0


def test_hide_for_next_receive_would_dead_letter_lasts_to_the_end_of_the_hold() -> None:
    last = message(receive_count=5, hold_ends=NOW + 5000)
    assert hide_for_seconds(last, now=NOW, longest_wait=120, target_timeout=30, max_receive_count=5) == 5000
    assert hide_for_seconds(last, now=NOW + 6000, longest_wait=120, target_timeout=30, max_receive_count=5) == 0
    assert hide_for_seconds(last, now=NOW, longest_wait=120, target_timeout=30, max_receive_count=None) == 450


def test_until_after_next_probe_is_never_more_than_sqs_allows() -> None:
    assert until_after_next_probe(longest_wait=120, target_timeout=30) == 150 + HOLD_MARGIN_SECONDS
    assert until_after_next_probe(longest_wait=86_400, target_timeout=840) == MAX_HOLD_SECONDS


@given(received=st.integers(0, TWELVE_HOURS), later=st.integers(0, TWELVE_HOURS), wait=st.integers(1, 86_400))
def test_hide_for_never_reaches_12_hours_after_the_receive(received: int, later: int, wait: int) -> None:
    held = message(hold_ends=received + MAX_HOLD_SECONDS)
    now = received + later
    seconds = hide_for_seconds(held, now=now, longest_wait=wait, target_timeout=840, max_receive_count=5)
    assert seconds >= 0
    assert seconds == 0 or now + seconds < received + TWELVE_HOURS
