"""Errors by name.

A handler's exception class is the error name that the state machine sees, so these names are part of the
interface: `statemachine/circuit_breaker.asl.json` retries and catches them by name.
"""


class BadStateDocument(Exception):
    """A step was given an input that no step of this machine produces."""


class CircuitTakenOver(Exception):
    """Another execution owns the circuit now. The execution that sees this must change nothing more."""


class MappingNotSettled(Exception):
    """The event source mapping is still changing state, or refused an update because it is. Try again soon."""


class MetricsUnanswered(Exception):
    """CloudWatch could not say what the metrics were. Try again."""


class NotReconciled(Exception):
    """The reconciler could not look at, or repair, every circuit. It tries again at its next run."""


class InvalidSetting(Exception):
    """A registration names a setting that is missing, unknown, mistyped, out of range or cannot work."""


class NotJoined(InvalidSetting):
    """No event source mapping joins the function and the queue."""


class TripRefused(Exception):
    """An execution was started with something that must not open a circuit. Nothing was changed.

    The subclasses say which rule was broken. Every message names the field, the value and the rule.
    """


class InvalidTrip(TripRefused):
    """The start document has a wrong field, command or event."""


class UnknownCircuit(TripRefused):
    """No circuit of that name is registered."""


class StaleTrip(TripRefused):
    """The cause is over: the alarm has left ALARM, or the event is too old."""
