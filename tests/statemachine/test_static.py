"""The state machine's file, checked without running it.

Each check also runs on copies of the machine that are broken on purpose: a check that finds nothing there is no check.
"""

import copy
import json
import re
from collections.abc import Callable
from typing import Any

import machine_checks as checks
import pytest
from harness import DEFINITION_FILE, machine_definition
from sam_template import function_handlers, machine_substitutions, source_template

Machine = dict[str, Any]
Check = Callable[[Machine], list[str]]

CHECKS: list[Check] = [
    checks.schema_problems,
    checks.target_problems,
    checks.reachability_problems,
    checks.ending_problems,
    checks.timeout_problems,
    checks.retry_problems,
    checks.catch_problems,
    checks.shadowed_error_problems,
    checks.comment_problems,
    checks.language_problems,
    checks.document_problems,
    checks.default_problems,
    checks.unset_path_problems,
]


def test_definition_before_substitution_is_json() -> None:
    text = DEFINITION_FILE.read_text()
    json.loads(text)
    assert "${" in text


def test_definition_with_an_unquoted_substitution_is_not_json() -> None:
    text = re.sub(r'"(\$\{\w+\})"', r"\1", DEFINITION_FILE.read_text(), count=1)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(text)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_machine_passes(check: Check) -> None:
    assert check(machine_definition()) == []


def test_substitutions_are_supplied_and_used() -> None:
    assert checks.substitution_problems(machine_definition(), machine_substitutions(source_template())) == []


def test_names_of_state_function_and_module_agree() -> None:
    template = source_template()
    assert (
        checks.naming_problems(machine_definition(), machine_substitutions(template), function_handlers(template)) == []
    )


# Broken on purpose --------------------------------------------------------------------------------------------------


def _first(machine: Machine, kind: str) -> tuple[str, dict[str, Any]]:
    return next((name, state) for name, state in machine["States"].items() if state["Type"] == kind)


def _first_task(machine: Machine) -> dict[str, Any]:
    return _first(machine, "Task")[1]


def _first_retrier(machine: Machine) -> dict[str, Any]:
    retriers = (retrier for state in machine["States"].values() for retrier in state.get("Retry", []))
    return next(retrier for retrier in retriers if retrier.get("MaxAttempts") != 0)


def _loop_for_ever(machine: Machine) -> None:
    name, state = _first(machine, "Wait")
    state["Next"] = name


