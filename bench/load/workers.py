"""Load from several processes: a master and workers, on this machine or on others (docs/load.md)."""

from __future__ import annotations

import argparse
import contextlib
import functools
import ipaddress
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from bench.errors import UserError
from bench.load.local import Load, LoadError, end
from bench.load.said import SilenceError
from compose.host import launch, sealed
from compose.host.commands import how_it_ended
from compose.host.interrupts import shielded
from loadtests.order import Order

_PORT: Final = 5557
_PANEL: Final = "More load than one process can send"
# Exit codes of `python -m loadtests.worker`: the trial was ended early; no master came.
_ENDED_EARLY, _NO_MASTER = 3, 4

Local = Annotated[
    int,
    typer.Option(
        "--workers",
        min=0,
        max=64,
        rich_help_panel=_PANEL,
        help="Number of processes on this machine that send the load.",
    ),
]
Remote = Annotated[
    int,
    typer.Option(
        "--expect-workers", min=0, max=64, rich_help_panel=_PANEL,
        help="Number of workers on other machines to wait for: `sidecar-bench worker`.",
    ),
]  # fmt: skip
Bind = Annotated[
    str | None,
    typer.Option(
        rich_help_panel=_PANEL, metavar="ADDRESS:PORT", show_default=False,
        help=f"Address to listen on for such workers; 127.0.0.1:{_PORT} by default.",
    ),
]  # fmt: skip


@dataclass(frozen=True)
class Crew:
    """Who sends the load: so many workers here, so many that come by themselves."""

    local: int
    remote: int
    bind: str

    def start_load(self) -> Callable[..., Load]:
        """Return what starts a trial's generator."""
        return functools.partial(WorkersLoad, crew=self) if self.local + self.remote else Load

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Let no header, which may be secret, travel to another machine: the line there is not encrypted.

        Raises:
            UserError: it would.
        """
        host = self.bind.rpartition(":")[0].strip("[]")
        if headers and self.remote and not ipaddress.ip_address(host).is_loopback:
            raise UserError(
                "--header and --bind: the connection to workers on other machines is not encrypted; remove "
                "--bind and let workers connect through `ssh -L` (docs/load.md)"
            )

    def remarks(self, cpus: Sequence[int]) -> Iterator[str]:
        """Say what the user should know; `cpus` are those that the generator may use."""
        if self.local > len(cpus) > 0:
            yield f"{self.local} workers share {len(cpus)} of this machine's cores; more workers than "
            "cores do not send more load."
        if self.remote:
            yield (
                f"Each trial waits for {self.remote} workers (--expect-workers); start each with: "
                f"sidecar-bench worker --master {self.bind}"
            )


def given(local: int, remote: int, bind: str | None) -> Crew | None:
    """Return the crew that the options ask for; None where they say nothing.

    Raises:
        UserError: the options do not go together.
    """
    return asked(local, remote, bind) if local or remote or bind is not None else None


def asked(local: int, remote: int, bind: str | None, command: Sequence[str] = ()) -> Crew:
    """Return the crew that the options ask for; where they ask for none, that of the run's own command.

    Raises:
        UserError: the options do not go together.
    """
    if not local and not remote and bind is None:
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
        parser.add_argument("--workers", dest="local", type=int, default=0)
        parser.add_argument("--expect-workers", dest="remote", type=int, default=0)
        parser.add_argument("--bind")
        before, _ = parser.parse_known_args(list(command))
        local, remote, bind = before.local, before.remote, before.bind
    if bind is not None and not remote:
        raise UserError("--bind needs --expect-workers with the number of workers on other machines")
    if not remote:
        return Crew(local, 0, "127.0.0.1:0")
    return Crew(local, remote, _address("127.0.0.1" if bind is None else bind))


def _address(given: str) -> str:
    """Return ADDRESS:PORT of this machine, the port Locust's own where none is given."""
    host, port = _split(given)
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError as error:
        raise UserError(
            f"--bind {given}: is not an address; use one of this machine, such as 192.168.1.10:{_PORT}"
        ) from error
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"


def _split(given: str) -> tuple[str, int]:
    host, colon, port = given.rpartition(":")
    if not colon or given.endswith("]"):
        host, port = given, str(_PORT)
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UserError(f"{given}: is not ADDRESS:PORT, such as 192.168.1.10:{_PORT}")
    return host, int(port)


