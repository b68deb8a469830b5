"""Becomes another program that cannot outlive its parent. A script: `python -I -S guard.py HOW PARENT PROGRAM ...`.

HOW is `kernel` where the kernel kills a process whose parent has died (Linux), or else the number of a file descriptor:
the reading end of a pipe whose other end only the parent holds, watched by a small process beside the program.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

KERNEL = "kernel"
_PR_SET_PDEATHSIG = 1
_MOST_DESCRIPTORS = 4096


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process, and what it becomes by exec, when the thread that started it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() != parent:  # it died before the kernel was told
        os._exit(1)


def watch_parent(pipe: int) -> None:
    """Leave a process behind that kills this one once nobody holds the other end of the pipe."""
    program = os.getpid()
    if os.fork() != 0:
        os.close(pipe)
        return
    os.closerange(0, pipe)  # above all the lock on the data: it is the program's, not the watcher's
    os.closerange(pipe + 1, _MOST_DESCRIPTORS)
    while os.read(pipe, 1):
        pass
    if os.getppid() == program:  # else it has ended by itself, and its number may be another's
        os.kill(program, signal.SIGKILL)
    os._exit(0)


def main(arguments: Sequence[str]) -> None:
    """Arrange for the end, then become the program."""
    how, parent, *command = arguments
    if how == KERNEL:
        die_with_parent(int(parent))
    else:
        watch_parent(int(how))
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
