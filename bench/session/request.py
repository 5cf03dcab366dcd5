"""A run is asked for by a request, and started by a function: the terminal and other programs only listen."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.errors import UserError
from bench.events.journal import Journal
from bench.events.model import Ended, Event, Listener, Says
from bench.load import workers
from bench.load.workers import Crew
from bench.run import conductor, limits, machine, remarks
from bench.run.plans import Blocks
from bench.session import logs, measuring
from bench.store import DEFAULT_ROOT, RunFolder, holder_of, new_run_id
from bench.targets import guard, services
from bench.targets.services import Asked
from compose.host import interrupts
from loadtests.sending.limits import raise_open_files
from reports.stored.records import RunRecord, StackChoice
from scenarios.model import Scenario

NO_TARGETS: Final = Asked(None, False, None, None)


@dataclass(frozen=True)
class RunRequest:
    """What is to be run: a scenario, or, with `resume`, the rest of a run that was interrupted.

    `resume` is a run's id or folder, or `last`. Without a `crew` one process sends the load; a run that is
    resumed has the crew that it had. `command` is stored, as what repeats the run.
    """

    scenario: Scenario | None = None
    stack: str = "auto"
    targets: Asked = NO_TARGETS
    crew: Crew | None = None
    results: Path = DEFAULT_ROOT
    resume: str | None = None
    command: Sequence[str] = field(default=("sidecar-bench", "run"))


@dataclass(frozen=True)
class _Checked:
    """A request that can be carried out: what is run on which stack, and what was said of its logs.

    `begun` is the run that it resumes.
    """

    scenario: Scenario
    stack: StackChoice
    crew: Crew
    said: tuple[str, ...] = ()
    begun: RunFolder | None = None


def run(request: RunRequest, listener: Listener) -> RunFolder:
    """Run what is asked for, and tell the listener and `events.jsonl` how it goes; return the run's folder.

    Raises:
        UserError: the request cannot be carried out; another run measures; the disk is full.
        ScenarioError, LogError, StackError, ResultsError, LoadError: as the run's parts raise them.
    """
    files = raise_open_files()
    checked = _new(request, listener) if request.resume is None else _resumed(request)
    holder = holder_of(request.command)
    with (
        measuring.alone(holder) as alone,
        _held(request, checked) as (folder, record),
        hint(folder),
        telling(folder, listener, checked.said) as tell,
    ):
        alone.names(f"{holder}, in {folder.path.absolute()}")
        plan = Blocks(record.scenario)
        tell(conductor.begins(record, plan, len(folder.ended())))
        said = [*limits.remarks(record.scenario, files), *filter(None, [alone.remark])]
        _conduct(request, checked, folder, record, said, plan, tell)
    return folder


@contextlib.contextmanager
def telling(folder: RunFolder, listener: Listener, said: Sequence[str] = ()) -> Iterator[Listener]:
    """Yield who is to be told a run's events: they go to the listener and to `events.jsonl`.

    What ends the run before its plan does is told, too. `said` has what the listener has heard already.

    Raises:
        UserError: the file cannot be written.
    """
    with Journal(folder.path) as journal:
        for sentence in said:
            journal(Says(sentence=sentence))

        def tell(event: Event) -> None:
            listener(event)
            journal(event)

        try:
            yield tell
        except BaseException as error:
            interrupted = isinstance(error, interrupts.Interrupted)
            ended = Ended(why="interrupted") if interrupted else Ended(why="failed", reason=str(error))
            with contextlib.suppress(UserError):  # if it cannot be written, that is what has ended the run
                tell(ended)
            raise


@contextlib.contextmanager
def hint(folder: RunFolder) -> Iterator[None]:
    """Say with whatever ends a run how to resume it."""
    try:
        yield
    except BaseException as error:
        error.add_note(f"Resume with: sidecar-bench run --resume {shlex.quote(str(folder.path))}")
        raise


def _new(request: RunRequest, listener: Listener) -> _Checked:
    scenario, choice = request.scenario, request.targets.choice
    if scenario is None:
        raise UserError("name a scenario; `sidecar-bench list` shows the library, `quick` is a good start")
    crew = request.crew or workers.asked(0, 0, None)
    prefix = request.targets.called.contract.prefix
    said = logs.examine(scenario, lambda sentence: listener(Says(sentence=sentence)), prefix)
    guard.check(scenario, choice, request.targets.called.headers)
    return _Checked(scenario, services.stack_choice(request.stack, choice), crew, tuple(said))


def _resumed(request: RunRequest) -> _Checked:
    if request.scenario is not None:
        raise UserError("--resume uses the scenario of the run; remove the scenario and its fields")
    folder = RunFolder.find(request.results, request.resume or "last")
    record = folder.record()
    crew = request.crew or workers.asked(0, 0, None, record.command)
    elsewhere = machine.is_another(record.environment, machine.environment())
    choice = request.targets.again(record, elsewhere=elsewhere)
    guard.check(record.scenario, choice, request.targets.called.headers)
    return _Checked(record.scenario, record.stack, crew, begun=folder)


@contextlib.contextmanager
def _held(request: RunRequest, checked: _Checked) -> Iterator[tuple[RunFolder, RunRecord]]:
    """Hold the folder of the run, which is made where the run is new."""
    if checked.begun is not None:
        with checked.begun.held(request.command):
            yield checked.begun, checked.begun.record()
        return
    now = datetime.now(UTC)
    record = RunRecord(
        run_id=new_run_id(request.results, checked.scenario.name, now),
        scenario=checked.scenario,
        command=list(request.command),
        started=now.isoformat(timespec="seconds"),
        stack=checked.stack,
        environment=machine.environment(),
    )
    with RunFolder.begun(request.results, record) as folder:
        yield folder, record


def _conduct(
    request: RunRequest,
    checked: _Checked,
    folder: RunFolder,
    record: RunRecord,
    said: Sequence[str],
    plan: Blocks,
    tell: Listener,
) -> None:
    known = remarks.of(record.scenario, deployed=record.stack.targets is None)
    with services.open_stack(record, request.targets.called.headers) as stack:
        for sentence in (*known, *said, *checked.crew.remarks(stack.load_cpus)):
            tell(Says(sentence=sentence))
        logs.store(record.scenario, checked.said, folder.path, services.contract(record).prefix)
        if checked.begun is not None:
            for difference in folder.resumed(request.command, machine.environment()):
                tell(Says(sentence=f"Changed since the run began: {difference}."))
        conductor.conduct(folder, record.scenario, stack, tell, checked.crew.start_load(), plan=plan)
