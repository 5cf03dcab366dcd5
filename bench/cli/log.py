"""`sidecar-bench log`: what a log holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.cli.reading import Keys, LogFormat, Methods, PathRegex, Since, Statuses, StripQuery, Until
from bench.errors import UserError
from bench.terminal import text
from traffic import logs
from traffic.logs import AccessLog, Facts, Reading, shape, telling
from traffic.logs.columnar.anonymous import anonymize
from traffic.logs.shape import Shape


def log(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE…", help="Log files, or the files of a rotated log; - is standard input."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
    anonymous: Annotated[
        Path | None,
        typer.Option(
            "--anonymize",
            metavar="OUT.parquet",
            help="Write times, sizes and hashed keys, which can be handed on.",
        ),
    ] = None,
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
    if anonymous is not None:
        _anonymize(read, anonymous, files)
    said = [*telling.left_out(read.facts), *telling.told_apart(read), *filter(None, [telling.gaps(read)])]
    if as_json:
        typer.echo(json.dumps(shape.figures(read) | {"remarks": said}, indent=2, ensure_ascii=False))
        return
    console = text.console()
    console.print(_table(read.facts, shape.shape(read)))
    for sentence in said:
        console.print(sentence)


def _anonymize(read: AccessLog, out: Path, files: Sequence[str]) -> None:
    """Write an anonymous log; not over one of the logs that it is made of."""
    sources = [name for name in (*files, *read.facts.names) if Path(name).exists()]
    if out.exists() and any(out.samefile(name) for name in sources):
        raise UserError(f"--anonymize {out}: this is the log itself; name another file")
    anonymize(read, out)
    typer.echo(
        f"{out}: {read.facts.requests - read.facts.far:,} requests with their times, methods, statuses and "
        "sizes. Keys are hashes; the secret of the hash was thrown away. Clients are numbers.",
        err=True,
    )


def _table(facts: Facts, found: Shape) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    shares = {
        kind: ", ".join(f"{name} {count:,}" for name, count in counts.items())
        for kind, counts in (("methods", facts.methods), ("statuses", facts.statuses))
    }
    span_s = (facts.last_us - facts.first_us) / 1e6
    skew = "" if found.exponent is None else f"; Zipf exponent {found.exponent:.2f}"
    for name, value in (
        ("files", ", ".join(facts.names)),
        ("format", "; ".join(facts.detected) or facts.format),
        ("lines", f"{facts.lines:,}"),
        ("requests", f"{facts.requests:,} (GET and HEAD)"),
        ("clients", f"{facts.clients:,}" if facts.clients else "not in the log"),
        (
            "resources",
            f"{facts.resources:,}, {facts.asked_once / facts.resources:.0%} of them requested once{skew}",
        ),
        ("working set", _working_set(facts, found)),
        (
            "time",
            f"{telling.moment(facts.first_us)} to {telling.moment(facts.last_us)} ({telling.spoken(span_s)})",
        ),
        ("rate", _rate(facts, found, span_s)),
        ("methods", shares["methods"]),
        ("statuses", shares["statuses"]),
    ):
        table.add_row(name, value)
    return table


def _working_set(facts: Facts, found: Shape) -> str:
    some = found.hourly_resources[found.hourly > 0]
    said = f"{some.mean():,.0f} resources per hour on average, {some.max():,} at most"
    if found.sized:
        whole = "all" if found.sized == facts.resources else f"the {found.sized:,} with a known size"
        said += f"; {whole} total {_bytes(found.resource_bytes)}"
    return said


def _rate(facts: Facts, found: Shape, span_s: float) -> str:
    mean = f"{(facts.requests - facts.far) / span_s:.3g} requests/s on average, " if span_s else ""
    return f"{mean}{found.hourly[found.busiest]:,} in the busiest hour ({found.begins(found.busiest)})"


def _bytes(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 1000)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
