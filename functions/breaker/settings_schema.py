"""The one JSON Schema of a circuit's settings, without what checks against it: most steps only need the defaults."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("settings.schema.json").read_text())


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as this release knows them: with the defaults of what an earlier one did not know.

    An earlier one knew a single alarm, by the name AlarmName.
    """
    completed = {**_defaults(), **settings}
    if "AlarmName" in completed:
        completed.setdefault("AlarmNames", [completed["AlarmName"]])
        del completed["AlarmName"]
    return completed


@cache
def _defaults() -> dict[str, Any]:
    return {name: rule["default"] for name, rule in SCHEMA["properties"].items() if "default" in rule}
