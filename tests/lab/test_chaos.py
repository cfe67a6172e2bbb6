from dataclasses import replace

import pytest

from lab.accounting import settle
from lab.chaos import Outcome
from lab.chaos_plan import Blow
from lab.orders import Sent
from tests.lab.test_ownership import Ownership, at

SENT = [Sent(f"o{n}", f"m{n}", 0.0) for n in range(3)]
SETTINGS = {"BatchSize": 5, "ScalingConfig": {"MaximumConcurrency": 7}}
WELL = Outcome(
    injected={("sqs", "latency"): 3},
    blows={Blow.ALARM_TWICE: 1},
    missed={},
    calm_after=12.0,
    circuit="CLOSED",
    mapping="Enabled",
    running=0,
    settings_before=SETTINGS,
    settings_after=SETTINGS,
    owners=(Ownership("one", at(0), at(5)), Ownership("two", at(6), at(9))),
    account=settle(SENT, [], ["o0", "o1", "o2"], []),
)
PROCESSED = settle(SENT, [], [], [])


def well(**changes):
    account = replace(WELL.account, processed=frozenset({"o0", "o1", "o2"}), waiting=frozenset())
    return replace(WELL, **{"account": account, **changes})


def test_run_in_which_all_came_right_breaks_no_promise():
    assert well().broken_promises() == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"injected": {}}, "did not pass through the proxy"),
        ({"blows": {}}, "No blow fell"),
        ({"calm_after": None, "circuit": "OPEN", "mapping": "Disabled"}, "the circuit is OPEN, the mapping Disabled"),
        (
            {"settings_after": {"BatchSize": 5}},
            "ScalingConfig is None, and its owner had set {'MaximumConcurrency': 7}",
        ),
        ({"owners": (Ownership("one", at(0), at(7)), Ownership("two", at(6), None))}, "at once: one and two"),
        ({"account": replace(PROCESSED, processed=frozenset({"o0"}), lost=frozenset({"o1", "o2"}))}, "2 of 3 orders"),
        ({"account": WELL.account}, "the ledger is empty"),
    ],
)
def test_broken_promise_is_said_in_a_sentence(changes, sentence):
    [said] = well(**changes).broken_promises()
    assert sentence in said
