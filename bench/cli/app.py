"""The command `sidecar-bench`."""

from __future__ import annotations

import contextlib
import sys
import traceback
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

import reports
from bench.cli import cost, doctor, export, log, options, predict, show
from bench.errors import UserError
from bench.load import workers
from bench.load.local import LoadError
from bench.run import remarks
from bench.selftest import command
from bench.session import logs
from bench.session.request import RunRequest
from bench.session.request import run as start
from bench.store import DEFAULT_ROOT, RunFolder, runs, write_text
from bench.targets import arguments, contracts, guard, services
from bench.terminal import progress, text
from compose import clean as cleaning
from compose.host import interrupts, ownership
from compose.stack import StackError
from reports import ResultsError
from reports.render.junit import render as as_junit
from reports.render.markdown import render as as_markdown
from scenarios.reading import document
from scenarios.reading.document import ScenarioError
from traffic.logs import LogError

# Exit codes in addition to 0, 1 and 3, which state a run's result (`reports.exit_code`).
INVALID: Final = 2
FAILED: Final = 4
INTERRUPTED: Final = 130
PIPE_CLOSED: Final = 141

cli = typer.Typer(
    help="Find out where the Redis cache of a FastAPI service should live: in the app's task (sidecar) or "
    "in its own (separate).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Results = Annotated[Path, typer.Option("--results", help="The folder with all runs.")]
RunName = Annotated[
    str, typer.Argument(metavar="RUN", help="The id or folder of a run; `last` is the newest.")
]
StackName = Annotated[
    str, typer.Option("--stack", help="Where to deploy variants: auto, docker or processes.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sidecar-bench {metadata.version('sidecar-bench')}")
        raise typer.Exit


@cli.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


@cli.command()
@options.takes_fields()
def run(
    scenario: Annotated[
        str | None, typer.Argument(help="A scenario from the library (see `list`) or a YAML file.")
    ] = None,
    stack: StackName = "auto",
    target: arguments.Target = None,
    label: arguments.Label = None,
    own: arguments.Own = False,
    rate_cap: arguments.RateCap = None,
    duration_cap: arguments.DurationCap = None,
    path: arguments.KeyPath = None,
    outcome: arguments.Outcomes = None,
    cache: arguments.CacheName = None,
    header: arguments.Headers = None,
    upstream_count: arguments.CountUrl = None,
    local_workers: workers.Local = 0,
    expected_workers: workers.Remote = 0,
    bind: workers.Bind = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Resume an interrupted run.")] = None,
    results: Results = DEFAULT_ROOT,
    markdown: Annotated[Path | None, typer.Option(help="Also write the results as Markdown.")] = None,
    junit: Annotated[Path | None, typer.Option(help="Also write thresholds and trials as JUnit XML.")] = None,
    *,
    changed: dict[str, object],
) -> None:
    """Compare the variants of a scenario and write a report.

    Exit codes:

    0: every threshold is met; without thresholds: something was decided

    1: a threshold is violated

    2: invalid input

    3: a threshold is undecided, or nothing could be decided

    4: the run itself failed
    """
    crew = workers.given(local_workers, expected_workers, bind)
    called = contracts.asked(
        path,
        outcome,
        cache,
        header,
        upstream_count,
        own_keys=bool(target) and "workload.keys.file" in changed,
    )
    aim = services.asked(target, label, own, rate_cap, duration_cap, called)
    if crew is not None:
        crew.check_headers(called.headers)
    if resume is not None and (scenario or changed):
        raise UserError("--resume uses the scenario of the run; remove the scenario and its fields")
    request = RunRequest(
        scenario=services.load(scenario, changed, stack, aim.choice) if scenario else None,
        stack=stack,
        targets=aim,
        crew=crew,
        results=results,
        resume=resume,
        command=["sidecar-bench", *contracts.redacted(sys.argv[1:])],
    )
    console = text.console()
    with progress.listener(console) as listener:
        folder = start(request, listener)
    summary = show.verdict(console, folder)
    for file, render in ((markdown, as_markdown), (junit, as_junit)):
        if file is not None:
            write_text(file, render(summary))
    sys.exit(reports.exit_code(summary))


@cli.command()
def report(name: RunName = "last", results: Results = DEFAULT_ROOT) -> None:
    """Regenerate a stored run's report."""
    show.verdict(text.console(), RunFolder.find(results, name))


@cli.command(name="list")
def list_(results: Results = DEFAULT_ROOT) -> None:
    """List the scenarios of the library and the stored runs."""
    show.listing(text.console(), document.library(), runs(results))


@cli.command(name="show")
def show_(
    name: Annotated[str, typer.Argument(help="A scenario, or the id or folder of a run, or `last`.")],
    results: Results = DEFAULT_ROOT,
) -> None:
    """Show what a scenario compares, or what a run has found."""
    console = text.console()
    if name in document.library() or name.endswith((".yaml", ".yml")):
        show.scenario(console, document.build(document.read(document.find(name))))
    else:
        show.found(console, reports.summarize(RunFolder.find(results, name).path))


@cli.command()
@options.takes_fields()
def check(
    scenario: Annotated[str, typer.Argument(help="A scenario from the library or a YAML file.")],
    *,
    changed: dict[str, object],
) -> None:
    """Check a scenario and show what it would compare, without running it."""
    read = document.load(scenario, changed)
    guard.check_requests(read)
    console = text.console()
    show.scenario(console, read)
    show.remarks(console, remarks.of(read))
    logs.examine(read, console.print)


@cli.command(name="doctor")
def doctor_() -> None:
    """Show what this machine can run, and how to add what is missing."""
    doctor.examine(text.console())


@cli.command(name="selftest")
def selftest_(
    full: Annotated[
        bool, typer.Option(help="Ask more questions and run three times as many blocks, for nightly use.")
    ] = False,
    results: Results = DEFAULT_ROOT,
) -> None:
    """Test the bench on this machine with six questions whose answers are known.

    Exit codes: 0, all answers are as expected; 1, one is not; 3, too few valid trials to answer all.
    """
    root = results / f"selftest-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    sys.exit(command.selftest(text.console(), root, full=full))


cli.command(name="log")(log.log)
cli.command(name="export")(export.export)
cli.command(name="cost")(cost.cost)
cli.command(name="predict")(predict.predict)


cli.command(name="worker")(workers.worker)


@cli.command()
def clean() -> None:
    """Remove what interrupted runs have left behind: processes, folders, containers, networks."""
    cleaned = cleaning.clean()
    for line in cleaned.removed:
        typer.echo(f"removed {line}")
    for line in cleaned.left:
        typer.echo(f"did not touch {line}")
    if cleaned.stuck:
        raise UserError("\n".join(f"could not remove {line}" for line in cleaned.stuck))
    if not cleaned.removed and not cleaned.left:
        typer.echo("nothing to remove")


def main() -> None:
    """Run the command. Every error is one message; docs/results.md lists the exit codes."""
    interrupts.install()
    text.prepare()
    try:
        try:
            cli()
        finally:
            ownership.release()
    except SystemExit as ended:
        # Typer exits with 1 if the reader has gone (`… | head`), but 1 means a violated threshold.
        if isinstance(ended.__context__, BrokenPipeError):
            sys.exit(PIPE_CLOSED)
        raise
    except (UserError, ScenarioError, StackError, ResultsError, LogError) as error:
        _end(INVALID, str(error), error)
    except LoadError as error:
        _end(FAILED, f"{error}\nThis is a bug in sidecar-bench. Completed trials are stored", error)
    except interrupts.Interrupted as error:
        interrupts.ignore()
        stored = ". Completed trials are stored" if getattr(error, "__notes__", None) else ""  # of a run
        _end(INTERRUPTED, f"interrupted{stored}", error)
    except OSError as error:
        if error.filename is None:
            _fault(error)
        _end(INVALID, f"{error.filename}: {error.strerror}", error)
    except Exception as error:
        _fault(error)


def _fault(error: Exception) -> NoReturn:
    # Do not let it propagate: Python would exit with 1, which means a violated threshold.
    traceback.print_exc()
    _end(
        FAILED, "this is a bug in sidecar-bench; see the traceback above. Completed trials are stored", error
    )


def _end(code: int, said: str, error: BaseException) -> NoReturn:
    notes: list[str] = getattr(error, "__notes__", [])
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write("\n".join([f"sidecar-bench: {said}", *notes]) + "\n")
    sys.exit(code)
