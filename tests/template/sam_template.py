"""template.yaml, as written and as CloudFormation gets it after SAM's transform."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

REPOSITORY = Path(__file__).resolve().parent.parent.parent
TEMPLATE_FILE = REPOSITORY / "template.yaml"

Template = Mapping[str, Any]
Resources = Mapping[str, Mapping[str, Any]]


@cache
def _source() -> dict[str, Any]:
    parsed = yaml_parse(TEMPLATE_FILE.read_text())
    assert isinstance(parsed, dict)
    return parsed


def source_template() -> dict[str, Any]:
    """Return the template as written, with `!Ref` and its kin as `{"Ref": ...}`; a copy that may be changed."""
    return copy.deepcopy(_source())


@cache
def _transformed() -> dict[str, Any]:
    return transform(source_template())


def transformed_template() -> dict[str, Any]:
    """Return the template after the transform; a copy that may be changed."""
    return copy.deepcopy(_transformed())


def transform(source: dict[str, Any]) -> dict[str, Any]:
    """Translate a template as CloudFormation's macro does. Local paths stand for their uploaded objects."""
    packaged = copy.deepcopy(source)
    settings = [resource.setdefault("Properties", {}) for resource in packaged["Resources"].values()]
    settings.append(packaged.get("Globals", {}).get("Function", {}))
    for properties in settings:
        for place in ("CodeUri", "DefinitionUri"):
            if isinstance(properties.get(place), str):
                properties[place] = "s3://bucket/object"
    translated = Translator({}, Parser()).translate(packaged, _defaults_of(packaged))
    assert isinstance(translated, dict)
    return translated


def _defaults_of(template: Template) -> dict[str, Any]:
    return {
        name: parameter["Default"]
        for name, parameter in template.get("Parameters", {}).items()
        if "Default" in parameter
    }


def resources_of(template: Template, *types: str) -> dict[str, dict[str, Any]]:
    """Return the resources of these types by logical id, every resource where no type is given."""
    return {
        name: resource for name, resource in template["Resources"].items() if not types or resource["Type"] in types
    }


def machine_substitutions(template: Template) -> dict[str, Any]:
    """Return what the template supplies for the `${...}` of the state machine's file."""
    (machine,) = resources_of(template, "AWS::Serverless::StateMachine").values()
    supplied = machine["Properties"]["DefinitionSubstitutions"]
    assert isinstance(supplied, dict)
    return supplied


def function_handlers(template: Template) -> dict[str, str]:
    """Return the Handler of every function by logical id, those inherited from Globals included."""
    inherited = template.get("Globals", {}).get("Function", {}).get("Handler", "")
    return {
        name: function["Properties"].get("Handler", inherited)
        for name, function in resources_of(template, "AWS::Serverless::Function", "AWS::Lambda::Function").items()
    }
