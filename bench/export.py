"""`sidecar-bench export`: what was measured, written as files that deploy it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from bench import options
from bench.errors import UserError
from bench.store import write_text
from compose.export.service import service
from compose.export.targets import TARGETS
from scenarios import document

_TOPOLOGIES = ("sidecar", "separate")


@options.takes_fields(without=["topology"])
def export(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="ecs, kubernetes or compose.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder that takes the files.")],
    scenario: Annotated[str, typer.Argument(help="A scenario of the library or a YAML file.")] = "quick",
    topology: Annotated[
        str | None, typer.Option(help="sidecar or separate: which of the two is to be deployed.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    *,
    changed: dict[str, object],
) -> None:
    """Write the files that deploy a scenario's service: a template, manifests or Compose files."""
    if target not in TARGETS:
        raise UserError(f"{target}: cannot be exported to; give one of: {', '.join(TARGETS)}")
    if topology not in _TOPOLOGIES:
        given = f"{topology}: not to be exported" if topology else "which topology?"
        raise UserError(f"{given}; give --topology sidecar or --topology separate")
    read = document.load(scenario, changed)
    files = TARGETS[target](service(read, topology))
    for line in write(out, files, force=force):
        typer.echo(line)
    candidates = [variant for variant in read.variants if variant.topology == topology]
    if len(candidates) > 1:
        typer.echo(
            f"This is {candidates[0].id}, the first of {len(candidates)} such variants of {read.name}."
        )


def write(folder: Path, files: Mapping[str, str], *, force: bool = False) -> list[str]:
    """Write files into a folder, and return a line on each. Nothing is written where one is in the way.

    Raises:
        UserError: a file is there with another content and `force` is not given, or cannot be written.
    """
    try:
        before = {name: _content(folder / name) for name in files}
        changed = [name for name, text in files.items() if before[name] not in (None, text.encode())]
        if changed and not force:
            raise UserError(
                f"{folder}: {', '.join(changed)} would be overwritten with another content; "
                "name another folder with --out, or add --force"
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
