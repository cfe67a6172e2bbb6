"""Cuts the breaker out of the application's template, for a pipeline that another stack owns."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped]

# The example pipeline, and what exists only for it.
PIPELINE = (
    "OrdersQueue",
    "OrdersDeadLetterQueue",
    "LedgerTable",
    "ExampleTargetFunction",
    "ExampleTargetLogGroup",
    "TargetMapping",
    "UseKmsKeyPolicy",
)


def write_breaker_template(source: Path, place: Path, physical_ids: Mapping[str, str], arns: Mapping[str, str]) -> Path:
    """Write a template without the pipeline, whose references name the given resources instead.

    Parameters
    ----------
    physical_ids, arns
        What Ref and GetAtt Arn of the pipeline's resources stand for.
    """
    template = yaml_parse(source.read_text())
    for name in PIPELINE:
        del template["Resources"][name]
    del template["Outputs"]
    template["Globals"]["Function"]["CodeUri"] = str(source.parent / "functions")
    template["Resources"]["CircuitBreaker"]["Properties"]["DefinitionUri"] = str(
        source.parent / template["Resources"]["CircuitBreaker"]["Properties"]["DefinitionUri"]
    )
    place.write_text(yaml.safe_dump(_point_to(template, physical_ids, arns), sort_keys=False))
    return place


def _point_to(node: Any, physical_ids: Mapping[str, str], arns: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_point_to(item, physical_ids, arns) for item in node]
    if isinstance(node, str):
        for name, value in physical_ids.items():
            node = node.replace(f"${{{name}}}", value)
        return node
    if not isinstance(node, dict):
        return node
    if node.get("Ref") in physical_ids:
        return physical_ids[node["Ref"]]
    attribute = node.get("Fn::GetAtt")
    if isinstance(attribute, list) and attribute[0] in arns and attribute[1] == "Arn":
        return arns[attribute[0]]
    return {key: _point_to(value, physical_ids, arns) for key, value in node.items()}
