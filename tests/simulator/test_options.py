from typing import Any

import pytest

from simulator.options import AgreementOptions, SimulateOptions, parse_options
from simulator.policies import Policy
from simulator.poller import LAB
from simulator.rules import REPOSITORY, SCHEMA, settle_retry, template_default


def parse(*arguments: str) -> SimulateOptions:
    options = parse_options(["run", *arguments])
    assert isinstance(options, SimulateOptions)
    return options


def test_parse_options_without_any_takes_the_templates_defaults() -> None:
    options = parse()
    assert options.pipeline.visibility == template_default("QueueVisibilityTimeoutSeconds")
    assert options.pipeline.max_receives == template_default("MaxReceiveCount")
    circuit = options.settings.circuit()
    for name, rule in SCHEMA["properties"].items():
        if "default" in rule:
            assert circuit[name] == rule["default"]
    assert options.policies == tuple(Policy)


def test_parse_options_reads_what_is_given() -> None:
    options = parse("--oldest-first")
    assert options.profile.oldest_first
    options = parse("--outage", "10", "--policy", "NONE", "--set", "MaxProbeIntervalSeconds=60", "--poller", "lab")
    assert options.trouble.outage == 600
    assert options.policies == (Policy.NONE,)
    assert options.settings.circuit()["MaxProbeIntervalSeconds"] == 60
    assert options.profile is LAB
    assert parse_options(["agreement", "--kept"]) == AgreementOptions(
        measure=False, measured=REPOSITORY / ".lab/agreement.json"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rate", "0"), ("--rate", "0 is refused", "between 0.01")),
        (("--rate", "nan"), ("--rate", "nan", "must be a number")),
        (("--outage", "20000"), ("--outage", "20000", "10080")),
        (("--max-receives", "0"), ("--max-receives", "'0'", "1 to 1000")),
        (("--max-concurrency", "1"), ("--max-concurrency", "'1'", "2 to 1000")),
        (("--policy", "best"), ("--policy", "'best'", "none, reference, breaker")),
        (("--recovery", "REJITTER"), ("--recovery", "'REJITTER'", "RAMP, IMMEDIATE")),
        (("--set", "Recovery=REJITTER"), ("--set", "Recovery=REJITTER", "not simulated")),
        (("--set", "Nonsense=1"), ("--set", "'Nonsense=1'", "NAME one of")),
        (("--set", "MaxProbeIntervalSeconds=0"), ("--set", "MaxProbeIntervalSeconds: 0", "1")),
        (("--set", "RampConcurrency=10,2"), ("--set", "RampConcurrency", "must grow")),
        (("--set", "AlarmPeriodSeconds=61"), ("--set", "AlarmPeriodSeconds=61", "one of 60")),
        (("--set", "AlarmDatapointsToAlarm=2"), ("--set", "AlarmDatapointsToAlarm=2", "AlarmEvaluationPeriods")),
        (("--set", "MetricPeriodSeconds=90"), ("--set", "MetricPeriodSeconds=90", "whole minutes")),
        (("--set", "StoreHeldMessages=false"), ("--set", "StoreHeldMessages=False", "not simulated")),
        (("--rate", "10", "--capacity", "5"), ("--capacity", "5 is refused", "at least the rate")),
        (("--visibility", "10"), ("--visibility", "10 is refused", "timeout")),
        (("--latency", "60"), ("--latency", "60 is refused", "timeout")),
    ],
)
def test_parse_options_with_what_cannot_be_names_option_value_and_rule(
    arguments: tuple[str, ...], said: tuple[str, ...], capsys: Any
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(*arguments)
    assert ended.value.code == 2
    shown = capsys.readouterr().err
    assert all(part in shown for part in said), shown


def test_rules_read_the_state_machines_own_waits() -> None:
    assert settle_retry().longest_wait(0) == 10
    assert settle_retry().longest_wait(100) == 30
