"""How a run starts: its record, its folder, and the hint that says how to resume it."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bench.run import machine
from bench.store import RunFolder, new_run_id
from bench.targets import contracts, services
from reports.stored.records import RunRecord, TargetsChoice
from scenarios.model import Scenario


@contextlib.contextmanager
def hint(folder: RunFolder) -> Iterator[None]:
    """Say with whatever ends a run how to resume it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"Resume with: sidecar-bench run --resume {shlex.quote(str(folder.path))}")
        raise


def begin(
    scenario: Scenario, stack: str, results: Path, aim: TargetsChoice | None
) -> tuple[RunRecord, RunFolder]:
    """Write down what a run is, and make its folder.

    Raises:
        StackError: there is no such stack, or it cannot be used.
        UserError: the folder cannot be written.
    """
    now = datetime.now(UTC)
    record = RunRecord(
        run_id=new_run_id(results, scenario.name, now),
        scenario=scenario,
        command=["sidecar-bench", *contracts.redacted(sys.argv[1:])],
        started=now.isoformat(timespec="seconds"),
        stack=services.stack_choice(stack, aim),
        environment=machine.environment(),
    )
    return record, RunFolder.create(results, record)
