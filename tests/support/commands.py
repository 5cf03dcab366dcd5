"""`sidecar-bench`, called in the tests' own process: one of its own imports for a second each time."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from bench.cli import app


@dataclass(frozen=True)
class Ended:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def sidecar_bench(*arguments: str, cwd: Path) -> Ended:
    """Call the command as the shell would."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    stdout, stderr = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        contextlib.chdir(cwd),
        mock.patch.object(sys, "argv", ["sidecar-bench", *arguments]),
        mock.patch.dict(os.environ, COLUMNS="200"),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            app.main()
        except SystemExit as ended:
            code = ended.code
        finally:
            for number, handler in zip(numbers, handlers, strict=True):
                signal.signal(number, handler)
    assert isinstance(code, int)
    return Ended(code, stdout.getvalue(), stderr.getvalue())
