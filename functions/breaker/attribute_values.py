"""Values as DynamoDB writes them, `{"S": "orders"}`, and back.

https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html

boto3 has the same in `boto3.dynamodb.types`, but to import it is to import all of boto3.
"""

from collections.abc import Mapping
from typing import Any


def typed(value: Any) -> dict[str, Any]:
    """Write what JSON can hold, or bytes, as an attribute's value.

    Raises
    ------
    TypeError
        The value is of another kind.
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case bytes():
            return {"B": value}
        case Mapping():
            return {"M": {name: typed(inner) for name, inner in value.items()}}
        case list() | tuple():
            return {"L": [typed(inner) for inner in value]}
        case _:
            raise TypeError(f"{type(value).__name__}: a value must be one that JSON can hold, or bytes")


def plain(attribute: Mapping[str, Any]) -> Any:
    """Read an attribute's value: a whole number as an int, any other as a float."""
    ((kind, value),) = attribute.items()
    match kind:
        case "NULL":
            return None
        case "N":
            return _number(value)
        case "M":
            return {name: plain(inner) for name, inner in value.items()}
        case "L":
            return [plain(inner) for inner in value]
        case _:
            return value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        number = float(text)
        return int(number) if number.is_integer() else number
