"""The command line: ``python -m lab demo``, ``compare``, ``signals`` and ``chaos``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from rich.console import Console

from lab.options import ChaosOptions, CompareOptions, SignalsOptions, parse_options

# Shells' own convention for a program ended by a signal.
_ENDED_BY_SIGNAL = 128


class _Terminated(SystemExit):
    """The lab was asked to end. Unwinds like any exception, so that every process is ended on the way."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lab. Returns the exit code: 0, 1 for a broken promise or a failure, 128 + n for signal n."""
    options = parse_options(sys.argv[1:] if arguments is None else arguments)
    console = Console()
    # Imported here: --help and refusals should not wait for boto3 and matplotlib.
    from lab.alarm import UnsupportedAlarm
    from lab.alarm_stand_in import StandInFailed
    from lab.chaos import ChaosNotRun, run_chaos
    from lab.comparison import run_comparison
    from lab.demo import run_demo
    from lab.deployment import DeploymentFailed
    from lab.emulator import EmulatorFailed
    from lab.fault_proxy import ProxyFailed
    from lab.metric_math import UnsupportedExpression
    from lab.observation import ObservationFailed
    from lab.orders import OrdersNotSent
    from lab.outage import OutageNotRun
    from lab.schedule_stand_in import ScheduleFailed, UnsupportedSchedule
    from lab.signals import SignalNotSeen, run_signals
    from lab.template import CannotResolve

    expected = (
        CannotResolve,
        ChaosNotRun,
        DeploymentFailed,
        EmulatorFailed,
        ObservationFailed,
        OrdersNotSent,
        OutageNotRun,
        ProxyFailed,
        ScheduleFailed,
        SignalNotSeen,
        StandInFailed,
        UnsupportedAlarm,
        UnsupportedExpression,
        UnsupportedSchedule,
    )
    # A shell that starts a program in the background has it ignore Ctrl-C. Whoever sends it all the same means it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, _unwind)
    try:
        if isinstance(options, ChaosOptions):
            return run_chaos(options, console)
        if isinstance(options, SignalsOptions):
            return run_signals(console)
        return run_comparison(console) if isinstance(options, CompareOptions) else run_demo(options, console)
    except KeyboardInterrupt:
        console.print("\nStopped. Nothing is left running.")
        return _ENDED_BY_SIGNAL + signal.SIGINT
    except expected as error:
        console.print("[bold red]FAILED:[/] ", end="")
        console.print(str(error), markup=False, highlight=False, soft_wrap=True)
        return 1
    finally:
        # Whoever pipes us into head must not get a traceback at the end.
        _flush_quietly()


def _unwind(number: int, _frame: FrameType | None) -> None:
    raise _Terminated(_ENDED_BY_SIGNAL + number)


def _flush_quietly() -> None:
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
