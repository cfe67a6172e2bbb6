"""What must hold for the template. Each check returns its complaints, none where all is well.

Checks of parameters and metadata read the template as written; checks of resources read it after SAM's transform, where
the roles and policies that SAM adds show.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sam_template import REPOSITORY, Template, function_handlers, resources_of

from publish.accepted import TYPES

FUNCTIONS = REPOSITORY / "functions"

# Properties that give a resource a name of its own. Two stacks in one account must not collide.
NAME_PROPERTIES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::Events::Rule": "Name",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
    "AWS::StepFunctions::StateMachine": "StateMachineName",
}


# Parameters ---------------------------------------------------------------------------------------------------------


def parameter_problems(source: Template) -> list[str]:
    """Every parameter needs a type, a description that is a sentence, and a rule that bad input breaks."""
    problems = []
    for name, parameter in source["Parameters"].items():
        if "Type" not in parameter:
            problems.append(f"{name} has no Type")
        if not re.match(r"^\S.*\s.*\.$", parameter.get("Description", ""), re.DOTALL):
            problems.append(f"{name} has no Description that is a sentence")
        numeric = parameter.get("Type") == "Number"
        if numeric and "AllowedValues" not in parameter and not {"MinValue", "MaxValue"} <= set(parameter):
            problems.append(f"{name} has no bounds")
        if not numeric and not {"AllowedPattern", "AllowedValues"} & set(parameter):
            problems.append(f"{name} has neither AllowedPattern nor AllowedValues")
    return problems


def default_problems(source: Template) -> list[str]:
    """Every default must keep its parameter's own rule, and every pattern must be anchored."""
    problems = []
    for name, parameter in source["Parameters"].items():
        pattern = parameter.get("AllowedPattern")
        if pattern is not None and not (pattern.startswith("^") and pattern.endswith("$")):
            problems.append(f"{name}: the pattern {pattern} is not anchored")
        if "Default" not in parameter:
            problems.append(f"{name} has no Default: the template must deploy without parameters")
            continue
        default = parameter["Default"]
        if pattern is not None and not re.fullmatch(pattern, str(default)):
            problems.append(f"{name}: the default {default!r} breaks {pattern}")
        if "AllowedValues" in parameter and str(default) not in map(str, parameter["AllowedValues"]):
            problems.append(f"{name}: the default {default!r} is not allowed")
        if "MinValue" in parameter and not parameter["MinValue"] <= float(default) <= parameter["MaxValue"]:
            problems.append(f"{name}: the default {default!r} is out of bounds")
    return problems


def interface_problems(source: Template) -> list[str]:
    """Every parameter must stand once in a labelled group of the interface, with a label of its own."""
    interface = source["Metadata"]["AWS::CloudFormation::Interface"]
    listed = Counter(name for group in interface["ParameterGroups"] for name in group["Parameters"])
    problems = [f"{name} stands in {listed[name]} groups" for name in source["Parameters"] if listed[name] != 1]
    problems += [f"{name} is in a group and no parameter" for name in listed if name not in source["Parameters"]]
    problems += [
        "a group has no label" for group in interface["ParameterGroups"] if not group.get("Label", {}).get("default")
    ]
    labels = interface["ParameterLabels"]
    problems += [f"{name} has no label" for name in source["Parameters"] if not labels.get(name, {}).get("default")]
    problems += [f"{name} has a label and is no parameter" for name in labels if name not in source["Parameters"]]
    return problems


def unused_parameter_problems(source: Template) -> list[str]:
    """Every parameter must have an effect."""
    text = json.dumps({part: source.get(part) for part in ("Globals", "Conditions", "Resources", "Outputs", "Rules")})
    return [
        f"{name} is never used"
        for name in source["Parameters"]
        if f'{{"Ref": "{name}"}}' not in text and f"${{{name}}}" not in text
    ]


# Resources ----------------------------------------------------------------------------------------------------------


def type_problems(template: Template) -> list[str]:
    """Only types that the Serverless Application Repository takes, before the transform and after it."""
    return [
        f"{name}: {resource['Type']} is not in the Application Repository's list"
        for name, resource in template["Resources"].items()
        if resource["Type"] not in TYPES
    ]


