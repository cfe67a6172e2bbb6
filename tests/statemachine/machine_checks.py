"""What must hold for the state machine's file. Each check returns its complaints, none where all is well."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness import module_of, substitute, substitutions
from statelint.config import Config
from statelint.linter import Linter
from statelint.problem import ProblemType

Machine = Mapping[str, Any]

# The fields that the first step places. test_paths.py holds them against what it answers.
LOADED = frozenset({"format", "execution", "state_machine", "mode", "circuit", "trip", "schedule"})


def states_of(machine: Machine) -> Mapping[str, Mapping[str, Any]]:
    """Return the states by name."""
    states = machine["States"]
    assert isinstance(states, Mapping)
    return states


def tasks_of(machine: Machine) -> dict[str, Mapping[str, Any]]:
    """Return the Task states by name."""
    return {name: state for name, state in states_of(machine).items() if state["Type"] == "Task"}


def targets_of(state: Mapping[str, Any]) -> list[str]:
    """Return every state that may follow `state`."""
    targets = [state[field] for field in ("Next", "Default") if field in state]
    targets += [branch["Next"] for field in ("Choices", "Catch") for branch in state.get(field, [])]
    return targets


def transitions_of(machine: Machine) -> set[tuple[str, str]]:
    """Return every (state, next state) that can be taken, errors left out."""
    return {
        (name, target) for name, state in states_of(machine).items() for target in targets_of({**state, "Catch": []})
    }


def schema_problems(machine: Machine) -> list[str]:
    """Ask statelint, the Python port of AWS's own linter of the States Language."""
    # Ignored: "2 is not a float". JSON has one kind of number.
    problems: list[str] = Linter.validate(substitute(machine), Config({ProblemType.FLOAT}))
    return problems


def target_problems(machine: Machine) -> list[str]:
    """Every state that is named must exist."""
    named = {machine["StartAt"], *(target for state in states_of(machine).values() for target in targets_of(state))}
    return [f"{name} does not exist" for name in sorted(named - set(states_of(machine)))]


def reachability_problems(machine: Machine) -> list[str]:
    """Every state must be reachable."""
    states = states_of(machine)
    seen: set[str] = set()
    open_ends = [machine["StartAt"]]
    while open_ends:
        name = open_ends.pop()
        if name in states and name not in seen:
            seen.add(name)
            open_ends += targets_of(states[name])
    return [f"{name} cannot be reached" for name in sorted(set(states) - seen)]


def ending_problems(machine: Machine) -> list[str]:
    """Only Succeed and Fail may end an execution, and from every state one of them must be reachable."""
    states = states_of(machine)
    problems = [f"{name} ends an execution" for name, state in states.items() if state.get("End")]
    ends = {name for name, state in states.items() if state["Type"] in ("Succeed", "Fail")}
    while True:
        more = {name for name, state in states.items() if name not in ends and ends & set(targets_of(state))}
        if not more:
            return problems + [f"{name} leads to no end" for name in sorted(set(states) - ends)]
        ends |= more


def timeout_problems(machine: Machine) -> list[str]:
    """Every Task must have a timeout: without one a lost task is waited for for years."""
    return [f"{name} has no TimeoutSeconds" for name, task in tasks_of(machine).items() if "TimeoutSeconds" not in task]


def retry_problems(machine: Machine) -> list[str]:
    """Every Task must retry, with full jitter and a longest delay, but for errors that are not to be retried."""
    problems = []
    for name, task in tasks_of(machine).items():
        retriers = task.get("Retry", [])
        if not [retrier for retrier in retriers if retrier.get("MaxAttempts") != 0]:
            problems.append(f"{name} retries nothing")
        for number, retrier in enumerate(retriers):
            if retrier.get("MaxAttempts") == 0:
                continue
            if retrier.get("JitterStrategy") != "FULL":
                problems.append(f"{name}.Retry[{number}] has no full jitter")
            if "MaxDelaySeconds" not in retrier:
                problems.append(f"{name}.Retry[{number}] has no MaxDelaySeconds")
    return problems


def catch_problems(machine: Machine) -> list[str]:
    """Every Task must catch everything, last, and keep its input for the failure's record, unless it just fails."""
    problems = []
    for name, task in tasks_of(machine).items():
        catchers = task.get("Catch", [])
        if not catchers or catchers[-1]["ErrorEquals"] != ["States.ALL"]:
            problems.append(f"{name} does not catch States.ALL last")
        problems += [
            f"{name}.Catch[{number}] overwrites the state"
            for number, catcher in enumerate(catchers)
            if catcher.get("ResultPath", "$") == "$" and machine["States"][catcher["Next"]]["Type"] != "Fail"
        ]
    return problems


def shadowed_error_problems(machine: Machine) -> list[str]:
    """An error name must not stand twice in one Retry or Catch, nor after States.ALL: the second is never used."""
    problems = []
    for name, task in tasks_of(machine).items():
        for field in ("Retry", "Catch"):
            seen: set[str] = set()
            for entry in task.get(field, []):
                for error in entry["ErrorEquals"]:
                    if error in seen or "States.ALL" in seen:
                        problems.append(f"{name}.{field} never uses {error}")
                    seen.add(error)
    return problems


def comment_problems(machine: Machine) -> list[str]:
    """Every state, and the machine, must be explained in a sentence."""
    explained = {"the machine": machine, **states_of(machine)}
    return [
        f"{name} has no Comment that is a sentence"
        for name, state in explained.items()
        if not re.match(r"^[A-Z].*\s.*\.$", state.get("Comment", ""))
    ]


