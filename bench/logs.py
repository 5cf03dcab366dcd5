"""`sidecar-bench log`: what a log holds; and what `check` and `run` tell of the logs of a scenario."""

from __future__ import annotations

import json as _json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench import terminal
from bench.errors import UserError
from scenarios.contract import OURS
from scenarios.model import Scenario
from traffic import logs
from traffic.logs import Facts, handing, replay, telling


def log(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Logs, or the files of a rotated one; - is standard input."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Say what an access log holds, without running anything."""
    read = logs.read(files)
    said = [*telling.left_out(read.facts), *telling.told_apart(read), *filter(None, [telling.gaps(read)])]
    if json:
        typer.echo(_json.dumps(telling.figures(read.facts) | {"remarks": said}, indent=2, ensure_ascii=False))
        return
    console = terminal.console()
    console.print(_table(read.facts))
    for sentence in said:
        console.print(sentence)


def _table(facts: Facts) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    shares = {
        kind: ", ".join(f"{name} {count:,}" for name, count in counts.items())
        for kind, counts in (("methods", facts.methods), ("statuses", facts.statuses))
    }
    span = telling.spoken((facts.last_us - facts.first_us) / 1e6)
    for name, value in (
        ("files", ", ".join(facts.names)),
        ("format", facts.format),
        ("lines", f"{facts.lines:,}"),
        ("requests", f"{facts.requests:,} (GET and HEAD)"),
        (
            "resources",
            f"{facts.resources:,}, {facts.asked_once / facts.resources:.0%} of them asked for once",
        ),
        ("time", f"{telling.moment(facts.first_us)} to {telling.moment(facts.last_us)} ({span})"),
        ("methods", shares["methods"]),
        ("statuses", shares["statuses"]),
    ):
        table.add_row(name, value)
    return table


def examine(scenario: Scenario, say: Callable[[str], None], prefix: str = OURS.prefix) -> None:
    """Read the logs of a scenario, and say what its trials leave out of them.

    Raises:
        LogError: a log cannot be used.
    """
    told: set[str] = set()
    span_s = scenario.schedule.warmup + scenario.schedule.duration
    for workload in dict.fromkeys(variant.workload for variant in scenario.variants):
        if workload.log is None:
            continue
        read = replay.own(logs.read_once(workload.log), prefix)
        telling.check(read.facts)
        replay.window(read, workload.from_, span_s, workload.speedup)
        for sentence in telling.of_trial(read, workload, span_s):
            if sentence not in told:
                say(sentence)
            told.add(sentence)


def store(scenario: Scenario, run: Path, prefix: str = OURS.prefix) -> None:
    """Store the logs of a scenario in a run's folder, where all its processes open them.

    Raises:
        LogError: a log cannot be used.
        UserError: the folder cannot be written.
    """
    for log_path in dict.fromkeys(variant.workload.log for variant in scenario.variants):
        if log_path is not None:
            try:
                handing.handed_on(log_path, run / handing.FOLDER, prefix)
            except OSError as error:
                raise UserError(f"{run}: the log cannot be stored there ({error.strerror})") from error
