"""The demo: set up, stage an outage, sum it up."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from lab.emulator import REGION, ROOT_KEY, ROOT_SECRET
from lab.mailbox import Mailbox
from lab.options import DemoOptions
from lab.outage import OutagePlan
from lab.page import write_page
from lab.picture import draw
from lab.session import LAB_DIR, REPOSITORY, Lab
from lab.summary import print_summary
from lab.timeline import timeline_for

PICTURE, PAGE = LAB_DIR / "outage.png", LAB_DIR / "report.html"
# How long after the fix it may take: the longest pause between probes, a probe, the backlog itself, and the watch.
_RECOVERY_LIMIT = 2400.0
# Re-jittered messages come back over this time, by the template's default.
_REJITTER_SECONDS = 300.0


def run_demo(options: DemoOptions, console: Console) -> int:
    """Run the demo.

    Returns
    -------
    int
        0 if every promise was kept, else 1. What was not kept is printed.
    """
    with Lab(scale=options.scale) as lab:
        mailbox = _set_up(lab, options, console)
        lab.start_alarm()
        lab.start_schedule()
        with timeline_for(console) as timeline:
            result = lab.run_outage(_plan(options), timeline.show)
        print_summary(console, result)
        _show(draw(result, lab.work_dir / "outage.png"), PICTURE, "Picture", console)
        page = write_page(result, mailbox.notices(), mailbox.events(), lab.work_dir / "report.html")
        _show(page, PAGE, "Report", console)
        broken = result.broken_promises()
        for sentence in broken:
            console.print(f"[bold red]FAILED:[/] {sentence}", soft_wrap=True, highlight=False)
        if broken:
            console.print(f"Logs: {_short(lab.work_dir)}", soft_wrap=True, highlight=False)
        if options.keep:
            _stay(lab, console)
    return 1 if broken else 0


def _plan(options: DemoOptions) -> OutagePlan:
    # A longer outage leaves a longer backlog: it drains at least as fast as it came in.
    limit = _RECOVERY_LIMIT + options.outage / 3 + (_REJITTER_SECONDS if options.recovery == "REJITTER" else 0)
    return OutagePlan(rate=options.rate, outage=options.outage, recovery_limit=limit)


def _set_up(lab: Lab, options: DemoOptions, console: Console) -> Mailbox:
    console.print(f"Emulated cloud at {lab.emulator.endpoint}, {options.scale} times faster than AWS", highlight=False)
    with _step(console, "sam build"):
        lab.build()
    with _step(console, "sam deploy"):
        mailbox = Mailbox(lab)
        lab.deploy({"Recovery": options.recovery, "NotificationTopicArn": mailbox.topic})
    return mailbox


@contextmanager
def _step(console: Console, what: str) -> Iterator[None]:
    began = time.monotonic()
    if console.is_terminal:
        with console.status(f"{what} ..."):
            yield
    else:
        yield
    console.print(f"{what}: {time.monotonic() - began:.0f} s", highlight=False)


def _show(own: Path, latest: Path, what: str, console: Console) -> None:
    """Put a run's own file under the well-known name of the latest, whole at any moment. The run keeps its own."""
    unfinished = latest.with_name(f".{own.parent.name}{latest.suffix}")
    shutil.copyfile(own, unfinished)
    unfinished.replace(latest)
    console.print(f"{what}: {_short(latest)}", soft_wrap=True, highlight=False)


def _stay(lab: Lab, console: Console) -> None:
    """Leave everything up until Ctrl-C, and say what to do with it."""
    console.print()
    console.print("The emulated cloud stays up until Ctrl-C. In another terminal:", style="bold")
    for line in play_commands(lab):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    try:
        while True:
            lab.require_working()
            time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("\nEnding the emulated cloud.")


def play_commands(lab: Lab) -> list[str]:
    """Shell lines that work against this lab while it is up."""
    outputs = lab.stack.outputs
    by_hand = shlex.quote(f'{{"circuit": "{outputs["CircuitName"]}", "command": "OPEN", "reason": "by hand"}}')
    order = '{"order_id": "by-hand-1", "lines": [], "total_cents": 0}'
    breaking = shlex.quote(_environment(lab, failing=True))
    mending = shlex.quote(_environment(lab, failing=False))
    sam, of_stack = "sam remote invoke", f"--stack-name {lab.stack.name} --region {REGION}"
    # Named on each line as well: older versions of the command line do not read it from the environment for SQS.
    aws = f"aws --endpoint-url {lab.emulator.endpoint}"
    return [
        f"  export AWS_ENDPOINT_URL={lab.emulator.endpoint} AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION} \\",
        f"    AWS_ACCESS_KEY_ID={ROOT_KEY} AWS_SECRET_ACCESS_KEY={ROOT_SECRET}",
        "",
        "  # send an order, look at the queue",
        f"  {aws} sqs send-message --queue-url {outputs['QueueUrl']} --message-body {shlex.quote(order)}",
        f"  {aws} sqs get-queue-attributes --queue-url {outputs['QueueUrl']} --attribute-names All",
        "  # break the target, mend it",
        f"  {aws} lambda update-function-configuration --function-name {outputs['TargetFunctionName']} \\",
        f"    --environment {breaking}",
        f"  {aws} lambda update-function-configuration --function-name {outputs['TargetFunctionName']} \\",
        f"    --environment {mending}",
        "  # open the circuit by hand, look at the mapping",
        f"  {aws} stepfunctions start-execution --state-machine-arn {outputs['StateMachineArn']} --input {by_hand}",
        f"  {aws} lambda get-event-source-mapping --uuid {outputs['MappingId']}",
        "  # the same with sam; a batch for the target",
        f"  {sam} CircuitBreaker {of_stack} --event {by_hand}",
        f"  {sam} ExampleTargetFunction {of_stack} --event {shlex.quote(_batch_of_one(order))}",
    ]


def _batch_of_one(order: str) -> str:
    """The event that Lambda would send the target for one order."""
    return json.dumps({"Records": [{"messageId": "by-hand-1", "body": order, "eventSource": "aws:sqs"}]})


def _environment(lab: Lab, *, failing: bool) -> str:
    """The target's environment as the aws command line wants it, with SHOULD_ERROR set."""
    current = lab.client("lambda").get_function_configuration(FunctionName=lab.places.function_name)
    variables = {**current["Environment"]["Variables"], "SHOULD_ERROR": str(failing).lower()}
    return "Variables={" + ",".join(f"{name}={value}" for name, value in variables.items()) + "}"


def _short(path: Path) -> str:
    """A path as someone in the repository would type it."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        pass
    return str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else str(path)
