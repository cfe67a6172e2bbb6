import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.accounting import LedgerEntry, ReceiveLog, order_id_of, settle
from lab.emulator import WaitingMessage
from lab.orders import Sent
from lab.outage import ExecutionReport, Milestones, OutagePlan, OutageResult

SENT = [Sent(f"o{n}", f"m{n}", float(n)) for n in range(5)]


def test_settle_puts_every_order_in_its_place():
    ledger = [LedgerEntry("m0", "o0"), LedgerEntry("m1", "o1", times=3)]
    account = settle(SENT, ledger, queue=["o2", None, "stranger"], dead=["o3"])
    assert account.processed == {"o0", "o1"}
    assert account.waiting == {"o2"}
    assert account.dead_lettered == {"o3"}
    assert account.lost == {"o4"}
    assert account.duplicates == 2


def test_settle_rejittered_copy_counts_by_its_order():
    # The copy has a message id of its own; the original was processed too.
    account = settle(SENT[:1], [LedgerEntry("m0", "o0"), LedgerEntry("copy", "o0")], [], [])
    assert account.lost == frozenset()
    assert account.duplicates == 1


def test_settle_ledger_without_order_ids_counts_by_message():
    assert settle(SENT[:1], [LedgerEntry("m0")], [], []).processed == {"o0"}


def test_settle_processed_order_that_still_waits_counts_once():
    account = settle(SENT[:1], [LedgerEntry("m0", "o0")], ["o0"], ["o0"])
    assert (account.processed, account.waiting, account.dead_lettered) == ({"o0"}, frozenset(), frozenset())


PLACES = st.sets(st.sampled_from([order.order_id for order in SENT]))


@given(PLACES, PLACES, PLACES)
def test_settle_no_order_is_counted_twice_or_forgotten(processed, queue, dead):
    ledger = [LedgerEntry(f"x{order}", order) for order in processed]
    account = settle(SENT, ledger, queue, dead)
    parts = [account.processed, account.waiting, account.dead_lettered, account.lost]
    assert sum(len(part) for part in parts) == len(SENT)
    assert account.lost == {o.order_id for o in SENT} - processed - queue - dead


@pytest.mark.parametrize("body", ["no json", "[]", "{}", '{"order_id": 7}'])
def test_order_id_of_other_messages_is_none(body):
    assert order_id_of(body) is None


def message(receives, *, visible=False, visible_at=20.0):
    return WaitingMessage("m0", json.dumps({"order_id": "o0"}), receives, visible, visible_at)


@pytest.mark.parametrize(
    ("looks", "processed", "burnt"),
    [
        ([(0, message(0, visible=True)), (10, None)], {"o0"}, 0),
        ([(5, message(1)), (10, None)], {"o0"}, 0),  # gone while hidden: that receive processed it
        ([(5, message(1)), (25, None)], {"o0"}, 1),  # gone after it was visible again: a later one did
        ([(5, message(1)), (21, message(1, visible=True)), (22, None)], {"o0"}, 1),
        ([(5, message(1)), (25, message(2, visible_at=40.0)), (30, None)], {"o0"}, 1),
        ([(5, message(3)), (10, None)], set(), 3),  # dead-lettered: all of them
        ([(5, message(2))], set(), 1),  # the second is under way
        ([(5, message(2, visible=True))], set(), 2),
    ],
)
def test_burnt_counts_receives_that_did_not_end_in_processing(looks, processed, burnt):
    log = ReceiveLog()
    for now, seen in looks:
        log.look(now, [seen] if seen else [])
    assert log.burnt(frozenset(processed)) == burnt


def result(**changes):
    good = OutageResult(
        plan=OutagePlan(),
        scale=10,
        milestones=Milestones(60, 360, 500, first_failure=61, paused=200, flowing=400, drained=450),
        account=settle(SENT, [LedgerEntry(order.message_id, order.order_id) for order in SENT], [], []),
        receives_burnt=0,
        failed_calls=5,
        executions=(ExecutionReport("arn", "SUCCEEDED", ("OpenCircuit", "ProbeTarget", "ProbeTarget"), "{}", 2),),
        mapping_at_end="Enabled",
        circuit_at_end="CLOSED",
        samples=(),
        changes=(),
        failed_by_second=(),
    )
    return replace(good, **changes)


def test_broken_promises_of_a_good_run_are_none():
    good = result()
    assert good.broken_promises() == []
    assert (good.probes, good.state_transitions) == (2, 5)
    assert good.price == pytest.approx(0.000125)
    assert good.milestones.time_to_open == 139
    assert good.milestones.fix_to_drained == 90


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"account": settle(SENT, [LedgerEntry("m0", "o0")], ["o1", "o2"], ["o3"])}, "1 of 5 orders were lost"),
        ({"account": settle(SENT, [], ["o0", "o1", "o2", "o3", "o4"], [])}, "the ledger is empty"),
        ({"failed_calls": 0}, "No call failed"),
        ({"milestones": Milestones(60, 360, 500, drained=450)}, "never opened"),
        ({"mapping_at_end": "Disabled"}, "The mapping is Disabled at the end"),
        ({"milestones": Milestones(60, 360, 500, paused=200)}, "not drained within 1200 s"),
    ],
)
def test_broken_promises_says_which_in_a_sentence(changes, sentence):
    [said] = result(**changes).broken_promises()
    assert sentence in said
