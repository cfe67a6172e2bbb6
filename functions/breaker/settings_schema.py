"""The one JSON Schema of a circuit's settings, without what checks against it: most steps only need the defaults."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

SCHEMA: dict[str, Any] = json.loads(Path(__file__).with_name("settings.schema.json").read_text())


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with the defaults of what a release before this one did not know."""
    return {**_defaults(), **settings}


@cache
def _defaults() -> dict[str, Any]:
    return {name: rule["default"] for name, rule in SCHEMA["properties"].items() if "default" in rule}
