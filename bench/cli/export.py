"""`sidecar-bench export`: what was measured, written as files that deploy it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench.cli import options
from bench.errors import UserError
from bench.store import DEFAULT_ROOT, RunFolder, write_text
from compose.export.service import service
from compose.export.targets import TARGETS
from scenarios import topologies
from scenarios.model import Scenario
from scenarios.reading import document


@options.takes_fields(without=["topology"])
def export(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="ecs, kubernetes or compose.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to write the files to.")],
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario from the library or a YAML file; quick by default.")
    ] = None,
    topology: Annotated[str | None, typer.Option(help="The topology to deploy: sidecar or separate.")] = None,
    run: Annotated[
        str | None,
        typer.Option(
            "--run", metavar="RUN", help="Deploy what a stored run measured: its id, its folder, or `last`."
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option("--variant", metavar="ID", help="The variant to deploy, if there are several."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="ecs: let the internet call the load balancer.")
    ] = False,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Leave out the secret with the upstream's token.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    results: Annotated[Path, typer.Option(help="The folder with all runs.")] = DEFAULT_ROOT,
    *,
    changed: dict[str, object],
) -> None:
    """Write the files that deploy the service of a scenario or a stored run, with its settings."""
    if target not in TARGETS:
        raise UserError(f"{target}: unknown target; use one of: {', '.join(TARGETS)}")
    if public and target != "ecs":
        raise UserError(f"--public: {target} has no load balancer; remove the option")
    if run is None:
        read, source = document.load(scenario or "quick", changed), scenario or "quick"
    else:
        if scenario is not None or changed:
            raise UserError("--run deploys what was measured; remove the scenario and its fields")
        read, source = _measured(RunFolder.find(results, run))
    chosen = _topology(read, topology, variant)
    source += f" --variant {variant}" if variant else ""
    deployed = service(read, chosen, variant_id=variant, source=source, public=public, token=not no_token)
    for line in write(out, TARGETS[target](deployed), force=force):
        typer.echo(line)
    for note in (*_others(read, chosen, variant), *deployed.notes):
        typer.echo(note)


def _measured(run: RunFolder) -> tuple[Scenario, str]:
    """Return the scenario that a run has measured, and how the command line names the run.

    Raises:
        UserError: the run deployed nothing.
    """
    record = run.record()
    if record.stack.targets is not None:
        raise UserError(
            f"{run.path}: this run measured running services, whose settings are not known; "
            "export a scenario instead"
        )
    return record.scenario, f"--run {record.run_id}"


def _topology(scenario: Scenario, topology: str | None, variant_id: str | None) -> str:
    """Return the topology to export: named by an option, given by the variant, or the only one.

    Raises:
        UserError: it cannot be deployed, or is ambiguous.
    """
    if topology is not None and topology not in topologies.exported():
        raise UserError(f"{topology}: cannot be exported; use {_choices()}")
    named = {one.topology for one in scenario.variants if variant_id in (None, one.id)}
    possible = [one for one in topologies.exported() if one in named]
    if variant_id is not None and not possible:
        known = ", ".join(one.id for one in scenario.variants if one.topology in topologies.exported())
        raise UserError(
            f"--variant {variant_id}: {scenario.name} has no such variant to deploy; it has {known}"
        )
    if topology is not None:
        return topology
    if len(possible) == 1:
        return possible[0]
    raise UserError(f"name the topology: {_choices()}")


def _choices() -> str:
    return " or ".join(f"--topology {name}" for name in topologies.exported())


def _others(scenario: Scenario, topology: str, variant_id: str | None) -> Iterator[str]:
    """Say which variant was chosen if there are several."""
    candidates = [one for one in scenario.variants if one.topology == topology]
    if variant_id is None and len(candidates) > 1:
        yield (
            f"This is {candidates[0].id}, the first of {len(candidates)} such variants of {scenario.name}; "
            "--variant names another."
        )


def write(folder: Path, files: Mapping[str, str], *, force: bool = False) -> list[str]:
    """Write files into a folder, and return a line on each. If one would be overwritten, write nothing.

    Raises:
        UserError: a file exists with different content and `force` is not given, or it cannot be written.
    """
    try:
        before = {name: _content(folder / name) for name in files}
        changed = [name for name, text in files.items() if before[name] not in (None, text.encode())]
        if changed and not force:
            raise UserError(
                f"{folder}: {', '.join(changed)} exist with different content; "
                "choose another folder with --out, or overwrite them with --force"
            )
        for name, text in files.items():
            if before[name] != text.encode():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                write_text(folder / name, text)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error})") from error
    return [
        f"{'unchanged' if before[name] == text.encode() else 'wrote'} {folder / name}"
        for name, text in files.items()
    ]


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
