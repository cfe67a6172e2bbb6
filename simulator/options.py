"""What the simulator may be asked for, and the rules that refuse the rest."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lab.options import number_between
from simulator.pipeline import ALARM_PARAMETERS, BreakerSettings, Pipeline, Trouble
from simulator.policies import Policy
from simulator.poller import PROFILES, PollerProfile
from simulator.rules import REPOSITORY, SCHEMA, InvalidSetting, template_parameters

LAB_DIR = REPOSITORY / ".lab"
PICTURE = LAB_DIR / "simulation.png"
MEASURED = LAB_DIR / "agreement.json"
# A week at a second a step takes half a minute.
_LONGEST_OUTAGE_MINUTES = 10_080
_FASTEST_RATE = 100_000
_LARGEST_SEED = 4_294_967_295
_BREAKER_SETTINGS = sorted(
    {name for name in SCHEMA["properties"] if name in template_parameters()} | set(ALARM_PARAMETERS)
)
_ABOUT = """\
Simulate an outage of your pipeline under several policies, draw it, and recommend settings.

Nothing is deployed and nothing is called: the breaker's own rules run over a model of SQS, Lambda and CloudWatch.
docs/simulator.md says what the model leaves out.
"""


@dataclass(frozen=True)
class SimulateOptions:
    """A checked request for a simulation."""

    pipeline: Pipeline
    trouble: Trouble
    settings: BreakerSettings
    policies: tuple[Policy, ...]
    profile: PollerProfile
    seed: int
    picture: Path
    recommend: bool


@dataclass(frozen=True)
class AgreementOptions:
    """A request to hold the simulator against the lab: run the lab again, or use what it showed before."""

    measure: bool
    measured: Path


def parse_options(arguments: Sequence[str]) -> SimulateOptions | AgreementOptions:
    """Read the command line. Refusals name the option, the value and the rule, and end the program with code 2."""
    parser, run = _parsers()
    given = parser.parse_args(arguments)
    if given.command == "agreement":
        return AgreementOptions(measure=not given.kept, measured=MEASURED)
    pipeline = Pipeline(
        rate=given.rate,
        capacity=given.capacity if given.capacity is not None else 10 * given.rate,
        latency=given.latency,
        batch_size=given.batch_size,
        visibility=given.visibility,
        max_receives=given.max_receives,
        timeout=given.timeout,
        max_concurrency=given.max_concurrency,
        partial_batch_response=not given.no_partial_batch_response,
    )
    _refuse_what_cannot_work(run, pipeline)
    settings = _settings(run, given)
    return SimulateOptions(
        pipeline=pipeline,
        trouble=Trouble(
            outage=60 * given.outage,
            failing_percent=given.failing_percent,
            collapse_after=given.collapse_after,
            collapse_for=given.collapse_for,
        ),
        settings=settings,
        policies=tuple(Policy) if given.policy == "all" else (Policy(given.policy),),
        profile=_profile(given),
        seed=given.seed,
        picture=given.picture,
        recommend=not given.no_recommendation,
    )


def _parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser(prog="python -m simulator", description="An outage of your pipeline, simulated.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser(
        "run", help="simulate an outage", description=_ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    agreement = commands.add_parser("agreement", help="hold the simulator against the lab; takes about 8 minutes")
    agreement.add_argument("--kept", action="store_true", help="use what the lab showed the last time")
    pipeline, trouble = Pipeline(), Trouble()

    def number(option: str, unit: str, least: float, most: float, default: float | None, what: str) -> None:
        shown = f" (default {default:g})" if default is not None else ""
        run.add_argument(
            option,
            type=number_between(unit, least, most),
            default=default,
            metavar="N",
            help=f"{what}, in {unit}{shown}",
        )

    def whole(option: str, unit: str, least: int, most: int, default: int, what: str) -> None:
        run.add_argument(
            option, type=_whole(unit, least, most), default=default, metavar="N", help=f"{what} (default {default})"
        )

    number("--rate", "messages a second", 0.01, _FASTEST_RATE, pipeline.rate, "what is sent")
    number(
        "--capacity", "messages a second", 0.01, 10 * _FASTEST_RATE, None, "what the target can take (default 10x rate)"
    )
    number("--latency", "seconds", 0.001, 840, pipeline.latency, "duration of one call of the target")
    number("--outage", "minutes", 1, _LONGEST_OUTAGE_MINUTES, trouble.outage / 60, "length of the outage")
    number("--failing-percent", "percent", 1, 100, trouble.failing_percent, "calls that fail while it lasts")
    number("--collapse-after", "seconds", 0, 3600, 0, "overload after which the target fails whole again, 0 for never")
    number("--collapse-for", "seconds", 1, 86_400, trouble.collapse_for, "how long it then fails")
    whole("--visibility", "seconds", 1, 43_200, pipeline.visibility, "visibility timeout of the queue in seconds")
    whole("--max-receives", "receives", 1, 1000, pipeline.max_receives, "maxReceiveCount of the queue")
    whole("--batch-size", "messages", 1, 10, pipeline.batch_size, "most messages in a batch")
    whole("--timeout", "seconds", 1, 840, pipeline.timeout, "timeout of the function in seconds")
    run.add_argument(
        "--max-concurrency", type=_max_concurrency, default=0, metavar="N",
        help="the mapping's MaximumConcurrency, 0 for none (default 0)",
    )  # fmt: skip
    run.add_argument(
        "--no-partial-batch-response",
        action="store_true",
        help="the mapping has no ReportBatchItemFailures: Lambda slows down on errors",
    )
    run.add_argument(
        "--policy", type=_one_of("all", *Policy), default="all", metavar="WHICH",
        help=f"all, or one of {', '.join(Policy)} (default all)",
    )  # fmt: skip
    run.add_argument(
        "--recovery", type=_one_of("RAMP", "IMMEDIATE"), default=None, metavar="HOW",
        help="RAMP or IMMEDIATE; REJITTER is not simulated",
    )  # fmt: skip
    run.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="named",
        help="a parameter of the template, for example MaxProbeIntervalSeconds=60; may be repeated",
    )  # fmt: skip
    run.add_argument(
        "--poller", type=_one_of(*PROFILES), default="aws", metavar="WHICH",
        help="aws, or lab for the emulator's poller (default aws)",
    )  # fmt: skip
    run.add_argument(
        "--oldest-first",
        action="store_true",
        help="the queue gives what was received most often first; without it, receives are a random draw",
    )
    whole("--seed", "seed", 0, _LARGEST_SEED, 1, "chance: the same seed gives the same figures")
    run.add_argument("--picture", type=Path, default=PICTURE, metavar="FILE", help="where the picture goes, a .png")
    run.add_argument("--no-recommendation", action="store_true", help="do not simulate alternatives")
    return parser, run


def _profile(given: argparse.Namespace) -> PollerProfile:
    profile = PROFILES[given.poller]
    return replace(profile, oldest_first=True) if given.oldest_first else profile


def _refuse_what_cannot_work(run: argparse.ArgumentParser, pipeline: Pipeline) -> None:
    if pipeline.capacity < pipeline.rate:
        run.error(
            f"argument --capacity: {pipeline.capacity:g} is refused: must be at least the rate of {pipeline.rate:g}, "
            "or the target is overloaded without any outage"
        )
    if pipeline.visibility < pipeline.timeout:
        run.error(
            f"argument --visibility: {pipeline.visibility} is refused: must be at least the function's timeout of "
            f"{pipeline.timeout} s, or Lambda refuses the mapping"
        )
    if pipeline.latency > pipeline.timeout:
        run.error(
            f"argument --latency: {pipeline.latency:g} is refused: must be at most the function's timeout of "
            f"{pipeline.timeout} s, or no call ever succeeds"
        )


def _settings(run: argparse.ArgumentParser, given: argparse.Namespace) -> BreakerSettings:
    named: dict[str, str] = {}
    for text in given.named:
        name, equals, value = text.partition("=")
        if not equals or name not in _BREAKER_SETTINGS:
            run.error(
                f"argument --set: {text!r} is refused: must be NAME=VALUE, NAME one of {', '.join(_BREAKER_SETTINGS)}"
            )
        named[name] = value
    if given.recovery is not None:
        named["Recovery"] = given.recovery
    settings = BreakerSettings(named)
    try:
        circuit = settings.circuit()
    except InvalidSetting as error:
        run.error(f"argument --set: {error}")
    _refuse_alarm(run, named)
    for name, value, why in (
        ("Recovery", "REJITTER", "the sweep over the backlog is not simulated"),
        ("StoreHeldMessages", False, "probing without stored contents is not simulated"),
    ):
        if circuit[name] == value:
            run.error(f"argument --set: {name}={value} is refused: {why}")
    if circuit["MetricPeriodSeconds"] % 60:
        run.error(
            f"argument --set: MetricPeriodSeconds={circuit['MetricPeriodSeconds']} is refused: must be whole minutes, "
            "as Lambda's metrics are"
        )
    return settings


def _refuse_alarm(run: argparse.ArgumentParser, named: dict[str, str]) -> None:
    declared = template_parameters()
    for name in set(ALARM_PARAMETERS) & set(named):
        rule = declared[name]
        allowed = rule.get("AllowedValues")
        text = (
            f"one of {', '.join(map(str, allowed))}" if allowed else f"{rule.get('MinValue')} to {rule.get('MaxValue')}"
        )
        try:
            number = float(named[name])
            fits = number in allowed if allowed else rule["MinValue"] <= number <= rule["MaxValue"]
        except ValueError:
            fits = False
        if not fits:
            run.error(f"argument --set: {name}={named[name]} is refused: must be {text}")
    periods, points = (
        int(named.get(name, declared[name]["Default"])) for name in ("AlarmEvaluationPeriods", "AlarmDatapointsToAlarm")
    )
    if points > periods:
        run.error(
            f"argument --set: AlarmDatapointsToAlarm={points} is refused: must be at most "
            f"AlarmEvaluationPeriods, {periods}"
        )


def _whole(unit: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is refused: must be a whole number from {least} to {most}, in {unit}"
            )
        return int(text)

    return read


def _max_concurrency(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not (int(text) == 0 or 2 <= int(text) <= 1000):
        raise argparse.ArgumentTypeError(f"{text!r} is refused: must be 0 for none, or a whole number from 2 to 1000")
    return int(text)


def _one_of(*choices: str) -> Callable[[str], str]:
    known = {choice.lower(): str(choice) for choice in choices}

    def read(text: str) -> str:
        if text.lower() not in known:
            raise argparse.ArgumentTypeError(f"{text!r} is refused: must be one of {', '.join(known.values())}")
        return known[text.lower()]

    return read
