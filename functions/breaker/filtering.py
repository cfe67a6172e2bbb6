"""Would the mapping drop this message? By Lambda's own rules for filtering messages from SQS.

Sources: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html for the body,
https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html for the operators, and
https://github.com/aws/event-ruler, which matches EventBridge's patterns, for arrays, `exists` and `$or`. Newer pages
say that only `body` is supported, the same pages still have rules for the other fields of a record; both are followed.

A pattern with anything else in it is refused at registration, never guessed. Where the sources leave a message open,
it counts as dropped: then it is only held, and the target does not see what it never would have seen.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt
from typing import Any

_FIELDS = {
    "messageId",
    "receiptHandle",
    "body",
    "attributes",
    "messageAttributes",
    "md5OfBody",
    "md5OfMessageAttributes",
    "eventSource",
    "eventSourceARN",
    "awsRegion",
}
_OR = "$or"
_COMPARE: dict[str, Callable[[Decimal, Decimal], bool]] = {"=": eq, "<": lt, "<=": le, ">": gt, ">=": ge}
# EventBridge compares no numbers beyond these.
_LARGEST_NUMBER = Decimal("5e9")


class UnknownPattern(ValueError):
    """A filter pattern that is not understood. The message names its part and the rule."""


@dataclass(frozen=True)
class _Number:
    """A number as it was written: Lambda does not take 300 and 300.0 for equal."""

    text: str

    @property
    def value(self) -> Decimal | None:
        """The number to compare with others, None beyond what EventBridge compares."""
        try:
            value = Decimal(self.text)
        except InvalidOperation:
            return None
        return value if -_LARGEST_NUMBER <= value <= _LARGEST_NUMBER else None


def is_dropped(record: Mapping[str, Any], filters: Sequence[str]) -> bool:
    """True when the mapping would delete the message instead of sending it to the target.

    Parameters
    ----------
    record
        The Lambda event record of the message.
    filters
        The mapping's filter patterns, JSON texts that `check_filters` has accepted. One that matches is enough.
    """
    try:
        return bool(filters) and not any(_is_match(_parse(text), record) for text in filters)
    except RecursionError:
        # A body that is nested too deep to be looked into.
        return True


def check_filters(filters: Sequence[str]) -> None:
    """Refuse what `is_dropped` cannot judge.

    Raises
    ------
    UnknownPattern
        A pattern is no JSON, or has a field, operator or value that is not known here.
    """
    for text in filters:
        try:
            pattern = _parse(text)
            _check_object(pattern, "the pattern")
        except UnknownPattern:
            raise
        except ValueError:
            raise UnknownPattern(f"the pattern {text!r:.200} must be JSON") from None
        except RecursionError:
            raise UnknownPattern(f"the pattern {text!r:.200} must not be nested that deep") from None
        for name in _names(pattern):
            if name not in _FIELDS:
                raise UnknownPattern(
                    f"{name!r:.100} must be a field of an SQS record, one of {', '.join(sorted(_FIELDS))}"
                )


# Checking a pattern


def _check_object(pattern: Any, place: str) -> None:
    if not isinstance(pattern, dict) or not pattern:
        raise UnknownPattern(f"{place} must be a JSON object that is not empty")
    for name, rule in pattern.items():
        if name == _OR:
            _check_alternatives(rule)
        elif isinstance(rule, dict):
            _check_object(rule, repr(name))
        else:
            _check_rules(rule, repr(name))


def _check_alternatives(alternatives: Any) -> None:
    # EventBridge takes anything else for a field that happens to be named $or.
    if not isinstance(alternatives, list) or len(alternatives) < 2:
        raise UnknownPattern(f"{_OR!r} must be a list of at least two objects")
    for alternative in alternatives:
        _check_object(alternative, f"{_OR!r}")
        for name in alternative:
            if name in _OPERATORS:
                raise UnknownPattern(f"{_OR!r} must name fields, not the operator {name!r}")


def _check_rules(rules: Any, place: str) -> None:
    if not isinstance(rules, list) or not rules:
        raise UnknownPattern(f"{place} must be a list that is not empty, or an object")
    for rule in rules:
        if isinstance(rule, list):
            raise UnknownPattern(f"{place} must not have a list in its list")
        if isinstance(rule, dict):
            operator, operand = next(iter(rule.items())) if len(rule) == 1 else ("", None)
            if operator not in _OPERATORS:
                raise UnknownPattern(f"{place} must use one operator in each object, one of {', '.join(_OPERATORS)}")
            if not _OPERATORS[operator](operand):
                raise UnknownPattern(f"{place} has an operand of {operator!r} that is not known here")


def _is_flag(operand: Any) -> bool:
    return isinstance(operand, bool)


def _is_text(operand: Any) -> bool:
    return isinstance(operand, str)


def _is_excludable(operand: Any) -> bool:
    if isinstance(operand, dict):
        return len(operand) == 1 and all(name in ("prefix", "suffix") and _is_text(v) for name, v in operand.items())
    excluded = operand if isinstance(operand, list) else [operand]
    # EventBridge takes a list of texts or a list of numbers, not a mixed one.
    return len({type(value) for value in excluded}) == 1 and isinstance(excluded[0], str | _Number)


def _is_range(operand: Any) -> bool:
    if not isinstance(operand, list) or len(operand) not in (2, 4):
        return False
    signs, bounds = operand[::2], operand[1::2]
    if not all(isinstance(bound, _Number) and bound.value is not None for bound in bounds):
        return False
    if len(signs) == 1:
        return signs[0] in [*_COMPARE]
    return signs[0] in (">", ">=") and signs[1] in ("<", "<=")


# What may stand behind an operator.
_OPERATORS: dict[str, Callable[[Any], bool]] = {
    "exists": _is_flag,
    "prefix": _is_text,
    "suffix": _is_text,
    "equals-ignore-case": _is_text,
    "anything-but": _is_excludable,
    "numeric": _is_range,
}


# Matching a record


def _is_match(pattern: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    bodies = [*_bodies(pattern)]
    if not bodies:
        return _object_matches(pattern, record)
    try:
        body = _parse(record["body"])
    except (ValueError, RecursionError):
        body, is_json = record["body"], False
    else:
        is_json = True
    # A mismatch drops the message, whatever else matches.
    if any(isinstance(expected, dict) is not is_json for expected in bodies):
        return False
    return _object_matches(pattern, {**record, "body": body})


def _object_matches(pattern: Mapping[str, Any], value: Any) -> bool:
    if isinstance(value, list) and value:
        # Elements that disagree on what is missing: EventBridge looks at all of them.
        quantifier = all if _asks_for_absence(pattern) else any
        return quantifier(_object_matches(pattern, element) for element in value)
    fields = value if isinstance(value, Mapping) else {}
    return all(_field_matches(name, rule, fields) for name, rule in pattern.items())


def _field_matches(name: str, rule: Any, fields: Mapping[str, Any]) -> bool:
    if name == _OR:
        return any(_object_matches(alternative, fields) for alternative in rule)
    if isinstance(rule, dict):
        return _object_matches(rule, fields.get(name))
    leaves = [*_leaves(fields[name])] if name in fields else []
    return any(_rule_matches(each, leaves) for each in rule)


def _rule_matches(rule: Any, leaves: Sequence[Any]) -> bool:
    if not isinstance(rule, dict):
        return any(_is_same(rule, leaf) for leaf in leaves)
    ((operator, operand),) = rule.items()
    if operator == "exists":
        return bool(leaves) is operand
    return any(_MATCHERS[operator](operand, leaf) for leaf in leaves)


def _starts_with(operand: str, leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf.startswith(operand)


def _ends_with(operand: str, leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf.endswith(operand)


def _equals_ignoring_case(operand: str, leaf: Any) -> bool:
    return isinstance(leaf, str) and leaf.lower() == operand.lower()


def _is_anything_but(operand: Any, leaf: Any) -> bool:
    if isinstance(operand, dict):
        ((operator, affix),) = operand.items()
        return isinstance(leaf, str) and not _MATCHERS[operator](affix, leaf)
    excluded = operand if isinstance(operand, list) else [operand]
    return not any(_is_same(value, leaf) or _is_same_number(value, leaf) for value in excluded)


def _is_in_range(operand: Sequence[Any], leaf: Any) -> bool:
    value = leaf.value if isinstance(leaf, _Number) else None
    bounds = zip(operand[::2], operand[1::2], strict=True)
    return value is not None and all(_COMPARE[sign](value, bound.value) for sign, bound in bounds)


_MATCHERS: dict[str, Callable[[Any, Any], bool]] = {
    "prefix": _starts_with,
    "suffix": _ends_with,
    "equals-ignore-case": _equals_ignoring_case,
    "anything-but": _is_anything_but,
    "numeric": _is_in_range,
}


# Reading patterns and data


def _parse(text: str) -> Any:
    return json.loads(text, parse_int=_Number, parse_float=_Number, parse_constant=_no_json)


def _no_json(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _is_same(one: Any, other: Any) -> bool:
    # Python takes True and 1 for equal, which JSON does not; numbers never get here as such.
    return type(one) is type(other) and one == other


def _is_same_number(one: Any, other: Any) -> bool:
    # The sources do not say how a number that is written differently is excluded.
    return isinstance(one, _Number) and isinstance(other, _Number) and one.value == other.value


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the values that stand at a place: itself, or the elements of a list. An object is none."""
    if isinstance(value, list):
        for element in value:
            yield from _leaves(element)
    elif not isinstance(value, Mapping):
        yield value


def _names(pattern: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of the record that a pattern names."""
    for name, rule in pattern.items():
        if name == _OR:
            for alternative in rule:
                yield from _names(alternative)
        else:
            yield name


def _bodies(pattern: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what a pattern expects of the body, in each of its alternatives."""
    for name, rule in pattern.items():
        if name == _OR:
            for alternative in rule:
                yield from _bodies(alternative)
        elif name == "body":
            yield rule


def _asks_for_absence(pattern: Any) -> bool:
    if isinstance(pattern, dict):
        return pattern == {"exists": False} or any(_asks_for_absence(rule) for rule in pattern.values())
    return isinstance(pattern, list) and any(_asks_for_absence(rule) for rule in pattern)
