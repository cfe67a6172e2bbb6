"""What is refused."""

from dataclasses import dataclass

_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Problem:
    """A value that the repository would refuse, or that would not work for whoever installs the application.

    Attributes
    ----------
    field
        Where it stands.
    value
        What stands there.
    rule
        What must hold, worded to follow "must".
    """

    field: str
    value: object
    rule: str

    def __str__(self) -> str:
        """Return it as a sentence."""
        value = repr(self.value)
        if len(value) > _LONGEST_VALUE:
            value = value[:_LONGEST_VALUE] + "..."
        return f"{self.field}: {value} must {self.rule}"
