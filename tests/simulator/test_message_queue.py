import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.message_queue import MOST_IN_FLIGHT, MessageQueue


def make_queue(*, max_receives: int = 3, oldest_first: bool = False) -> MessageQueue:
    return MessageQueue(max_receives, np.random.default_rng(1), oldest_first=oldest_first)


def in_all(queue: MessageQueue) -> int:
    return queue.processed + queue.visible_count + queue.hidden_count + queue.dead_lettered


def test_receive_beyond_max_receives_dead_letters() -> None:
    queue = make_queue(max_receives=2)
    queue.send(10)
    for now in range(2):
        handed = queue.receive(10)
        assert handed[now + 1] == 10
        queue.fail(handed, until=now + 1)
        queue.show_due(now + 1)
    assert sum(queue.receive(10)) == 0
    assert queue.dead_lettered == 10


def test_failed_message_before_its_visibility_timeout_is_hidden() -> None:
    queue = make_queue()
    queue.send(1)
    queue.fail(queue.receive(1), until=30)
    queue.show_due(29)
    assert queue.visible_count == 0
    queue.show_due(30)
    assert queue.visible == [0, 1, 0, 0]


def test_receive_at_the_in_flight_limit_gives_nothing() -> None:
    queue = make_queue()
    queue.send(MOST_IN_FLIGHT + 10)
    assert sum(queue.receive(MOST_IN_FLIGHT + 10)) == MOST_IN_FLIGHT
    assert sum(queue.receive(10)) == 0


def test_receive_oldest_first_prefers_what_was_received_before() -> None:
    queue = make_queue(oldest_first=True)
    queue.send(5)
    queue.fail(queue.receive(5), until=1)
    queue.send(5)
    queue.show_due(1)
    assert queue.receive(5) == [0, 0, 5, 0]


@pytest.mark.parametrize("oldest_first", [True, False])
@given(
    moves=st.lists(
        st.tuples(st.sampled_from(["send", "receive", "fail"]), st.integers(min_value=0, max_value=50)), max_size=60
    )
)
def test_queue_after_any_moves_holds_every_message_once(*, moves: list[tuple[str, int]], oldest_first: bool) -> None:
    queue = make_queue(oldest_first=oldest_first)
    for now, (move, count) in enumerate(moves):
        queue.show_due(now)
        if move == "send":
            queue.send(count)
        else:
            bad, good = queue.split(handed := queue.receive(count), count // 2 if move == "receive" else count)
            assert [b + g for b, g in zip(bad, good, strict=True)] == handed
            queue.fail(bad, until=now + 3)
            queue.process(sum(good))
        assert in_all(queue) == queue.sent
        assert sum(queue.visible) == queue.visible_count
        assert min(queue.visible) >= 0
