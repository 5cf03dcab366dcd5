"""`sidecar-bench predict`: calls, hit ratios, latencies and costs of days of traffic, in seconds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.cli import options
from bench.cli.reading import Keys, LogFormat, Methods, PathRegex, Since, Statuses, StripQuery, Until
from bench.store import DEFAULT_ROOT, write_text
from bench.terminal import text
from reports.calls.sentences import number
from reports.prediction import sentences
from reports.prediction.model import Point, Prediction
from traffic.logs import Reading

_TRAFFIC = "The traffic"
_COMPARED = "What is compared (list values with commas)"
_TIMES = "What requests take"
_MOST_ROWS = 24


def _option(help_text: str, *names: str, panel: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=panel, show_default=False, metavar=metavar)


def predict(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario of the library or a YAML file.", show_default=False)
    ] = None,
    log: Annotated[
        list[str] | None,
        _option("An access log: a file, a pattern, or -. Can be repeated.", "--log", panel=_TRAFFIC),
    ] = None,
    rate: Annotated[float | None, _option("Requests per second.", "--rate", panel=_TRAFFIC)] = None,
    keys: Annotated[int | None, _option("How many paths there are.", "--keys", panel=_TRAFFIC)] = None,
    skew: Annotated[
        float | None, _option("Zipf exponent of their popularity; 0: all alike.", "--skew", panel=_TRAFFIC)
    ] = None,
    start: Annotated[
        str | None,
        _option(
            "cold: caches begin empty. steady: the log's first TTL fills them and is not counted.",
            "--start",
            panel=_TRAFFIC,
            metavar="cold|steady",
        ),
    ] = None,
    ttl: Annotated[list[str] | None, _option("TTLs, such as 5m,1h,6h.", "--ttl", panel=_COMPARED)] = None,
    replicas: Annotated[
        list[str] | None, _option("Replicas: 6, 2,4,8 or 1..16.", "--replicas", panel=_COMPARED)
    ] = None,
    routing: Annotated[
        str | None, _option("random, round-robin, sticky or hash.", "--routing", panel=_COMPARED)
    ] = None,
    l1: Annotated[
        str | None, _option("A cache in the process in front of Redis: its TTL.", "--l1", panel=_COMPARED)
    ] = None,
    maxmemory: Annotated[
        str | None, _option("Memory of each Redis, such as 64MB.", "--maxmemory", panel=_COMPARED)
    ] = None,
    memory_total: Annotated[
        str | None,
        _option("Memory of all together: sidecars get equal shares.", "--memory-total", panel=_COMPARED),
    ] = None,
    quota: Annotated[
        str | None, _option("Calls that the upstream allows, as 5000/h.", "--quota", panel=_COMPARED)
    ] = None,
    deploys: Annotated[
        str | None, _option("Rolling deployments, as 3/day.", "--deploys", panel=_COMPARED)
    ] = None,
    negative_ttl: Annotated[
        str | None, _option("How long a 404 is kept; 0: not at all.", "--negative-ttl", panel=_COMPARED)
    ] = None,
    assignments: Annotated[
        list[str] | None,
        _option("Any field of a scenario: --set cache.revalidate=1d.", "--set", panel=_COMPARED),
    ] = None,
    measured: Annotated[
        str | None,
        _option(
            "Take times from a stored run; `last` is the newest.", "--measured", panel=_TIMES, metavar="RUN"
        ),
    ] = None,
    hit: Annotated[str | None, _option("A hit in a sidecar, in ms.", "--hit", panel=_TIMES)] = None,
    rtt: Annotated[
        str | None, _option("Round trip to a separate Redis, in ms.", "--rtt", panel=_TIMES)
    ] = None,
    upstream_latency: Annotated[
        str | None, _option("The upstream's median latency, in ms.", "--upstream-latency", panel=_TIMES)
    ] = None,
    check: Annotated[
        str | None,
        _option(
            "Compare a stored run's trials with what is predicted for their own requests.",
            "--check",
            panel=_TIMES,
            metavar="RUN",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for prediction.json and prediction.html.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write prediction.json to standard output.")
    ] = False,
    log_format: LogFormat = None,
    path_regex: PathRegex = None,
    methods: Methods = None,
    statuses: Statuses = None,
    since: Since = None,
    until: Until = None,
    strip_query: StripQuery = None,
    key_rules: Keys = None,
    results: Annotated[Path, typer.Option("--results", help="The folder of all runs.")] = DEFAULT_ROOT,
) -> None:
    """Predict hit ratios, upstream calls, latencies and costs for days of your own traffic, in seconds.

    Give an access log (--log), a scenario, or numbers (--rate, --keys, --skew). Where a list is given, the
    answer is about its middle value. --check exits with 1 where a trial differs from its prediction.
    """
    if check is not None:
        from bench.predicting.checking import compare

        sys.exit(0 if compare(text.console(), results, check) else 1)
    from bench.predicting.asking import Options, ask
    from reports.prediction.assemble import predict as computed

    reading = Reading(
        log_format, path_regex, tuple(methods or ()), tuple(statuses or ()), since, until,
        tuple(strip_query or ()), tuple(key_rules or ()),
    )  # fmt: skip
    question = ask(
        Options(
            scenario, log or (), reading, ttl or (), replicas or (), rate, keys, skew, quota, deploys,
            routing, maxmemory, memory_total, rtt, upstream_latency, hit, negative_ttl, l1, start, measured,
            options.overrides(assignments), results, ("sidecar-bench", *sys.argv[1:]),
        )
    )  # fmt: skip
    found = computed(question)
    written = found.model_dump_json(indent=2, by_alias=True) + "\n"
    if as_json:
        typer.echo(written, nl=False)
    else:
        show(text.console(), found)
    if out is not None:
        _write(out, found, written, None if as_json else text.console())


def _write(out: Path, found: Prediction, written: str, console: Console | None) -> None:
    from reports.prediction.page import page  # matplotlib: only where a page is asked for

    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "prediction.json", written)
    write_text(out / "prediction.html", page(found))
    if console is not None:
        console.print(f"Prediction: {out / 'prediction.html'}", soft_wrap=True)


def show(console: Console, found: Prediction) -> None:
    """Print the answer, and a table of the points."""
    console.print()
    console.print(found.answer, style="bold")
    console.print()
    console.print(_table(found))
    for sentence in found.notes:
        console.print(sentence, style="yellow")
    if said := sentences.times(found):
        console.print(said, style="dim")


def _table(found: Prediction) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))  # 80 columns have room for all of them
    heads = [
        "topology",
        "replicas",
        "TTL",
        "hit ratio",
        "calls/h",
        "busiest hour",
        "mean ms",
        "p99 ms",
        "$/month",
    ]
    if found.span.partial_hour:
        heads[4] = "calls"
    if found.quota is not None:
        heads.insert(6, "hours over quota")
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 else "right")
    shown = (
        found.points if len(found.points) <= _MOST_ROWS else [found.point(name) for name in found.own.points]
    )
    seen: set[int] = set()
    for point in shown:
        if point.topology == "none":
            if point.replicas in seen:
                continue  # it has no TTL to vary
            seen.add(point.replicas)
        table.add_row(*_cells(point, with_quota=found.quota is not None))
    return table


def _cells(point: Point, *, with_quota: bool) -> list[str]:
    hourly, latency = point.upstream_calls_per_hour, point.latency
    name = f"{point.topology} + l1" if point.l1_s else point.topology
    cells = [
        name,
        str(point.replicas),
        "–" if point.topology == "none" else sentences.duration(point.ttl_s),
        f"{point.hit_ratio:.1%}",
        number(hourly.mean),
        number(hourly.busiest),
        f"{latency.mean_ms:.3g}" if latency else "does not fit",
        f"{latency.p99_ms:.3g}" if latency else "–",
        f"{point.monthly_usd:,.0f}" if point.monthly_usd is not None else "–",
    ]
    if with_quota:
        cells.insert(6, number(point.hours_over_quota or 0.0))
    return cells