class WorkersLoad(Load):
    """A master and its workers, made ready while their targets are deployed; all gone on leaving."""

    lead_s = 0.4  # on other machines, too

    def __init__(self, *, run_id: str, cpus: Sequence[int], folder: Path, crew: Crew) -> None:
        super().__init__(run_id=run_id, cpus=cpus, folder=folder)
        self._crew = crew
        self._logs = [folder / "logs" / f"load-worker-{number + 1}.log" for number in range(crew.local)]
        self._workers: list[subprocess.Popen[str]] = []

    def _arguments(self) -> list[str]:
        count = self._crew.local + self._crew.remote
        return ["loadtests.master", "-", "--bind", self._crew.bind, "--workers", str(count)]

    def __enter__(self) -> WorkersLoad:
        super().__enter__()
        # What a run loads is the run's affair: its own workers do not ask again whose the target is.
        worker = ["loadtests.worker", "--master", "-", "--i-own-this-target"]
        for path in self._logs:
            with path.open("w", encoding="utf-8") as log:
                self._workers.append(self._start(worker, stdout=log, stderr=log))
        return self

    def __exit__(self, *_: object) -> None:
        with shielded():
            try:
                for process in self._workers:
                    if process.poll() is None:
                        process.terminate()  # all of them first: none needs to wait for another's end
                for process in self._workers:
                    end(process)
            finally:
                super().__exit__()

    def events(self, order: Order) -> Iterator[dict[str, Any]]:
        """Have an order carried out, and yield what the master reports; afterwards `facts()` answers.

        Raises:
            UserError: the workload cannot be sent, or a worker was lost or does not fit.
            LoadError: master or worker broke.
        """
        if self._said is None:
            raise LoadError("the load generator was not started")
        try:
            said = self._said.line()  # nothing, where it could not listen: its exit code says why
        except SilenceError as error:
            raise LoadError(f"the load generator {error}", self._last_words()) from error
        if said:
            self._tell_port(json.loads(said)["port"])
        yield from super().events(order)

    def _look(self) -> None:
        """Miss a worker that was killed at once; the master would wait for it to come, or to be heard."""
        for number, process in enumerate(self._workers, 1):
            if (process.poll() or 0) < 0:
                raise LoadError(
                    f"process {number} of the workers {how_it_ended(process.returncode)}", self._last_words()
                )

    def _tell_port(self, port: int) -> None:
        host = self._crew.bind.rpartition(":")[0]
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)  # noqa: S104 (it is read, not bound)
        for process in self._workers:
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # it has ended already, and will be missed
                    process.stdin.write(f"{host}:{port}\n")
                    process.stdin.close()

    def _last_words(self) -> str:
        words = [super()._last_words()]
        for number, (process, path) in enumerate(zip(self._workers, self._logs, strict=True), 1):
            code = process.poll()
            if code not in (None, 0, _ENDED_EARLY):
                last = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
                words.append(f"process {number} of the workers {how_it_ended(code)} {''.join(last)}".rstrip())
        return "\n".join(words)


def worker(
    master: Annotated[
        str, typer.Option(metavar="HOST[:PORT]", help="The address at which the run waits for workers.")
    ],
    patience: Annotated[float, typer.Option(help="Exit after this many seconds without a master.")] = 300.0,
    own: Annotated[
        bool,
        typer.Option(
            "--i-own-this-target", help="Also send load to public addresses if the master orders it."
        ),
    ] = False,
) -> None:
    """Send load for a run on another machine, as ordered by its master.

    Connect it only to a master that you trust. It exits if no master appears for some time.
    """
    host, port = _split(master)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(130))
    arguments = ["--master", f"{host}:{port}", "--patience", str(patience)]
    if own:
        arguments.append("--i-own-this-target")
    served = 0
    typer.echo(f"waiting for a master at {host}:{port}; end with Ctrl-C")
    while True:
        began_s = time.monotonic()
        code, said = _one_trial(arguments)
        if code == 0:
            served += 1
        elif code == _NO_MASTER and served:
            typer.echo(f"{said}; sent {served} trials")
            return
        elif code == _ENDED_EARLY:
            typer.echo(said)
        elif code in (2, _NO_MASTER):
            raise UserError(said)
        else:
            raise LoadError(
                f"the worker ended with exit code {code} after {time.monotonic() - began_s:.0f} s:\n{said}"
            )


def _one_trial(arguments: Sequence[str]) -> tuple[int, str]:
    """Take part in one trial, in a process of its own; return its exit code and last words."""
    process = subprocess.Popen(
        launch.command(sealed.python("-m", "loadtests.worker", *arguments)),
        stderr=subprocess.PIPE,
        text=True,
        env=sealed.environment("worker", passed_on=sealed.CERTIFICATES),
        cwd=sealed.CWD,
        start_new_session=True,
    )
    try:
        _, said = process.communicate()
    finally:
        end(process)
    return process.returncode, "\n".join(said.strip().splitlines()[-15:])
