"""What of a pipeline the breaker cannot work with, works badly with, or its owner should know.

One place for these rules: registration refuses what is an ERROR here, and says the rest in its log; `make check` shows
all of it before anything is attached. What could not be read raises nothing, except a note that says so. The rules are
beside this module: `queue_findings`, `mapping_findings`, `function_findings`, `traffic_findings`.
"""

from collections.abc import Iterator

from breaker import function_findings, mapping_findings, queue_findings, traffic_findings
from breaker.errors import InvalidSetting
from breaker.finding import Finding, Level, Plan, Rule
from breaker.pipeline import Pipeline


def find(pipeline: Pipeline, plan: Plan) -> list[Finding]:
    """Return what there is to say about the pipeline: errors first, then warnings, then notes."""
    found = [finding for rule in _RULES for finding in rule(pipeline, plan)]
    return sorted(found, key=lambda finding: [*Level].index(finding.level))


def refuse(findings: list[Finding]) -> None:
    """Refuse what cannot work.

    Raises
    ------
    InvalidSetting
        One of the findings is an ERROR. The message names field, value and rule.
    """
    for finding in findings:
        if finding.level is Level.ERROR:
            raise InvalidSetting(f"{finding.field}: {finding.what}")


def _unread(pipeline: Pipeline, plan: Plan) -> Iterator[Finding]:
    for unread in pipeline.unread:
        yield Finding(
            Level.NOTE,
            "not-readable",
            unread.field,
            f"{unread.part}: not readable, needs {unread.needs}",
            "What stands there was not checked.",
            "Give yourself that permission and check again, or look for yourself.",
        )


# In the order in which they are told, within a level.
_RULES: tuple[Rule, ...] = (
    *queue_findings.RULES,
    *mapping_findings.RULES,
    *function_findings.RULES,
    *traffic_findings.RULES,
    _unread,
)
