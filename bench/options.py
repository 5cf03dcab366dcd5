"""Command-line options that change a scenario: short ones for what is changed often, `--set` for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
import yaml

from scenarios import document

_PANEL = "The scenario's fields (repeat an option, or list values with commas, to compare them)"


def _option(help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=False)


Topology = Annotated[list[str] | None, _option("sidecar, separate or none.", "--topology")]
Replicas = Annotated[list[str] | None, _option("Copies of the app.", "--replicas")]
Ttl = Annotated[list[str] | None, _option("Lifetime of a cached response, such as 5, 90s or 1h.", "--ttl")]
Rate = Annotated[list[str] | None, _option("Requests per second.", "--rate")]
Rtt = Annotated[list[str] | None, _option("Round trip to a separate Redis, in ms or as 300us.", "--rtt")]
Blocks = Annotated[int | None, _option("Rounds in which every variant is tried once.", "--blocks")]
Duration = Annotated[str | None, _option("Measured time of a trial, such as 30s.", "--duration")]
Seed = Annotated[int | None, _option("Seeds order, arrivals and keys.", "--seed")]
Assignments = Annotated[
    list[str] | None, _option("Any field: --set upstream.latency_ms=80, --set 'cache.ttl=[5, 1h]'.", "--set")
]


def overrides(
    assignments: Sequence[str] | None = None, **named: Sequence[str] | str | int | None
) -> dict[str, object]:
    """Return what the options change: values by dotted field name; several values make a list.

    `named` has the field's name with `__` for the dot.

    Raises:
        ScenarioError: an assignment cannot be read.
    """
    changed: dict[str, object] = {}
    for name, given in named.items():
        if given is None or given == []:
            continue
        written = [str(given)] if isinstance(given, str | int) else list(given)
        levels = [yaml.safe_load(level.strip()) for item in written for level in item.split(",")]
        changed[name.replace("__", ".")] = levels[0] if len(levels) == 1 else levels
    changed.update(document.parse_assignment(assignment) for assignment in assignments or ())
    return changed
