"""The terminal: text is text, whatever is in it and whatever the terminal can show."""

from __future__ import annotations

import io
import sys

from rich.console import Console


def console() -> Console:
    """Return the console that commands print to. Brackets in names and paths are no markup to it."""
    return Console(markup=False, highlight=False, emoji=False)


def prepare() -> None:
    """Let output that the terminal's encoding does not have be shown as escapes, and not end a run."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
