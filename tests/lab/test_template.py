import textwrap

import pytest

from lab.clock import Scale
from lab.deployment import lab_parameters, runtime_name
from lab.template import CannotResolve, Resolver, load_template, parameter_values

TEXT = """
Parameters:
  AlarmName: {Type: String, Default: ""}
  QueueVisibilityTimeoutSeconds: {Type: Number, Default: 180}
  Runtime: {Type: String, Default: python3.13}
Conditions:
  MakeAlarm: !Equals [!Ref AlarmName, ""]
  Named: !Not [!Condition MakeAlarm]
Resources:
  Thing:
    Value: !Sub "${Queue} of ${AWS::Region}, not ${!Literal}"
    Local: !Sub ["${name}", {name: !Ref Queue}]
    Chosen: !If [Named, !Ref AlarmName, built-in]
    Mapped: !FindInMap [Sizes, !Ref AlarmName, Words]
    Unknown: !GetAtt Queue.Arn
Mappings:
  Sizes:
    small: {Words: not much}
"""


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "template.yaml"
    path.write_text(textwrap.dedent(TEXT))
    return load_template(path)


def resolver(template, **given):
    return Resolver(template, parameter_values(template, given), {"Queue": "orders"}, {"AWS::Region": "eu-west-1"})


def test_resolve_replaces_references_and_conditions(template):
    thing = template["Resources"]["Thing"]
    named = resolver(template, AlarmName="mine")
    assert named.resolve(thing["Value"]) == "orders of eu-west-1, not ${Literal}"
    assert named.resolve(thing["Local"]) == "orders"
    assert named.resolve(thing["Chosen"]) == "mine"
    assert resolver(template).resolve(thing["Chosen"]) == "built-in"


def test_resolve_what_it_does_not_know_is_an_error_that_names_it(template):
    with pytest.raises(CannotResolve, match=r"GetAtt Queue\.Arn"):
        resolver(template).resolve(template["Resources"]["Thing"]["Unknown"])
    with pytest.raises(CannotResolve, match="Ref Nobody"):
        resolver(template).resolve({"Ref": "Nobody"})


def test_resolve_replaces_the_attributes_that_are_known():
    known = Resolver({}, {}, {}, {}, attributes={"Pipeline.FunctionName": "orders"})
    assert known.resolve({"Fn::GetAtt": "Pipeline.FunctionName"}) == "orders"
    assert known.resolve([{"Fn::GetAtt": ["Pipeline", "FunctionName"]}]) == ["orders"]


def test_parameter_values_unknown_parameter_is_refused(template):
    with pytest.raises(CannotResolve, match="Speed"):
        parameter_values(template, {"Speed": "fast"})


def test_lab_parameters_scales_what_sqs_holds_and_skips_what_is_not_declared(template):
    assert lab_parameters(template, Scale(10), "lab-alarm") == {
        "AlarmName": "lab-alarm",
        "Runtime": runtime_name(),
        "QueueVisibilityTimeoutSeconds": "18",
    }


def test_resolve_finds_in_a_map_and_names_what_is_not_there(template):
    mapped = template["Resources"]["Thing"]["Mapped"]
    assert resolver(template, AlarmName="small").resolve(mapped) == "not much"
    with pytest.raises(CannotResolve, match=r"mapping Sizes has no entry large\.Words"):
        resolver(template, AlarmName="large").resolve(mapped)
