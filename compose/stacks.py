"""Which stack there is to choose, and why one was chosen."""

from __future__ import annotations

from compose.processes import ProcessStack
from compose.stack import Stack, StackError


def choose(wanted: str) -> tuple[str, str]:
    """Return the name of the stack to use for `auto` or a name, and the reason.

    Raises:
        StackError: there is no such stack.
    """
    if wanted == "processes":
        return "processes", "asked for"
    if wanted == "auto":
        return "processes", "local processes are the only stack so far"
    raise StackError(f"--stack {wanted}: there is no such stack; choose auto or processes")


def open_stack(name: str, run_id: str) -> Stack:
    """Return the stack of this name, for one run.

    Raises:
        StackError: it cannot be used here.
    """
    if name == "processes":
        return ProcessStack(run_id)
    raise StackError(f"there is no stack {name}")
