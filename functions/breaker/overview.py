"""Looks at all circuits of the breaker. One that cannot be looked at does not hide the others. Changes nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from botocore.exceptions import BotoCoreError, ClientError

from breaker import clients, clock
from breaker.circuit_table import CircuitState, CircuitTable, Record
from breaker.errors import BadStateDocument, MappingNotSettled, MetricsUnanswered
from breaker.observation import observe
from breaker.status import Status, status_of
from breaker.time_budget import TimeBudget

# What can go wrong with one circuit.
CANNOT_LOOK = (ClientError, BotoCoreError, MappingNotSettled, MetricsUnanswered)
_URGENCY = (CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED)


@dataclass(frozen=True)
class Seen:
    """One circuit, as far as it could be looked at.

    Attributes
    ----------
    record
        Its record, None where that could not be read.
    status
        How it stands, None where its surroundings could not be looked at.
    trouble
        One line on what could not be looked at, "" where all could.
    """

    circuit: str
    record: Record | None = None
    status: Status | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Overview:
    """The circuits of the breaker.

    Attributes
    ----------
    seen
        Those that were looked at.
    left_out
        How many others there are, by state; "unread" where time was up before their records were read.
    """

    seen: list[Seen]
    left_out: Mapping[str, int] = field(default_factory=dict)


def look(record: Record) -> Status:
    """Return how a circuit stands now.

    Raises
    ------
    ClientError, BotoCoreError, MappingNotSettled, MetricsUnanswered
        Something around it could not be looked at.
    """
    figures = observe(
        record,
        functions=clients.lambda_control(),
        sqs=clients.sqs(),
        cloudwatch=clients.cloudwatch(),
        stepfunctions=clients.stepfunctions(),
    )
    return status_of(record, figures, now=clock.now())


def look_at_most(table: CircuitTable, most: int, *, time: TimeBudget) -> Overview:
    """Return how circuits stand, those that are not CLOSED first, until `most` were seen.

    Raises
    ------
    ClientError, BotoCoreError
        The table does not say which circuits there are.
    """
    unlooked: list[Seen] = []
    unread = 0
    for name in table.names():
        if not time.is_enough():
            unread += 1
        elif (read := _read(table, name)) is not None:
            unlooked.append(read)
    unlooked.sort(key=_by_urgency)
    return Overview(
        seen=[_look_if_there_is_time(one, time) for one in unlooked[:most]],
        left_out=Counter(one.record.state.value if one.record else "unread" for one in unlooked[most:])
        + Counter(unread=unread),
    )


def explain(error: Exception) -> str:
    """Return what went wrong in a line, without what AWS says about whom it refused."""
    if isinstance(error, ClientError):
        return f"{error.operation_name} was answered with {error.response['Error']['Code']}"
    if isinstance(error, BotoCoreError):
        return f"AWS could not be asked: {type(error).__name__}"
    return str(error)


def _read(table: CircuitTable, name: str) -> Seen | None:
    """Return a circuit's record, None where the circuit was removed meanwhile."""
    try:
        record = table.load(name)
    except (ClientError, BotoCoreError, BadStateDocument) as error:
        return Seen(name, trouble=explain(error))
    return Seen(name, record) if record else None


def _by_urgency(one: Seen) -> tuple[int, bool, str]:
    if one.record is None:
        return -1, False, one.circuit
    # A CLOSED one with an owner is about to open.
    return _URGENCY.index(one.record.state), not one.record.owner, one.circuit


def _look_if_there_is_time(one: Seen, time: TimeBudget) -> Seen:
    if one.record is None:
        return one
    if not time.is_enough():
        return replace(one, trouble="there was no time left to look at its queue and its mapping")
    try:
        return replace(one, status=look(one.record))
    except CANNOT_LOOK as error:
        return replace(one, trouble=explain(error))
