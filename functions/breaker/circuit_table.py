"""The breaker's table: one record a circuit, and the messages it holds.

Every write during an incident is conditional on the owner, the execution that claimed the circuit. One that has lost
its claim gets CircuitTakenOver and changes nothing more.

Items: `CIRCUIT#<name>`/`CIRCUIT` the record; `CIRCUIT#<name>`/`HELD#<message id>` a held message;
`CIRCUIT#<name>`/`CONTENT#<message id>#<n>` its content; `MAPPING#<id>`/`MAPPING` which circuit a mapping belongs to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from breaker.attribute_values import plain, typed
from breaker.errors import CircuitTakenOver
from breaker.holding import HeldMessage
from breaker.state_document import Circuit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# The owner of a circuit that is being removed, in place of an execution.
REMOVAL_PREFIX = "removal-"
# Notes in an incident's record that something was announced.
GAVE_UP_ANNOUNCED = "gave_up_announced"
NEAR_RETENTION_ANNOUNCED = "near_retention_announced"
# An item holds at most 400 KB, names included.
_CHUNK_BYTES = 350_000


class CircuitState(StrEnum):
    """CLOSED: messages flow. OPEN: the mapping is disabled. HALF_OPEN: it is being enabled again."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


@dataclass(frozen=True)
class Record:
    """A circuit's record.

    Attributes
    ----------
    owner
        ARN of the execution that owns the circuit, "" if none.
    successor
        ARN of the execution that the owner is about to start, "" if none.
    incident
        The running incident: id, opened_at, cause and counters. Empty when CLOSED.
    intent
        DISABLE or ENABLE while a change of the mapping is not confirmed, else "".
    sequence
        Number of the last announced change.
    last_incident
        Summary of the incident that ended last.
    next_probe_at
        When the next probe is due, "" where none is.
    mode_set
        Who set the circuit's mode by a command, and why. Empty where the stack's parameter holds.
    failure
        What the breaker itself failed of in this incident, if it did.
    stack
        Stack and logical id that registered the circuit.
    """

    circuit: Circuit
    state: CircuitState
    since: str
    reason: str
    owner: str
    successor: str
    incident: dict[str, Any]
    intent: str
    sequence: int
    last_incident: dict[str, Any]
    stack: str
    next_probe_at: str = ""
    mode_set: dict[str, Any] = field(default_factory=dict)
    failure: dict[str, Any] = field(default_factory=dict)

    @property
    def order(self) -> dict[str, Any]:
        """The command that the incident's owner is still to carry out, empty where there is none."""
        return dict(self.incident.get("order", {}))


