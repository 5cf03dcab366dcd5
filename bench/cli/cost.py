"""`sidecar-bench cost`: what each topology costs a month in the long run, by scenario or stored run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench.cli import options
from bench.errors import UserError
from bench.store import DEFAULT_ROOT, RunFolder
from bench.terminal import text
from scenarios.reading import document


@options.takes_fields()
def cost(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario from the library or a YAML file; not with --run.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Use the traffic of a stored run; `last` is the newest.")
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(help="A file with your own prices, in the format of reports/cost/prices.yaml."),
    ] = None,
    arm: Annotated[bool, typer.Option("--arm", help="Use prices for ARM instead of x86.")] = False,
    results: Annotated[Path, typer.Option("--results", help="The folder with all runs.")] = DEFAULT_ROOT,
    *,
    changed: dict[str, object],
) -> None:
    """Estimate the monthly cost of each topology on AWS Fargate, and its use of an upstream's quota."""
    from reports.analysis.run import analyse
    from reports.cost.prices import DEFAULT, read_prices
    from reports.render import calls, costs

    known = read_prices(prices or DEFAULT)
    if run is not None:
        if scenario is not None or changed:
            raise UserError("--run uses the scenario of the run; remove the scenario and its fields")
        analysed = analyse(RunFolder.find(results, run).path)
        if not any(trial.counts_valid for trial in analysed.summary.trials):
            raise UserError(f"{run}: has no valid trial; `sidecar-bench show {run}` says why")
        read, traffic = analysed.scenario, costs.of_run(analysed)
    elif scenario is not None:
        read = document.load(scenario, changed)
        traffic = costs.of_scenario(read)
    else:
        raise UserError("name a scenario (`sidecar-bench list` shows the library), or give --run last")
    found = costs.table(read, traffic, known, "arm" if arm else "x86")
    unknown = costs.unknown(read, traffic, measured=run is not None)
    if not found.rows:
        raise UserError(" ".join(unknown))
    console = text.console()
    console.print(f"{read.name}: cost per month, in the long run", style="bold")
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(found.heads):
        table.add_column(head, overflow="fold", justify="left" if place < 2 else "right")
    for row in found.rows:
        *cells, last = ("\n".join(filter(None, (cell.text, cell.under))) for cell in row)
        table.add_row(*cells, last.replace(", the quota", "\nthe quota"))
    console.print(table)
    for sentence in unknown:
        console.print(sentence, style="yellow")
    computed = [variant for variant in read.variants if variant.id in traffic]
    for sentence in filter(None, (costs.short_of_memory(computed), calls.depends_on(computed))):
        console.print(sentence)
    console.print(costs.assumptions(known), style="dim")