def name_problems(transformed: Template) -> list[str]:
    """No resource may carry a physical name, but one that tells the stack and its Region apart from all others."""
    return [
        f"{name} has a fixed {NAME_PROPERTIES[resource['Type']]}"
        for name, resource in transformed["Resources"].items()
        if (given := resource.get("Properties", {}).get(NAME_PROPERTIES.get(resource["Type"]))) is not None
        and not {"AWS::StackName", "AWS::Region"} <= set(re.findall(r"\${([\w:]+)}", json.dumps(given)))
    ]


def partition_problems(text: str) -> list[str]:
    """No ARN may be written for one partition only."""
    return [f"hard-coded partition: {found}" for found in re.findall(r"arn:aws[a-z-]*:[^\s\"']*", text)]


def log_group_problems(transformed: Template) -> list[str]:
    """Every function and the machine need a log group of the stack's own, with a retention, deleted with the stack."""
    groups = resources_of(transformed, "AWS::Logs::LogGroup")
    problems = [
        f"{name} has no RetentionInDays"
        for name, group in groups.items()
        if "RetentionInDays" not in group["Properties"]
    ]
    for name, function in resources_of(transformed, "AWS::Lambda::Function").items():
        wanted = function["Properties"].get("LoggingConfig", {}).get("LogGroup")
        by_reference = isinstance(wanted, dict) and wanted.get("Ref") in groups
        by_name = any(
            group["Properties"].get("LogGroupName") == {"Fn::Sub": f"/aws/lambda/${{{name}}}"}
            for group in groups.values()
        )
        if not by_reference and not by_name:
            problems.append(f"{name} has no log group")
    for name, machine in resources_of(transformed, "AWS::StepFunctions::StateMachine").items():
        logging = machine["Properties"].get("LoggingConfiguration", {})
        text = json.dumps(logging.get("Destinations", []))
        if not any(f'"{group}"' in text for group in groups) or logging.get("Level", "OFF") == "OFF":
            problems.append(f"{name} has no log group")
    return problems


def deletion_problems(transformed: Template) -> list[str]:
    """What the stack made, the stack deletes: a retained resource without a fixed name is litter that costs money."""
    problems = []
    for name, resource in transformed["Resources"].items():
        deletion, replacement = resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy")
        if deletion != replacement:
            problems.append(f"{name}: DeletionPolicy {deletion} and UpdateReplacePolicy {replacement} differ")
        if "Retain" in str(deletion):
            problems.append(f"{name} outlives the stack")
    return problems


def deletion_order_problems(transformed: Template) -> list[str]:
    """The circuit must go first: while it is deleted it enables the mapping, and needs all this for it."""
    circuit = "Circuit"
    needed = _dependencies(transformed, circuit)
    (registrar,) = resources_of(transformed, "AWS::CloudFormation::CustomResource")[circuit]["Properties"][
        "ServiceToken"
    ]["Fn::GetAtt"][:1]
    role = transformed["Resources"][registrar]["Properties"]["Role"]["Fn::GetAtt"][0]
    policies = [
        name
        for name, policy in resources_of(transformed, "AWS::IAM::Policy").items()
        if {"Ref": role} in policy["Properties"].get("Roles", [])
    ]
    mappings = list(resources_of(transformed, "AWS::Lambda::EventSourceMapping"))
    tables = [name for name in resources_of(transformed, "AWS::DynamoDB::Table") if "Circuit" in name]
    return [f"{circuit} may outlive {name}" for name in [*policies, *mappings, *tables, role] if name not in needed]


def _dependencies(template: Template, start: str) -> set[str]:
    """Return every resource that `start` refers to, directly or not."""
    resources, seen, open_ends = template["Resources"], set[str](), [start]
    while open_ends:
        resource = resources[open_ends.pop()]
        depends_on = resource.get("DependsOn", [])
        named = {depends_on} if isinstance(depends_on, str) else set(depends_on)
        text = json.dumps(resource)
        named |= {
            name
            for name in resources
            if f'{{"Ref": "{name}"}}' in text
            or f'{{"Fn::GetAtt": ["{name}"' in text
            or re.search(rf"\${{{name}[.}}]", text)
        }
        open_ends += sorted(named - seen)
        seen |= named
    return seen


# Permissions --------------------------------------------------------------------------------------------------------


