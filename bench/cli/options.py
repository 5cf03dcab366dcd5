"""Command-line options that change a scenario: short ones for what is changed often, `--set` for the rest."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from scenarios.reading import document
from scenarios.reading.document import Given
from traffic.paths import read_paths

_PANEL = "Fields of the scenario (commas separate values to compare)"


def _option(help_text: str, *names: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=False)


Topology = Annotated[
    list[str] | None, _option("Where the cache is: sidecar, separate or none.", "--topology")
]
Replicas = Annotated[list[str] | None, _option("Number of copies of the app.", "--replicas")]
Ttl = Annotated[list[str] | None, _option("Lifetime of a cached response, such as 5, 90s or 1h.", "--ttl")]
Rate = Annotated[list[str] | None, _option("Requests per second.", "--rate")]
Rtt = Annotated[
    list[str] | None,
    _option("Round-trip time to a separate Redis, in ms or with a unit, such as 300us.", "--rtt"),
]
Blocks = Annotated[int | None, _option("Number of rounds; each tries every variant once.", "--blocks")]
Duration = Annotated[str | None, _option("Measured time of each trial, such as 30s.", "--duration")]
Seed = Annotated[int | None, _option("Seed of the order, arrivals and keys.", "--seed")]
KeysFile = Annotated[
    Path | None,
    _option("A file with the service's paths, one per line, the most requested first.", "--keys"),
]
Assignments = Annotated[
    list[str] | None, _option("Any field: --set upstream.latency_ms=80, --set 'cache.ttl=[5, 1h]'.", "--set")
]
# By argument: its type, and the field that it sets.
_FIELDS: Final[dict[str, tuple[Any, str]]] = {
    "topology": (Topology, "topology"),
    "replicas": (Replicas, "replicas"),
    "ttl": (Ttl, "cache.ttl"),
    "rate": (Rate, "workload.rate"),
    "rtt": (Rtt, "link.rtt_ms"),
    "blocks": (Blocks, "schedule.blocks"),
    "duration": (Duration, "schedule.duration"),
    "seed": (Seed, "seed"),
}


def takes_fields(*, without: Sequence[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that change a scenario; it gets what they change as `changed`.

    `without` names arguments that the command has for itself.
    """
    taken = {name: kind for name, (kind, _) in _FIELDS.items() if name not in without}
    taken |= {"keys": KeysFile, "assignments": Assignments}

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.name != "changed"
        ]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in taken.items()
        ]

        @functools.wraps(command)
        def called(**given: Any) -> None:
            fields = {name: given.pop(name) for name in taken}
            keys = own_keys(fields.pop("keys"))
            command(**given, changed=keys | overrides(fields.pop("assignments"), **fields))

        signature = inspect.Signature(
            [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own] + added
        )
        called.__signature__ = signature  # type: ignore[attr-defined]  # what typer reads
        called.__annotations__ = {name: found.annotation for name, found in signature.parameters.items()}
        return called

    return decorated


def overrides(
    assignments: Sequence[str] | None = None, **arguments: Sequence[str] | str | int | None
) -> dict[str, object]:
    """Return what the options change: values by dotted field name; several values make a list.

    Raises:
        ScenarioError: a value or an assignment cannot be read.
    """
    changed: dict[str, object] = {}
    for name, given in arguments.items():
        if given is None or given == []:
            continue
        option = f"--{name}"
        written = [str(given)] if isinstance(given, str | int) else list(given)
        levels = [
            document.parse_value(level.strip(), f"{option} {level.strip()}")
            for item in written
            for level in item.split(",")
        ]
        changed[_FIELDS[name][1]] = Given(levels[0] if len(levels) == 1 else levels, option)
    for assignment in assignments or ():
        field, value = document.parse_assignment(assignment)
        changed[field] = Given(value, "--set")
    return changed


def own_keys(file: Path | None) -> dict[str, object]:
    """Return what a file of paths changes: all of them are asked for.

    Raises:
        LogError: it cannot be used.
    """
    if file is None:
        return {}
    fields = {"workload.keys.file": str(file), "workload.keys.count": len(read_paths(file))}
    return {name: Given(value, "--keys") for name, value in fields.items()}
