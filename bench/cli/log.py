"""`sidecar-bench log`: what a log holds."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.table import Table

from bench.cli.reading import Keys, LogFormat, Methods, PathRegex, Since, Statuses, StripQuery, Until
from bench.terminal import text
from traffic import logs
from traffic.logs import Facts, Reading, telling


def log(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="Log files, or the files of a rotated log; - is standard input."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
    log_format: LogFormat = None,
    path_regex: PathRegex = None,
    methods: Methods = None,
    statuses: Statuses = None,
    since: Since = None,
    until: Until = None,
    strip_query: StripQuery = None,
    keys: Keys = None,
) -> None:
    """Describe an access log, without running anything."""
    reading = Reading(
        log_format, path_regex, tuple(methods or ()), tuple(statuses or ()), since, until,
        tuple(strip_query or ()), tuple(keys or ()),
    )  # fmt: skip
    read = logs.read(files, reading)
    said = [*telling.left_out(read.facts), *telling.told_apart(read), *filter(None, [telling.gaps(read)])]
    if as_json:
        typer.echo(json.dumps(telling.figures(read.facts) | {"remarks": said}, indent=2, ensure_ascii=False))
        return
    console = text.console()
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
        ("format", "; ".join(facts.detected) or facts.format),
        ("lines", f"{facts.lines:,}"),
        ("requests", f"{facts.requests:,} (GET and HEAD)"),
        (
            "resources",
            f"{facts.resources:,}, {facts.asked_once / facts.resources:.0%} of them requested once",
        ),
        ("time", f"{telling.moment(facts.first_us)} to {telling.moment(facts.last_us)} ({span})"),
        ("methods", shares["methods"]),
        ("statuses", shares["statuses"]),
    ):
        table.add_row(name, value)
    return table
