import json
from datetime import UTC, datetime, timedelta

from lab.ownership import Ownership, owned_at_once, ownership_of

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds):
    return START + timedelta(seconds=seconds)


def left_open_circuit(seconds, *, ours):
    output = json.dumps({"circuit": {}, "claim": {"ours": ours}})
    return {"timestamp": at(seconds), "stateExitedEventDetails": {"name": "OpenCircuit", "output": output}}


def entered(seconds, name):
    return {"timestamp": at(seconds), "stateEnteredEventDetails": {"name": name}}


def test_execution_that_could_not_claim_owned_nothing():
    events = [entered(0, "OpenCircuit"), left_open_circuit(1, ours=False), entered(1, "NotOurs")]
    assert ownership_of("one", events, at(2)) is None


def test_ownership_ends_where_the_claim_is_released_or_the_execution_ends():
    claimed = [entered(0, "OpenCircuit"), left_open_circuit(1, ours=True), entered(1, "ConfirmPaused")]
    assert ownership_of("one", claimed, at(9)) == Ownership("one", at(1), at(9))
    assert ownership_of("one", claimed, None) == Ownership("one", at(1), None)
    assert ownership_of("one", [*claimed, entered(5, "EndIncident")], at(9)) == Ownership("one", at(1), at(5))


def test_owners_one_after_the_other_are_in_order():
    assert owned_at_once([Ownership("two", at(5), at(9)), Ownership("one", at(0), at(5))]) == []


def test_owners_at_once_are_found():
    one, two = Ownership("one", at(0), at(6)), Ownership("two", at(5), None)
    assert owned_at_once([two, one]) == [(one, two)]
    assert owned_at_once([Ownership("one", at(0), None), two]) != []
