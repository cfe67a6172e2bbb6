from simulator.poller import AWS, LAB, Mapping, Poller
from simulator.rules import MAPPING_CHANGE_SECONDS


def grown(seconds: int, *, limit: int = 0) -> Poller:
    poller = Poller(AWS, slows_down=False)
    for second in range(seconds):
        poller.calls(second, busy=0, limit=limit, takes=1.0)
        poller.after(calls=1, failed=0, waiting=1000)
    return poller


def test_poller_at_the_start_runs_five_calls() -> None:
    assert Poller(AWS, slows_down=False).calls(0, busy=0, limit=0, takes=1.0) == 5


def test_poller_with_backlog_grows_by_300_a_minute_up_to_1250() -> None:
    assert grown(60).concurrency == 305
    assert grown(600).concurrency == 1250


def test_poller_with_maximum_concurrency_stays_below_it() -> None:
    poller = grown(600, limit=7)
    assert poller.calls(600, busy=0, limit=7, takes=1.0) == 7
    assert poller.calls(600, busy=5, limit=7, takes=1.0) == 2


def test_poller_with_partial_batch_response_keeps_its_pace_on_errors_and_without_it_slows_down() -> None:
    concurrency = []
    for slows_down in (False, True):
        poller = Poller(AWS, slows_down=slows_down)
        for _ in range(120):
            poller.after(calls=5, failed=5, waiting=0)
        concurrency.append(poller.concurrency)
    assert concurrency == [5, 2]


def test_lab_poller_after_a_failed_call_rests() -> None:
    poller = Poller(LAB, slows_down=False)
    poller.failed(100)
    assert poller.calls(105, busy=0, limit=0, takes=1.0) == 0
    assert poller.calls(111, busy=0, limit=0, takes=1.0) == 5


def test_lab_poller_whose_calls_fail_at_once_uses_what_is_free_once() -> None:
    poller = Poller(LAB, slows_down=False)
    assert poller.calls(100, busy=2, limit=0, takes=0.2, failing=True) == 3
    assert poller.calls(100, busy=2, limit=0, takes=0.2) == 15


def test_mapping_that_is_disabling_polls_on_aws_until_it_has_changed() -> None:
    mapping = Mapping(AWS, 0)
    mapping.change(100, enabled=False, limit=0)
    assert mapping.polls(101)
    assert mapping.settle(100 + MAPPING_CHANGE_SECONDS)
    assert not mapping.polls(100 + MAPPING_CHANGE_SECONDS)