class CircuitTable:
    """Reads and writes the table."""

    def __init__(self, client: "DynamoDBClient", table_name: str) -> None:
        self._client = client
        self._table = table_name

    # Records

    def load(self, name: str) -> Record | None:
        """Return the record of a circuit as last written, None where none is registered."""
        answer = self._client.get_item(TableName=self._table, Key=_record_key(name), ConsistentRead=True)
        return _record(_plain(answer["Item"])) if "Item" in answer else None

    def claim(self, name: str, *, execution: str, instead_of: str, incident: Mapping[str, Any]) -> bool:
        """Make `execution` the owner, if the owner still is `instead_of` ("" for none). Returns whether it did."""
        condition = "#owner = :before" if instead_of else "attribute_exists(pk) AND attribute_not_exists(#owner)"
        values: dict[str, Any] = {":me": execution, ":incident": dict(incident)}
        if instead_of:
            values[":before"] = instead_of
        return self._try_update(
            name, "SET #owner = :me, incident = :incident REMOVE successor", condition, {"#owner": "owner"}, values
        )

    def write(
        self,
        name: str,
        *,
        owner: str,
        sets: Mapping[str, Any] | None = None,
        adds: Mapping[str, int] | None = None,
        removes: Sequence[str] = (),
        numbered: bool = False,
        settled: bool = False,
    ) -> int:
        """Change the record on behalf of its owner.

        Parameters
        ----------
        owner
            The execution that must own the circuit, "" where nobody must.
        sets
            New values by path, `incident.outcome` for a field of the incident.
        adds
            What to add to counters, by path.
        removes
            Paths to remove.
        numbered
            True to take the next sequence number for an announcement.
        settled
            True to write only while no change of the mapping is under way.

        Returns
        -------
        int
            The record's sequence number after the write.

        Raises
        ------
        CircuitTakenOver
            `owner` does not own the circuit any more, or a change of the mapping is under way.
        """
        names: dict[str, str] = {"#owner": "owner", "#sequence": "sequence"}
        values: dict[str, Any] = {":step": 1 if numbered else 0}
        condition = "attribute_exists(pk) AND attribute_not_exists(#owner)"
        if owner:
            condition = "#owner = :owner"
            values[":owner"] = owner
        if settled:
            condition += " AND attribute_not_exists(intent)"
        assignments = ["#sequence = #sequence + :step"]
        for index, (path, value) in enumerate((sets or {}).items()):
            assignments.append(f"{_path(path, names)} = :set{index}")
            values[f":set{index}"] = value
        for index, (path, value) in enumerate((adds or {}).items()):
            place = _path(path, names)
            # An incident that a release before this one began does not have every counter.
            assignments.append(f"{place} = if_not_exists({place}, :zero) + :add{index}")
            values[f":add{index}"] = value
            values[":zero"] = 0
        expression = "SET " + ", ".join(assignments)
        if removes:
            expression += " REMOVE " + ", ".join(_path(path, names) for path in removes)
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_record_key(name),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_typed(values),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            raise _taken_over(error, name, owner) from error
        return int(_plain(answer["Attributes"])["sequence"])

    def next_sequence(self, name: str, *, incident: str) -> int | None:
        """Take the next number for an announcement beside the owner, None where the incident is over."""
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_record_key(name),
                UpdateExpression="SET #sequence = #sequence + :one",
                ConditionExpression="incident.id = :incident",
                ExpressionAttributeNames={"#sequence": "sequence"},
                ExpressionAttributeValues=_typed({":one": 1, ":incident": incident}),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return None
            raise
        return int(_plain(answer["Attributes"])["sequence"])

    def set_mode(self, name: str, mode: str, *, note: Mapping[str, Any]) -> int | None:
        """Set a circuit's mode beside its owner, until the stack registers the circuit again.

        Returns the next number for an announcement, None where the circuit has the mode already.
        """
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_record_key(name),
                UpdateExpression="SET circuit.settings.#mode = :mode, mode_set = :note, #sequence = #sequence + :one",
                ConditionExpression="attribute_exists(pk) AND circuit.settings.#mode <> :mode",
                ExpressionAttributeNames={"#mode": "Mode", "#sequence": "sequence"},
                ExpressionAttributeValues=_typed({":mode": mode, ":note": dict(note), ":one": 1}),
                ReturnValues="ALL_NEW",
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return None
            raise
        return int(_plain(answer["Attributes"])["sequence"])

    def note(self, name: str, note: str, *, incident: str) -> None:
        """Note beside the owner that something was announced in this incident, unless the incident is over."""
        self._try_update(
            name,
            "SET incident.#note = :true",
            "incident.id = :incident",
            {"#note": note},
            {":true": True, ":incident": incident},
        )

    def names(self) -> list[str]:
        """Return the names of all registered circuits."""
        pages = self._client.get_paginator("scan").paginate(
            TableName=self._table,
            FilterExpression="sk = :record",
            ProjectionExpression="pk",
            ExpressionAttributeValues=_typed({":record": "CIRCUIT"}),
            ConsistentRead=True,
        )
        return sorted(_plain(item)["pk"].removeprefix("CIRCUIT#") for page in pages for item in page["Items"])

    # Registration

    def register(self, circuit: Circuit, *, stack: str, now: str) -> bool:
        """Write the settings of a new or known circuit, keeping its state.

        Returns False if a circuit of this name belongs to another stack, or if an incident runs and the new settings
        name another mapping.
        """
        return self._try_update(
            circuit.name,
            "SET circuit = :circuit, stack = :stack, #state = if_not_exists(#state, :closed),"
            " since = if_not_exists(since, :now), reason = if_not_exists(reason, :reason),"
            " #sequence = if_not_exists(#sequence, :zero) REMOVE mode_set",
            "attribute_not_exists(pk) OR (stack = :stack AND (#state = :closed OR circuit.mapping_id = :mapping))",
            {"#state": "state", "#sequence": "sequence"},
            {
                ":circuit": circuit.as_dict(),
                ":mapping": circuit.mapping_id,
                ":stack": stack,
                ":closed": CircuitState.CLOSED.value,
                ":now": now,
                ":reason": "registered",
                ":zero": 0,
            },
        )

    def reserve_mapping(self, mapping_id: str, *, circuit: str, stack: str) -> str | None:
        """Note that the mapping belongs to the circuit. Returns the name of another stack's circuit that has it."""
        try:
            self._client.put_item(
                TableName=self._table,
                Item=_typed({**_plain_mapping_key(mapping_id), "circuit": circuit, "stack": stack}),
                ConditionExpression="attribute_not_exists(pk) OR stack = :stack",
                ExpressionAttributeValues=_typed({":stack": stack}),
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            holder = self._client.get_item(
                TableName=self._table, Key=_typed(_plain_mapping_key(mapping_id)), ConsistentRead=True
            )
            return str(_plain(holder["Item"])["circuit"]) if "Item" in holder else circuit
        return None

    def release_mapping(self, mapping_id: str, *, circuit: str) -> None:
        """Forget that the mapping belongs to the circuit, if it still does."""
        try:
            self._client.delete_item(
                TableName=self._table,
                Key=_typed(_plain_mapping_key(mapping_id)),
                ConditionExpression="circuit = :circuit",
                ExpressionAttributeValues=_typed({":circuit": circuit}),
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise

    def seize(self, name: str, *, owner: str) -> Record | None:
        """Make `owner` the owner whoever was, so that a step still under way cannot write any more.

        Returns the record as it was before, None where none is registered.
        """
        try:
            answer = self._client.update_item(
                TableName=self._table,
                Key=_record_key(name),
                UpdateExpression="SET #owner = :me",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues=_typed({":me": owner}),
                ReturnValues="ALL_OLD",
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return None
            raise
        return _record(_plain(answer["Attributes"]))

    def forget_removal(self, name: str) -> None:
        """End the claim of a removal that failed, so that the circuit, registered again, can be claimed again."""
        self._try_update(
            name,
            "REMOVE #owner",
            "begins_with(#owner, :removal)",
            {"#owner": "owner"},
            {":removal": REMOVAL_PREFIX},
        )

    def remove(self, name: str) -> None:
        """Delete the record."""
        self._client.delete_item(TableName=self._table, Key=_record_key(name))

    # Held messages

    def held(self, name: str) -> list[HeldMessage]:
        """Return the messages that the circuit holds."""
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :held)",
            ExpressionAttributeValues=_typed({":pk": _pk(name), ":held": "HELD#"}),
            ConsistentRead=True,
        )
        return [HeldMessage(**_plain(item)["message"]) for page in pages for item in page["Items"]]

    def hold(self, name: str, message: HeldMessage, *, owner: str, content: bytes | None = None) -> None:
        """Write a held message, and its content where given: `message.chunks` must be `chunks_of(content)`'s length.

        Raises
        ------
        CircuitTakenOver
            `owner` does not own the circuit any more.
        """
        # The content goes first: bookkeeping without content would be a message that cannot be tried.
        for number, chunk in enumerate(chunks_of(content)):
            self._client.put_item(
                TableName=self._table,
                Item=_typed({**_content_key(name, message.message_id, number), "content": chunk, **_expiry(message)}),
            )
        item = {"pk": _pk(name), "sk": f"HELD#{message.message_id}", "message": asdict(message), **_expiry(message)}
        self._guarded(name, owner, {"Put": {"TableName": self._table, "Item": _typed(item)}})

    def content(self, name: str, message: HeldMessage) -> bytes | None:
        """Return the content of a held message, None where it is not, or not wholly, stored."""
        chunks = []
        for number in range(message.chunks):
            answer = self._client.get_item(
                TableName=self._table, Key=_typed(_content_key(name, message.message_id, number)), ConsistentRead=True
            )
            if "Item" not in answer:
                return None
            chunks.append(_plain(answer["Item"])["content"])
        return b"".join(chunks) if chunks else None

    def let_go(self, name: str, message: HeldMessage, *, owner: str) -> None:
        """Delete a held message's bookkeeping and content. The message itself is the queue's.

        Raises
        ------
        CircuitTakenOver
            `owner` does not own the circuit any more.
        """
        key = {"pk": _pk(name), "sk": f"HELD#{message.message_id}"}
        self._guarded(name, owner, {"Delete": {"TableName": self._table, "Key": _typed(key)}})
        for number in range(message.chunks):
            self._client.delete_item(TableName=self._table, Key=_typed(_content_key(name, message.message_id, number)))

    # Insides

    def _guarded(self, name: str, owner: str, write: Any) -> None:
        check: Any = {
            "ConditionCheck": {
                "TableName": self._table,
                "Key": _record_key(name),
                "ConditionExpression": "#owner = :owner",
                "ExpressionAttributeNames": {"#owner": "owner"},
                "ExpressionAttributeValues": _typed({":owner": owner}),
            }
        }
        try:
            self._client.transact_write_items(TransactItems=[check, write])
        except ClientError as error:
            raise _taken_over(error, name, owner) from error

    def _try_update(
        self, name: str, expression: str, condition: str, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> bool:
        try:
            self._client.update_item(
                TableName=self._table,
                Key=_record_key(name),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues=_typed(values),
            )
        except ClientError as error:
            if _is_condition_failure(error):
                return False
            raise
        return True


def chunks_of(content: bytes | None) -> list[bytes]:
    """Cut a content into pieces that fit into items."""
    content = content or b""
    return [content[start : start + _CHUNK_BYTES] for start in range(0, len(content), _CHUNK_BYTES)]


def _pk(name: str) -> str:
    return f"CIRCUIT#{name}"


def _record_key(name: str) -> dict[str, Any]:
    return _typed({"pk": _pk(name), "sk": "CIRCUIT"})


def _content_key(name: str, message_id: str, number: int) -> dict[str, str]:
    return {"pk": _pk(name), "sk": f"CONTENT#{message_id}#{number}"}


def _plain_mapping_key(mapping_id: str) -> dict[str, str]:
    return {"pk": f"MAPPING#{mapping_id}", "sk": "MAPPING"}


def _expiry(message: HeldMessage) -> dict[str, int]:
    # DynamoDB deletes expired items within days; the hold has long ended by then.
    return {"expires_at": message.hold_ends + 3600}


def _record(item: Mapping[str, Any]) -> Record:
    return Record(
        circuit=Circuit.read(item["circuit"]),
        state=CircuitState(item["state"]),
        since=item["since"],
        reason=item["reason"],
        owner=item.get("owner", ""),
        successor=item.get("successor", ""),
        incident=item.get("incident", {}),
        intent=item.get("intent", ""),
        sequence=item["sequence"],
        last_incident=item.get("last_incident", {}),
        stack=item["stack"],
        next_probe_at=item.get("next_probe_at", ""),
        mode_set=item.get("mode_set", {}),
        failure=item.get("failure", {}),
    )


def _path(path: str, names: dict[str, str]) -> str:
    parts = []
    for part in path.split("."):
        names[f"#{part}"] = part
        parts.append(f"#{part}")
    return ".".join(parts)


def _typed(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: typed(value) for name, value in values.items()}


def _plain(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: plain(value) for name, value in item.items()}


def _is_condition_failure(error: ClientError) -> bool:
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _taken_over(error: ClientError, name: str, owner: str) -> Exception:
    """Return the error to raise: CircuitTakenOver where the owner was checked and differs, else the error itself."""
    reasons: Any = error.response.get("CancellationReasons", [])
    if _is_condition_failure(error) or any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons):
        return CircuitTakenOver(f"circuit {name}: {owner} does not own it any more")
    return error
