"""`sidecar-bench log`: what a log holds; and what `check` and `run` tell of the logs of a scenario."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.cli.reading import Keys, LogFormat, Methods, PathRegex, Since, Statuses, StripQuery, Until
from bench.errors import UserError
from bench.store import write_text
from bench.terminal import text
from reports.stored.logs import SAID
from scenarios.contract import OURS
from scenarios.model import Scenario, Workload
from traffic import logs
from traffic.logs import Facts, Reading, handing, replay, telling


def log(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Logs, or the files of a rotated one; - is standard input."),
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
    """Say what an access log holds, without running anything."""
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


def examine(scenario: Scenario, say: Callable[[str], None], prefix: str = OURS.prefix) -> list[str]:
    """Read the logs of a scenario, and say what trials leave out of them, and bend; return what was said.

    Raises:
        LogError: a log cannot be used.
    """
    said: list[str] = []
    span_s = scenario.schedule.warmup + scenario.schedule.duration
    for workload in dict.fromkeys(variant.workload for variant in scenario.variants):
        if workload.log is None:
            continue
        read = replay.own(logs.read_once(workload.log), prefix)
        telling.check(read.facts)
        replay.window(read, workload.from_, span_s, workload.speedup)
        said += telling.of_trial(read, workload, span_s)
        said += _bent(scenario, workload)
    sentences = list(dict.fromkeys(said))
    for sentence in sentences:
        say(sentence)
    return sentences


def store(scenario: Scenario, said: Sequence[str], run: Path, prefix: str = OURS.prefix) -> None:
    """Store the logs of a scenario in a run's folder, where all its processes open them, and what was said.

    Raises:
        LogError: a log cannot be used.
        UserError: the folder cannot be written.
    """
    folder = run / handing.FOLDER
    named = dict.fromkeys(variant.workload.log for variant in scenario.variants if variant.workload.log)
    try:
        for log_path in named:
            handing.handed_on(log_path, folder, prefix)
    except OSError as error:
        raise UserError(f"{folder}: the log cannot be stored ({error.strerror}); make room there") from error
    if said:
        write_text(folder / SAID, json.dumps(list(said), ensure_ascii=False, indent=2))


def _bent(scenario: Scenario, workload: Workload) -> Iterator[str]:
    """Say where a log's speedup bends hit ratios by more than a point, by how much, and what does not."""
    if workload.arrivals != "log" or workload.speedup <= 1:
        return
    from simulation import compression  # numba: only where there is something to simulate

    schedule, slower = scenario.schedule, workload.speedup
    span_s, steady = schedule.warmup + schedule.duration, schedule.start == "steady"
    for variant in scenario.variants:
        if variant.workload != workload:
            continue
        found = compression.bend(variant, span_s, scenario.seed, steady=steady)
        if found is None or abs(found.by) <= compression.MOST_BENT:
            continue
        fill_ms = variant.upstream.latency_ms + compression.OVERHEAD_MS
        yield (
            f"Warning: at {workload.speedup:g} times the log's speed, a fill of {fill_ms:g} ms takes "
            f"{telling.spoken(fill_ms / 1000 * workload.speedup)} of its time: {variant.id} would show a hit "
            f"ratio of {found.sped_up:.1%} where {found.own:.1%} is true ({found.by * 100:+.1f} points)"
        )
        slower = min(slower, compression.straight(variant, span_s, scenario.seed, steady=steady) or slower)
    if slower < workload.speedup:
        yield f"--set workload.speedup={slower:g} keeps that within a point"
