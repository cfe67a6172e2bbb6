"""Cold starts: import and first invocation in a fresh interpreter, function and bare handler in turn."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.own_cost.figures import ColdStart, Timing
from benchmarks.own_cost.package import lay_out_package, lay_out_runtime
from benchmarks.own_cost.recording import Recording, record
from benchmarks.own_cost.replay import Replay, replaying
from tests.functions.world import LEDGER, MACHINE_ARN, TABLE

HERE = Path(__file__).resolve().parent
BARE = "bare_handler"
# A step that waits for real, or asks again and again, is not one that can be timed.
_LONGEST_SECONDS = 60


class CannotCompare(Exception):
    """A fresh process did something else than what was recorded. The message is one line for people."""


@dataclass(frozen=True)
class Starter:
    """Starts handlers in fresh interpreters.

    Attributes
    ----------
    package, runtime
        The folders of the modules that they import.
    """

    package: Path
    runtime: Path
    folder: Path
    replay: Replay

    def start(self, module: str, event: object, at: float) -> Timing:
        """Import a handler, invoke it once, and return what that took."""
        file = self.folder / "event.pickle"
        file.write_bytes(pickle.dumps((event, at)))
        done = subprocess.run(  # noqa: S603 - our own interpreter and file
            # Without the site, so that nothing of this environment's own libraries is found.
            [sys.executable, "-S", str(HERE / "fresh_start.py"), module, str(file)],
            env=self._environment(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
        if done.returncode:
            raise CannotCompare(f"{module}: ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return Timing(**json.loads(done.stdout.splitlines()[-1]))

    def _environment(self) -> dict[str, str]:
        return {
            "PYTHONPATH": os.pathsep.join((str(self.package), str(self.runtime))),
            # Lambda's file system is read-only for a function.
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONHASHSEED": "0",
            "AWS_ENDPOINT_URL": self.replay.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "CIRCUIT_TABLE": TABLE,
            "LEDGER_TABLE": LEDGER,
            "STATE_MACHINE_ARN": MACHINE_ARN,
            "NOTIFICATION_TOPIC": "",
            "POWERTOOLS_SERVICE_NAME": "sqs-circuit-breaker",
        }


def measure(modules: list[str], folder: Path, *, rounds: int) -> list[ColdStart]:
    """Time the cold start of each function beside the bare handler's.

    Raises
    ------
    CannotCompare
        A function makes other calls in a fresh process than when it was recorded.
    """
    package = lay_out_package(folder / "package")
    shutil.copyfile(HERE / f"{BARE}.py", package / f"{BARE}.py")
    recordings = [record(module) for module in modules]
    with replaying() as replay:
        starter = Starter(package, lay_out_runtime(folder / "runtime"), folder, replay)
        for recording in recordings:
            if "ResponseURL" in recording.event:
                recording.event["ResponseURL"] = f"{replay.url}/cloudformation"
            _check(starter, recording)
        timings: dict[str, list[tuple[Timing, Timing, Timing]]] = {module: [] for module in modules}
        for _ in range(rounds):
            for recording in recordings:
                timings[recording.module].append(_start_all(starter, recording))
    return [
        ColdStart(recording.module, tuple(str(call) for call in recording.calls), tuple(timings[recording.module]))
        for recording in recordings
    ]


def _start_all(starter: Starter, recording: Recording) -> tuple[Timing, Timing, Timing]:
    """Time the function, the bare handler with the same calls, and the bare handler with a single one."""
    same = [(call.service, call.operation, call.parameters) for call in recording.calls]
    timed = []
    for module, event in (
        (recording.module, recording.event),
        (BARE, {"calls": same}),
        (BARE, {"calls": same[:1]}),
    ):
        starter.replay.load(recording.answers)
        timed.append(starter.start(module, event, recording.at))
    return timed[0], timed[1], timed[2]


def _check(starter: Starter, recording: Recording) -> None:
    starter.replay.load(recording.answers)
    starter.start(recording.module, recording.event, recording.at)
    if starter.replay.unknown or starter.replay.asked != len(recording.answers):
        raise CannotCompare(
            f"{recording.module}: {starter.replay.asked} requests in a fresh process instead of"
            f" {len(recording.answers)}; not recorded: {starter.replay.unknown}"
        )