def statements_of(transformed: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (logical id, statement) for every statement that grants something to a role or opens a queue."""
    for name, resource in transformed["Resources"].items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if isinstance(policy, dict)]
        if resource["Type"] in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::SQS::QueuePolicy"):
            documents.append(properties["PolicyDocument"])
        for document in documents:
            for statement in _as_list(document["Statement"]):
                for variant in _variants(statement):
                    yield name, variant


def sid_problems(transformed: Template) -> list[str]:
    """Every statement needs a Sid, so that a report can name it, and no two of a resource may share it."""
    problems = [
        f"{name}: a statement has no Sid" for name, statement in statements_of(transformed) if "Sid" not in statement
    ]
    counted = Counter((name, statement["Sid"]) for name, statement in statements_of(transformed) if "Sid" in statement)
    return problems + [f"{name}: {sid} stands {times} times" for (name, sid), times in counted.items() if times > 1]


def wide_statements(transformed: Template) -> set[str]:
    """Return the Sids of statements with a `*` in a resource."""
    return {
        statement.get("Sid", f"a statement of {name}")
        for name, statement in statements_of(transformed)
        if "*" in json.dumps(statement.get("Resource", ""))
    }


def action_problems(transformed: Template) -> list[str]:
    """No statement may grant actions by `*`, nor use NotAction or NotResource."""
    return [
        f"{name}: {statement.get('Sid')} grants {statement.get('Action')}"
        for name, statement in statements_of(transformed)
        if "*" in json.dumps(statement.get("Action", "*")) or {"NotAction", "NotResource"} & set(statement)
    ]


def managed_policies(transformed: Template) -> set[str]:
    """Return the names of the managed policies that any role has."""
    attached = (
        json.dumps(policy)
        for role in resources_of(transformed, "AWS::IAM::Role").values()
        for policy in role["Properties"].get("ManagedPolicyArns", [])
    )
    return {policy.rpartition("/")[2].rstrip('"}') for policy in attached}


def boundary_problems(transformed: Template) -> list[str]:
    """Every role must take the permissions boundary that the deployer may be bound to."""
    return [
        f"{name} ignores the permissions boundary"
        for name, role in resources_of(transformed, "AWS::IAM::Role").items()
        if "PermissionsBoundaryArn" not in json.dumps(role["Properties"].get("PermissionsBoundary", ""))
    ]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _variants(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a statement, or what a condition chooses from."""
    if "Fn::If" in statement:
        return [variant for choice in statement["Fn::If"][1:] if "Ref" not in choice for variant in _variants(choice)]
    return [dict(statement)]


# Functions ----------------------------------------------------------------------------------------------------------


def handler_problems(template: Template, functions: Path = FUNCTIONS) -> list[str]:
    """Every Handler must be a function in a module of functions/, and every such module a function's handler."""
    problems = []
    named = function_handlers(template)
    for name, handler in named.items():
        module, _, function = handler.rpartition(".")
        path = functions / f"{module}.py"
        if not path.is_file() or function not in _defined_in(path):
            problems.append(f"{name}: {handler} does not exist")
    modules = {handler.rpartition(".")[0] for handler in named.values()}
    return problems + [f"{path.name} is no function" for path in functions.glob("*.py") if path.stem not in modules]


def _defined_in(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def environment_problems(source: Template, functions: Path = FUNCTIONS) -> list[str]:
    """Each function must get what its module asks `breaker.environment` for, and nothing of its own beyond that."""
    readers = _environment_readers(functions / "breaker" / "environment.py")
    shared = source.get("Globals", {}).get("Function", {}).get("Environment", {}).get("Variables", {})
    problems = []
    for name, function in resources_of(source, "AWS::Serverless::Function").items():
        path = functions / f"{function_handlers(source)[name].rpartition('.')[0]}.py"
        own = set(function["Properties"].get("Environment", {}).get("Variables", {}))
        own = {variable for variable in own if not variable.startswith("POWERTOOLS_")}
        text = path.read_text()
        wanted = {variable for reader, variable in readers.items() if f"environment.{reader}(" in text}
        wanted |= set(re.findall(r"os\.environ(?:\[|\.get\()\s*\"(\w+)\"", text))
        problems += [f"{name} needs {variable}" for variable in sorted(wanted - own - set(shared))]
        problems += [f"{name} does not use {variable}" for variable in sorted(own - wanted)]
    return problems


def _environment_readers(path: Path) -> dict[str, str]:
    """Return which function of breaker.environment reads which variable."""
    readers = {}
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            (variable,) = re.findall(r"os\.environ(?:\[|\.get\()'(\w+)'", ast.unparse(node))
            readers[node.name] = variable
    return readers