def language_problems(machine: Machine) -> list[str]:
    """JSONPath only, and no variables: the emulators that the tests and the lab stand on know nothing else."""
    problems = [f"{path} is not allowed" for path, key, _ in _walk(machine) if key in ("QueryLanguage", "Assign")]
    problems += [
        f"{path} uses JSONata" for path, _, value in _walk(machine) if isinstance(value, str) and value.startswith("{%")
    ]
    return problems


def substitution_problems(machine: Machine, supplied: Mapping[str, Any]) -> list[str]:
    """What the template supplies must be what the machine uses."""
    used = set(substitutions(machine))
    return [f"${{{name}}} is not supplied" for name in sorted(used - set(supplied))] + [
        f"{name} is supplied and not used" for name in sorted(set(supplied) - used)
    ]


def naming_problems(machine: Machine, supplied: Mapping[str, Any], functions: Mapping[str, str]) -> list[str]:
    """A Task `ProbeTarget` must run the function `ProbeTargetFunction`, whose handler is `probe_target.handler`.

    Parameters
    ----------
    supplied
        The template's DefinitionSubstitutions.
    functions
        The template's functions: logical id to Handler.
    """
    problems = []
    for name, task in tasks_of(machine).items():
        logical_id = f"{name}Function"
        if task.get("Resource") != f"${{{logical_id}Arn}}":
            problems.append(f"{name} runs {task.get('Resource')}")
        if supplied.get(f"{logical_id}Arn") != {"Fn::GetAtt": [logical_id, "Arn"]}:
            problems.append(f"{logical_id}Arn is {supplied.get(f'{logical_id}Arn')}")
        if functions.get(logical_id) != f"{module_of(name)}.handler":
            problems.append(f"{logical_id} has the handler {functions.get(logical_id)}")
    return problems


def document_problems(machine: Machine) -> list[str]:
    """A result may replace the state document only at the start and at the end: later steps read the document."""
    states = states_of(machine)
    return [
        f"{name} replaces the state document by its result"
        for name, task in tasks_of(machine).items()
        if task.get("ResultPath", "$") == "$"
        and name != machine["StartAt"]
        and states.get(task["Next"], {}).get("Type") not in ("Succeed", "Fail")
    ]


def default_problems(machine: Machine) -> list[str]:
    """Every Choice must have a Default: an answer that none of its rules knows cannot be caught."""
    states = states_of(machine).items()
    return [f"{name} has no Default" for name, state in states if state["Type"] == "Choice" and "Default" not in state]


def unset_path_problems(machine: Machine) -> list[str]:
    """What a Choice, Wait or Fail reads must be placed on every way to it, or be asked for with IsPresent.

    A path to nothing is States.Runtime, which cannot be caught: the execution would end with the mapping disabled.
    """
    placed = _placed_on_every_way(machine)
    return [
        f"{name} reads {path}, which is not placed on every way to it"
        for name, state in states_of(machine).items()
        for path in _paths_read(state)
        if name in placed and _place(path) not in placed[name]
    ]


def _placed_on_every_way(machine: Machine) -> dict[str, frozenset[str]]:
    """Return, for each state that can be reached, the fields that its document has whatever the way to it was."""
    placed: dict[str, frozenset[str]] = {machine["StartAt"]: frozenset()}
    changed = [machine["StartAt"]]
    while changed:
        name = changed.pop()
        for target, document in _documents_after(machine, name, placed[name]):
            known = placed.get(target, document) & document
            if target in states_of(machine) and placed.get(target) != known:
                placed[target] = known
                changed.append(target)
    return placed


def _documents_after(machine: Machine, name: str, before: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield every state that may follow, with the fields of the document it is entered with."""
    state = states_of(machine)[name]
    for catcher in state.get("Catch", []):
        path = catcher.get("ResultPath", "$")
        yield catcher["Next"], frozenset({"Error", "Cause"}) if path == "$" else before | {_place(path)}
    for rule in state.get("Choices", []):
        yield rule["Next"], before | _asked_for(rule)
    if state["Type"] != "Task":
        yield from ((state[field], before) for field in ("Next", "Default") if field in state)
    elif "Next" in state:
        path = state.get("ResultPath", "$")
        answer = LOADED if name == machine["StartAt"] else frozenset[str]()
        yield state["Next"], answer if path == "$" else before | {_place(path)}


def _paths_read(state: Mapping[str, Any]) -> Iterator[str]:
    yield from (state[field] for field in ("SecondsPath", "ErrorPath", "CausePath") if field in state)
    for rule in state.get("Choices", []):
        yield from (
            part["Variable"]
            for part in _parts(rule)
            if "IsPresent" not in part and _place(part["Variable"]) not in _asked_for(rule)
        )


def _asked_for(rule: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(_place(part["Variable"]) for part in _parts(rule) if part.get("IsPresent") is True)


def _parts(rule: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts: list[Mapping[str, Any]] = rule.get("And", [rule])
    return parts


def _place(path: str) -> str:
    return path.removeprefix("$.").partition(".")[0]


def _walk(value: Any, path: str = "$") -> Iterator[tuple[str, str, Any]]:
    """Yield (path, key, value) for every value inside a JSON document."""
    items: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, inner in items:
        yield f"{path}.{key}", str(key), inner
        yield from _walk(inner, f"{path}.{key}")
