"""`sidecar-bench cost`: what each topology of a scenario costs a month, by theory or as a run measured it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from bench import options, terminal
from bench.errors import UserError
from bench.store import DEFAULT_ROOT, RunFolder
from scenarios import document


@options.takes_fields()
def cost(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario of the library or a YAML file; none with --run.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="Take what a run has measured; `last` is the newest.")
    ] = None,
    prices: Annotated[Path | None, typer.Option(help="Prices of your own, like reports/prices.yaml.")] = None,
    arm: Annotated[bool, typer.Option("--arm", help="On ARM instead of x86.")] = False,
    results: Annotated[Path, typer.Option("--results", help="The folder of all runs.")] = DEFAULT_ROOT,
    *,
    changed: dict[str, object],
) -> None:
    """Say what each topology costs a month on AWS Fargate, and what it asks of an upstream's quota."""
    from reports import analysis, costs
    from reports.prices import DEFAULT, read_prices

    known = read_prices(prices or DEFAULT)
    if run is not None:
        if scenario is not None or changed:
            raise UserError("--run takes the scenario as it was run; leave the scenario and its fields out")
        analysed = analysis.analyse(RunFolder.find(results, run).path)
        read, traffic, source = analysed.scenario, costs.of_run(analysed), "as measured"
    elif scenario is not None:
        read = document.load(scenario, changed)
        traffic, source = costs.of_scenario(read), "by theory, in the long run"
    else:
        raise UserError("which scenario? `sidecar-bench list` names those of the library; or give --run last")
    found = costs.table(read, traffic, known, "arm" if arm else "x86")
    if not found.rows:
        raise UserError(
            "nothing is known of this traffic: theory says nothing of logs, of an upstream that fails, nor "
            "of a cache in the app's memory; run the scenario, then give --run last"
        )
    console = terminal.console()
    console.print(f"{read.name}: a month, {source}", style="bold")
    table = Table(box=None, pad_edge=False)
    for place, head in enumerate(found.heads):
        table.add_column(head, overflow="fold", justify="left" if place < 2 else "right")
    for row in found.rows:
        table.add_row(*("\n".join(filter(None, (cell.text, cell.under))) for cell in row))
    console.print(table)
    console.print(costs.assumptions(known), style="dim")