BREAKAGES: list[tuple[Check, str, Callable[[Machine], object]]] = [
    (checks.schema_problems, "misspelt field", lambda m: _first_task(m).update(TimeoutSecond=1)),
    (checks.schema_problems, "unknown type", lambda m: _first(m, "Choice")[1].update(Type="Chioce")),
    (checks.schema_problems, "timeout as text", lambda m: _first_task(m).update(TimeoutSeconds="60")),
    (checks.schema_problems, "bad path", lambda m: _first(m, "Wait")[1].update(SecondsPath="schedule.wait_seconds")),
    (checks.schema_problems, "jitter unknown", lambda m: _first_retrier(m).update(JitterStrategy="HALF")),
    (checks.schema_problems, "longest delay of nought", lambda m: _first_retrier(m).update(MaxDelaySeconds=0)),
    (checks.schema_problems, "choice without choices", lambda m: _first(m, "Choice")[1].pop("Choices")),
    (checks.target_problems, "misspelt start", lambda m: m.update(StartAt="LaodCircuit")),
    (checks.target_problems, "misspelt next", lambda m: _first_task(m).update(Next="Nowhere")),
    (checks.target_problems, "misspelt default", lambda m: _first(m, "Choice")[1].update(Default="Nowhere")),
    (checks.target_problems, "misspelt choice", lambda m: _first(m, "Choice")[1]["Choices"][0].update(Next="Nowhere")),
    (checks.target_problems, "misspelt catch", lambda m: _first_task(m)["Catch"][0].update(Next="Nowhere")),
    (checks.reachability_problems, "island", lambda m: m["States"].update(Island={"Type": "Succeed"})),
    (
        checks.reachability_problems,
        "island of two",
        lambda m: m["States"].update({"A": {"Type": "Pass", "Next": "B"}, "B": {"Type": "Pass", "Next": "A"}}),
    ),
    (checks.ending_problems, "task that ends", lambda m: _first_task(m).update(End=True)),
    (checks.ending_problems, "endless wait", _loop_for_ever),
    (checks.timeout_problems, "no timeout", lambda m: _first_task(m).pop("TimeoutSeconds")),
    (checks.retry_problems, "no retry", lambda m: _first_task(m).pop("Retry")),
    (checks.retry_problems, "empty retry", lambda m: _first_task(m).update(Retry=[])),
    (checks.retry_problems, "no jitter", lambda m: _first_retrier(m).pop("JitterStrategy")),
    (checks.retry_problems, "jitter off", lambda m: _first_retrier(m).update(JitterStrategy="NONE")),
    (checks.retry_problems, "no longest delay", lambda m: _first_retrier(m).pop("MaxDelaySeconds")),
    (checks.catch_problems, "no catch", lambda m: _first_task(m).pop("Catch")),
    (checks.catch_problems, "catch of one error", lambda m: _first_task(m)["Catch"][-1].update(ErrorEquals=["Other"])),
    (checks.catch_problems, "input overwritten", lambda m: _first_task(m)["Catch"][-1].pop("ResultPath")),
    (
        checks.shadowed_error_problems,
        "catch after States.ALL",
        lambda m: _first_task(m)["Catch"].append({"ErrorEquals": ["Late"], "Next": m["StartAt"]}),
    ),
    (
        checks.shadowed_error_problems,
        "error retried twice",
        lambda m: _first_task(m)["Retry"].append(copy.deepcopy(_first_task(m)["Retry"][0])),
    ),
    (checks.comment_problems, "no comment", lambda m: _first(m, "Choice")[1].pop("Comment")),
    (checks.comment_problems, "no full stop", lambda m: _first(m, "Wait")[1].update(Comment="Waits for it")),
    (checks.comment_problems, "one word", lambda m: _first(m, "Wait")[1].update(Comment="Waits.")),
    (checks.comment_problems, "machine without comment", lambda m: m.pop("Comment")),
    (checks.language_problems, "query language", lambda m: m.update(QueryLanguage="JSONata")),
    (checks.language_problems, "variable", lambda m: _first_task(m).update(Assign={"a": 1})),
    (checks.language_problems, "expression", lambda m: _first(m, "Fail")[1].update(Cause="{% $states.input %}")),
    (checks.document_problems, "document lost", lambda m: m["States"]["ProbeTarget"].pop("ResultPath")),
    (checks.default_problems, "no default", lambda m: _first(m, "Choice")[1].pop("Default")),
    (checks.unset_path_problems, "document lost", lambda m: m["States"]["SettleHeldMessages"].pop("ResultPath")),
    (checks.unset_path_problems, "place renamed", lambda m: m["States"]["JudgeRecovery"].update(ResultPath="$.step")),
    (
        checks.unset_path_problems,
        "asked before there is an answer",
        lambda m: m["States"]["ConfirmEnabled"].update(Next="HowDoesItGoOn?"),
    ),
    (
        checks.unset_path_problems,
        "presence not asked for",
        lambda m: m["States"]["IsItPausedAgain?"]["Choices"][0]["And"].pop(0),
    ),
    (checks.unset_path_problems, "error overwrites", lambda m: _first_task(m)["Catch"][-1].pop("ResultPath")),
    (
        checks.unset_path_problems,
        "a wait of a claim gone on with",
        lambda m: m["States"]["WaitBeforeFirstProbe"].update(SecondsPath="$.probe.wait_seconds"),
    ),
]


@pytest.mark.parametrize(
    ("check", "breakage"),
    [pytest.param(check, breakage, id=f"{check.__name__}-{name}") for check, name, breakage in BREAKAGES],
)
def test_broken_machine_is_caught(check: Check, breakage: Callable[[Machine], object]) -> None:
    machine = machine_definition()
    breakage(machine)
    assert check(machine) != []


def test_every_check_has_a_breakage() -> None:
    assert {check for check, _, _ in BREAKAGES} == set(CHECKS)


def test_substitution_missing_or_left_over_is_caught() -> None:
    supplied = machine_substitutions(source_template())
    name = next(iter(supplied))
    del supplied[name]
    supplied["LeftOver"] = "x"
    assert checks.substitution_problems(machine_definition(), supplied) == [
        f"${{{name}}} is not supplied",
        "LeftOver is supplied and not used",
    ]


@pytest.mark.parametrize("broken", ["resource", "no resource", "function", "module"])
def test_name_that_differs_is_caught(broken: str) -> None:
    machine, template = machine_definition(), source_template()
    supplied, handlers = machine_substitutions(template), function_handlers(template)
    if broken == "resource":
        machine["States"]["ProbeTarget"]["Resource"] = "${OpenCircuitFunctionArn}"
    elif broken == "no resource":
        del machine["States"]["ProbeTarget"]["Resource"]  # statelint lets a Task without one pass
    elif broken == "function":
        supplied["ProbeTargetFunctionArn"] = {"Fn::GetAtt": ["OpenCircuitFunction", "Arn"]}
    else:
        handlers["ProbeTargetFunction"] = "probe.handler"
    assert len(checks.naming_problems(machine, supplied, handlers)) == 1
