"""CloudWatch metric math, as far as an error rate needs it.

Numbers, ids, ``+ - * /``, comparisons, ``IF(condition, a, b)`` and ``FILL(id, number)``. Anything else is refused when
the expression is read, by name: a stand-in that guessed would show an alarm that AWS does not have.

A value of ``None`` is a missing datapoint. As in CloudWatch, arithmetic with a missing operand gives a missing result,
and so does a division by zero.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Value = float | None

_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class UnsupportedExpression(ValueError):
    """The expression uses something that this evaluator does not have."""

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"metric math expression {expression!r} cannot be evaluated: {reason}")
        self.expression = expression
        self.reason = reason


@dataclass(frozen=True)
class Expression:
    """A checked expression. Made by ``parse``."""

    text: str
    ids: frozenset[str]
    _tree: ast.expr

    def evaluate(self, values: Mapping[str, Value]) -> Value:
        """Evaluate for one period.

        Parameters
        ----------
        values
            The period's value for each id. ``None`` for no datapoint.

        Returns
        -------
        float or None
            ``None`` where CloudWatch would have no datapoint. A comparison gives 1 or 0.
        """
        return _evaluate(self._tree, values)


def parse(text: str) -> Expression:
    """Read and check an expression.

    Parameters
    ----------
    text
        As it stands in the alarm.

    Raises
    ------
    UnsupportedExpression
        Naming the expression and what in it is not supported.

    Example
    -------
    >>> parse("IF(calls >= 5, 100 * errors / calls, 0)").evaluate({"calls": 10.0, "errors": 9.0})
    90.0
    """
    source = " ".join(text.split())
    try:
        tree = ast.parse(source, mode="eval").body
    except SyntaxError as error:
        raise UnsupportedExpression(text, f"it cannot be read ({error.msg})") from error
    ids: set[str] = set()
    _check(tree, text, ids)
    return Expression(text=text, ids=frozenset(ids), _tree=tree)


def _check(node: ast.expr, text: str, ids: set[str]) -> None:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | complex() | None):
            raise UnsupportedExpression(text, f"{node.value!r} is not a number")
        case ast.Constant(value=int() | float()):
            return
        case ast.Name(id=name):
            # CloudWatch's own rule: ids begin with a lowercase letter. Names in capitals are its functions.
            if not name[0].islower():
                raise UnsupportedExpression(text, f"{name} is not an id")
            ids.add(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            _check(operand, text, ids)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            _check(left, text, ids)
            _check(right, text, ids)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            _check(left, text, ids)
            _check(right, text, ids)
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise], keywords=[]):
            for part in (condition, then, otherwise):
                _check(part, text, ids)
        case ast.Call(func=ast.Name(id="FILL"), args=[ast.Name() as filled, ast.Constant() as filler], keywords=[]):
            _check(filled, text, ids)
            _check(filler, text, ids)
        case _:
            raise UnsupportedExpression(text, f"{ast.unparse(node)} is not supported here")


def _evaluate(node: ast.expr, values: Mapping[str, Value]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(operand=operand):
            value = _evaluate(operand, values)
            return None if value is None else -value
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(_ARITHMETIC[type(op)], _evaluate(left, values), _evaluate(right, values))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            first, second = _evaluate(left, values), _evaluate(right, values)
            if first is None or second is None:
                return None
            return float(_COMPARISONS[type(op)](first, second))
        case ast.Call(func=ast.Name(id="IF"), args=[condition, then, otherwise]):
            chosen = _evaluate(condition, values)
            if chosen is None:
                return None
            return _evaluate(then if chosen else otherwise, values)
        case ast.Call(func=ast.Name(id="FILL"), args=[filled, filler]):
            value = _evaluate(filled, values)
            return _evaluate(filler, values) if value is None else value
    raise AssertionError(f"unchecked node {ast.dump(node)}")


def _arithmetic(operation: Callable[[float, float], float], first: Value, second: Value) -> Value:
    if first is None or second is None:
        return None
    try:
        return operation(first, second)
    except ZeroDivisionError:
        return None
