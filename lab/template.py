"""Read template.yaml and resolve the intrinsics that its alarm and its schedule use.

Only ``Ref``, ``Fn::Sub``, ``Fn::If``, ``Fn::FindInMap`` and ``Fn::GetAtt`` of known attributes are resolved, and
conditions made of ``Fn::Equals``, ``Fn::Not``, ``Fn::And`` and ``Fn::Or``. Anything else is an error that names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

_VARIABLE = re.compile(r"\$\{(!?)([A-Za-z0-9:.]+)\}")


class CannotResolve(ValueError):
    """The template refers to something that the lab does not know."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML with CloudFormation's short tags, read as their long forms."""


def _short_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {name: loader.construct_mapping(node, deep=True)}
    raise CannotResolve(f"!{suffix} has a value of an unknown kind")


_Loader.add_multi_constructor("!", _short_tag)


def load_template(path: Path) -> dict[str, Any]:
    """Read a template, short tags as their long forms."""
    loaded = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader with tags added
    if not isinstance(loaded, dict) or "Resources" not in loaded:
        raise CannotResolve(f"{path} is not a CloudFormation template: it has no Resources")
    return loaded


def parameter_values(template: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    """Each parameter's value: the given one, else its default.

    Raises
    ------
    CannotResolve
        A given parameter that the template does not declare.
    """
    declared = template.get("Parameters", {})
    unknown = sorted(set(given) - set(declared))
    if unknown:
        raise CannotResolve(f"the template has no parameter {', '.join(unknown)}")
    values = {name: str(spec["Default"]) for name, spec in declared.items() if "Default" in spec}
    return values | dict(given)


@dataclass(frozen=True)
class Resolver:
    """Resolves values of a template for one deployed stack.

    Parameters
    ----------
    template
        The template, as ``load_template`` returns it.
    parameters
        The stack's parameter values.
    resources
        Physical id for each logical id, as ``Ref`` would return it.
    pseudo
        ``AWS::Region`` and its like.
    attributes
        Value for each ``LogicalId.Attribute`` that is known, as ``Fn::GetAtt`` would return it.
    """

    template: Mapping[str, Any]
    parameters: Mapping[str, str]
    resources: Mapping[str, str]
    pseudo: Mapping[str, str]
    attributes: Mapping[str, str] = field(default_factory=dict)

    def resolve(self, value: Any) -> Any:
        """The value with every intrinsic in it replaced."""
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self._ref(argument)
            if name == "Fn::Sub":
                return self._sub(argument)
            if name == "Fn::If":
                condition, then, otherwise = argument
                return self.resolve(then if self.condition(condition) else otherwise)
            if name == "Fn::FindInMap":
                return self._find_in_map(*(str(self.resolve(part)) for part in argument))
            if name == "Fn::GetAtt":
                return self._attribute(argument if isinstance(argument, str) else ".".join(argument))
            if name.startswith("Fn::"):
                raise CannotResolve(f"{name} is not resolved by the lab (value: {argument!r})")
        return {key: self.resolve(item) for key, item in value.items()}

    def condition(self, name: str) -> bool:
        """Whether a condition of the template holds."""
        conditions = self.template.get("Conditions", {})
        if name not in conditions:
            raise CannotResolve(f"the template has no condition {name}")
        return self._holds(conditions[name])

    def _holds(self, rule: Any) -> bool:
        name, argument = next(iter(rule.items()))
        if name == "Condition":
            return self.condition(argument)
        if name == "Fn::Equals":
            first, second = (str(self.resolve(side)) for side in argument)
            return first == second
        if name == "Fn::Not":
            return not self._holds(argument[0])
        if name == "Fn::And":
            return all(self._holds(part) for part in argument)
        if name == "Fn::Or":
            return any(self._holds(part) for part in argument)
        raise CannotResolve(f"condition function {name} is not resolved by the lab")

    def _ref(self, name: str) -> str:
        for known in (self.parameters, self.resources, self.pseudo):
            if name in known:
                return known[name]
        raise CannotResolve(f"Ref {name}: neither a parameter, nor a resource of the stack, nor a pseudo parameter")

    def _attribute(self, name: str) -> str:
        if name not in self.attributes:
            raise CannotResolve(f"GetAtt {name} is not known to the lab")
        return self.attributes[name]

    def _find_in_map(self, name: str, *keys: str) -> Any:
        found: Any = self.template.get("Mappings", {}).get(name, {})
        for key in keys:
            if key not in found:
                raise CannotResolve(f"mapping {name} has no entry {'.'.join(keys)}")
            found = found[key]
        return found

    def _sub(self, argument: Any) -> str:
        text, local = (argument, {}) if isinstance(argument, str) else (argument[0], argument[1])

        def replace(found: re.Match[str]) -> str:
            literal, name = found.groups()
            if literal:
                return "${" + name + "}"
            return str(self.resolve(local[name])) if name in local else self._ref(name)

        return _VARIABLE.sub(replace, text)
