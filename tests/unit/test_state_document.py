"""The document that travels through the state machine."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breaker.errors import BadStateDocument
from breaker.settings_schema import complete
from breaker.state_document import FORMAT, Circuit, StateDocument

EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:CircuitBreaker:first"
CIRCUIT: dict[str, Any] = {
    "name": "orders",
    "target": "arn:aws:lambda:us-east-1:123456789012:function:orders-target:live",
    "target_timeout_seconds": 30,
    "queue_url": "https://sqs.us-east-1.amazonaws.com/123456789012/orders",
    "queue_arn": "arn:aws:sqs:us-east-1:123456789012:orders",
    "mapping_id": "11111111-2222-3333-4444-555555555555",
    "max_receive_count": 5,
    "partial_batch_response": True,
    "settings": {"Mode": "ACTIVE"},
}


# What a document of a release before this one says of it.
COMPLETED = CIRCUIT | {
    "filters": [],
    "visibility_timeout_seconds": 0,
    "dead_letter_queue_arn": "",
    "dead_letter_queue_url": "",
    "settings": complete({"Mode": "ACTIVE"}),
}


def document(**changes: Any) -> dict[str, Any]:
    """Return a step's input."""
    return {"format": FORMAT, "execution": EXECUTION, "circuit": CIRCUIT, "trip": {"reason": "alarm"}, **changes}


def test_read_good_input_gives_execution_circuit_and_results() -> None:
    read = StateDocument.read(document(probe={"outcome": "FAILED"}))
    assert read.execution == EXECUTION
    assert read.circuit.as_dict() == COMPLETED
    assert read.result("probe") == {"outcome": "FAILED"}
    assert read.trip_reason == "alarm"


def test_read_unknown_fields_of_a_later_release_are_ignored() -> None:
    assert StateDocument.read(document(circuit={**CIRCUIT, "colour": "red"})).circuit.as_dict() == COMPLETED


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param(None, "input: None must be a JSON object", id="nothing"),
        pytest.param([1], "input: [1] must be a JSON object", id="a list"),
        pytest.param({}, "format: None must be one of (1, 2)", id="empty"),
        pytest.param(document(format=3), "format: 3 must be one of (1, 2)", id="another format"),
        pytest.param(document(format="1"), "format: '1' must be one of (1, 2)", id="a text for a format"),
        pytest.param(
            document(execution="first"), "execution: 'first' must be the ARN of an execution", id="no execution"
        ),
        pytest.param(document(execution=None), "execution: None must be the ARN", id="no execution at all"),
        pytest.param(document(circuit="orders"), "circuit: 'orders' must be an object", id="a name for a circuit"),
        pytest.param(document(format=["x" * 5000]), "format: ['xxx", id="something long"),
    ],
)
def test_read_bad_input_is_refused_naming_field_value_and_rule(event: Any, message: str) -> None:
    with pytest.raises(BadStateDocument) as refused:
        StateDocument.read(event)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("field", sorted(CIRCUIT))
def test_read_circuit_without_a_field_names_it(field: str) -> None:
    circuit = {name: value for name, value in CIRCUIT.items() if name != field}
    with pytest.raises(BadStateDocument, match=rf"circuit\.{field}: missing"):
        StateDocument.read(document(circuit=circuit))


@pytest.mark.parametrize("known", [1, 2])
def test_read_this_format_and_the_one_before(known: int) -> None:
    assert StateDocument.read(document(format=known)).format == known


def test_read_settings_that_the_release_before_did_not_know_have_their_defaults() -> None:
    settings = StateDocument.read(document()).circuit.settings
    assert (settings["Mode"], settings["RampConcurrency"]) == ("ACTIVE", "2")


@pytest.mark.parametrize("value", [None, "FAILED", ["FAILED"]])
def test_result_that_is_not_there_names_its_place(value: Any) -> None:
    with pytest.raises(BadStateDocument, match=r"probe: .* must be an object"):
        StateDocument.read(document(probe=value)).result("probe")


def test_circuit_fifo_is_known_by_the_queues_name() -> None:
    assert not Circuit.read(CIRCUIT).is_fifo
    assert Circuit.read({**CIRCUIT, "queue_arn": f"{CIRCUIT['queue_arn']}.fifo"}).is_fifo


@given(st.dictionaries(st.sampled_from(["format", "execution", "circuit"]), st.none() | st.integers() | st.text()))
def test_read_any_rubbish_is_refused_by_name(event: dict[str, Any]) -> None:
    with pytest.raises(BadStateDocument):
        StateDocument.read(event)
