"""Run a program so that it, and every process it starts, ends when the lab ends.

The lab starts this file with a program's command line, in a session of its own, and keeps the writing end of a pipe
to it. The leash waits for its program and for the end of that pipe. The pipe ends when the lab closes it, and also
when the lab is killed outright, because the kernel closes it then: no handler in the lab has to run. The leash then
ends its whole process group.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

# Long enough for the emulator to close its port, short enough that Ctrl-C feels immediate.
GRACE_SECONDS = 1.5
_POLL_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1


class LeashedProcess:
    """A program on a leash, seen from the lab.

    Parameters
    ----------
    command
        The program and its arguments.
    env
        Its whole environment. Nothing is inherited from the lab.
    log
        The file its output goes to.
    cwd
        The directory it runs in.
    """

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], log: Path, cwd: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                # This file alone, isolated: the program must not find the repository on its path.
                [sys.executable, "-I", __file__, *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                # A session of its own: Ctrl-C in the terminal reaches the lab alone, which then ends things in order.
                start_new_session=True,
            )

    @property
    def returncode(self) -> int | None:
        """The program's exit code, None while it runs."""
        return self._process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the program to end by itself and return its exit code."""
        return self._process.wait(timeout)

    def end(self) -> None:
        """End the program and all its children. Safe to call twice."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        try:
            self._process.wait(GRACE_SECONDS + 3)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # The leash has normally done this. If it was itself killed, its group may still be there.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def tail(self, lines: int = 25) -> str:
        """The last lines of the program's output."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        return ""


def _die_with_parent() -> None:
    """On Linux, have the kernel end the program even if the leash itself is killed."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_group(child: subprocess.Popen[bytes]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    # Also ends this process: it is a member of the group and its work is done.
    os.killpg(0, signal.SIGKILL)


def _pipe_has_ended(pipe: IO[bytes]) -> bool:
    readable, _, _ = select.select([pipe], [], [], _POLL_SECONDS)
    return bool(readable) and os.read(pipe.fileno(), 1) == b""


def _run(command: Sequence[str]) -> int:
    """Run the command until it ends or the pipe on standard input does."""
    # Only the pipe decides. The group's other members still get these signals.
    for name in (signal.SIGINT, signal.SIGHUP):
        signal.signal(name, signal.SIG_IGN)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=_die_with_parent)
    pipe = sys.stdin.buffer
    while child.poll() is None:
        if _pipe_has_ended(pipe):
            _end_group(child)
    # The program is done. What it may have left behind in its group is not wanted either.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.killpg(0, signal.SIGTERM)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:]))
