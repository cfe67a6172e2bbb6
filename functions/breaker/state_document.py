"""The document that travels through the state machine.

`LoadCircuit` writes it, later steps read it. It carries everything a step needs about the circuit, so that a running
execution does not change under a stack update, and no message content. `format` is raised when its meaning changes.
Steps also read the format before, because an execution begun under the last release must finish under this one.
"""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from breaker.errors import BadStateDocument
from breaker.settings_schema import complete

FORMAT = 2
# Closes as soon as the mapping is enabled: its machine has no state that watches what follows.
FORMAT_WITHOUT_WATCH = 1
_READABLE = (FORMAT_WITHOUT_WATCH, FORMAT)


@dataclass(frozen=True)
class Circuit:
    """A circuit as registered: its settings and what registration found out.

    Attributes
    ----------
    target
        The protected function as its mapping names it, with alias or version.
    target_timeout_seconds
        The target's own timeout.
    max_receive_count
        The queue's maxReceiveCount, None without a dead-letter queue.
    partial_batch_response
        True when the mapping has ReportBatchItemFailures.
    settings
        The checked settings, by the names of settings.schema.json. What was registered under a release before this one
        gets the defaults of what that did not know.
    filters
        The mapping's filter patterns, JSON texts. Lambda drops a message that matches none of them.
    visibility_timeout_seconds
        The queue's own; 0 where the release that registered the circuit did not ask.
    dead_letter_queue_arn
        The queue's dead-letter queue; "" where it has none, or the release that registered the circuit did not ask.
    dead_letter_queue_url
        Its URL; "" where the circuit does not ask for a redrive.
    """

    name: str
    target: str
    target_timeout_seconds: int
    queue_url: str
    queue_arn: str
    mapping_id: str
    max_receive_count: int | None
    partial_batch_response: bool
    settings: dict[str, Any]
    filters: list[str] = field(default_factory=list)
    visibility_timeout_seconds: int = 0
    dead_letter_queue_arn: str = ""
    dead_letter_queue_url: str = ""

    @property
    def is_fifo(self) -> bool:
        """True for a FIFO queue."""
        return self.queue_arn.endswith(".fifo")

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Circuit":
        """Read a circuit from a state document or a record.

        Raises
        ------
        BadStateDocument
            A field is missing.
        """
        missing = [f.name for f in fields(cls) if f.name not in document and f.default is f.default_factory is MISSING]
        if missing:
            raise BadStateDocument(f"circuit.{missing[0]}: missing")
        known = {f.name: document[f.name] for f in fields(cls) if f.name in document}
        return cls(**known | {"settings": complete(document["settings"])})

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class StateDocument:
    """What every step after LoadCircuit reads.

    Attributes
    ----------
    execution
        ARN of the execution, which is the owner's name in the circuit's record.
    results
        The whole document: what earlier steps put at their places.
    format
        The format it was written in.
    """

    execution: str
    circuit: Circuit
    results: Mapping[str, Any]
    format: int = FORMAT

    @classmethod
    def read(cls, event: object) -> "StateDocument":
        """Check and read a step's input.

        Raises
        ------
        BadStateDocument
            The input was not made by this machine's own steps. The message names field, value and rule.
        """
        if not isinstance(event, Mapping):
            raise BadStateDocument(f"input: {event!r:.100} must be a JSON object")
        if event.get("format") not in _READABLE:
            raise BadStateDocument(f"format: {event.get('format')!r:.100} must be one of {_READABLE}")
        execution = event.get("execution")
        if not isinstance(execution, str) or ":execution:" not in execution:
            raise BadStateDocument(f"execution: {execution!r:.100} must be the ARN of an execution")
        circuit = event.get("circuit")
        if not isinstance(circuit, Mapping):
            raise BadStateDocument(f"circuit: {circuit!r:.100} must be an object")
        return cls(execution, Circuit.read(circuit), event, event["format"])

    @property
    def trip_reason(self) -> str:
        """One line on what tripped the circuit."""
        return str(self.result("trip")["reason"])

    @property
    def schedule(self) -> Mapping[str, Any]:
        """How often has been probed, and the wait for the next: with the last probe, before that as LoadCircuit began.

        A machine of the release before keeps both in LoadCircuit's place, beside what today's ProbeTarget answers.

        Raises
        ------
        BadStateDocument
            Neither is there.
        """
        probe = self.results.get("probe")
        return probe if isinstance(probe, Mapping) and "wait_seconds" in probe else self.result("schedule")

    def result(self, name: str) -> Mapping[str, Any]:
        """Return what an earlier step put at `$.<name>`.

        Raises
        ------
        BadStateDocument
            Nothing stands there.
        """
        value = self.results.get(name)
        if not isinstance(value, Mapping):
            raise BadStateDocument(f"{name}: {value!r:.100} must be an object")
        return value
