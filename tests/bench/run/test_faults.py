"""What goes wrong in a trial makes it invalid, with its reason, and the run goes on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from noted import NotedDeployment, NotedLoad, NotedStack, QuietWatch, changed, new_run, nobody

import reports
from bench.errors import UserError
from bench.load.local import LoadError
from bench.run import attempt, conductor
from bench.store import RunFolder
from compose.stack import Lost, StackError, UnsuitableError
from loadtests.order import Order
from reports.render.junit import render as as_junit
from reports.render.markdown import render as as_markdown
from reports.stored.records import TrialRecord
from scenarios.facts import AppFacts, UpstreamFacts
from scenarios.model import Scenario, Variant


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "Watch", QuietWatch)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(tmp_path)


class Faulty(NotedStack):
    """A stack of which something fails: at deployments, in deployments, or in loads, by their number."""

    def __init__(
        self,
        *,
        deploying: Callable[[int, Variant], Exception | None] = lambda _, __: None,
        loading: Callable[[int], Exception | None] = lambda _: None,
        deployment: type[NotedDeployment] = NotedDeployment,
    ) -> None:
        super().__init__()
        self._deploying, self._loading, self._deployment = deploying, loading, deployment
        self.deployed = self.loaded = 0

    def deploy(self, variant: Variant, *, seed: int, folder: Path) -> NotedDeployment:
        self.deployed += 1
        error = self._deploying(self.deployed, variant)
        if error is not None:
            raise error
        super().deploy(variant, seed=seed, folder=folder)
        return self._deployment(self.notes)

    def start_load(self, **_: Any) -> NotedLoad:
        stack = self

        class Load(NotedLoad):
            def events(self, order: Order) -> Iterator[dict[str, Any]]:
                stack.loaded += 1
                error = stack._loading(stack.loaded)
                if error is None:
                    yield from super().events(order)
                    return
                self.order = order
                self.notes.append("load")
                if order.held:
                    yield {"event": "ready"}
                yield {"event": "started", "origin_s": 0.0}
                progress = {"offered": 7, "sent": 6, "outcomes": {"hit": 4, "miss": 1}}
                yield {"event": "progress", "t_s": 0.5, "done": 5} | progress
                raise error

        return Load(self.notes)


def conduct(run: RunFolder, stack: NotedStack, scenario: Scenario) -> list[TrialRecord]:
    conductor.conduct(run, scenario, stack, nobody, start_load=stack.start_load)  # type: ignore[arg-type]
    return sorted(run.ended().values(), key=lambda record: (record.block, record.id, record.attempt))


def test_a_generator_that_is_lost_makes_an_invalid_trial_that_is_repeated(run: RunFolder) -> None:
    lost = LoadError("the load generator was killed (SIGKILL)", "its last words")
    stack = Faulty(loading=lambda number: lost if number == 1 else None)
    found = conduct(run, stack, changed(run, attempts=2, blocks=1))
    assert [record.attempt for record in found].count(2) == 1
    [faulty] = [record for record in found if record.fault]
    assert faulty.fault
    assert (faulty.fault.stage, faulty.fault.reason) == ("loading", lost.reason)
    assert faulty.fault.last_words == {"load": "its last words"}
    assert (faulty.load.offered, faulty.load.requests) == (7, 5), "what it told before"
    assert faulty.app
    assert faulty.app.upstream_calls == faulty.upstream.calls == 4, "those who live are asked all the same"
    assert stack.notes.count("down") == 3


def test_a_trial_without_any_row_is_in_every_report(run: RunFolder) -> None:
    lost = LoadError("the load generator was killed (SIGKILL)")
    conduct(run, Faulty(loading=lambda n: lost if n == 1 else None), changed(run, attempts=2, blocks=1))
    summary = reports.write(run.path)
    [invalid] = [trial for trial in summary.trials if not trial.valid]
    assert invalid.reasons == ["while loading, the load generator was killed (SIGKILL)"]
    assert (invalid.counts_valid, invalid.times_valid) == (False, False)
    assert sum(trial.valid for trial in summary.trials) == 2
    for text in ((run.path / "report.html").read_text(), as_markdown(summary), as_junit(summary)):
        assert "the load generator was killed (SIGKILL)" in text


def test_nothing_but_faults_is_reported_too(run: RunFolder) -> None:
    lost = LoadError("the load generator was killed (SIGKILL)")
    conduct(run, Faulty(loading=lambda _: lost), changed(run, attempts=1, blocks=2))
    summary = reports.write(run.path)
    assert not any(trial.valid for trial in summary.trials)
    assert reports.exit_code(summary) == 3


def test_a_part_that_is_lost_is_named_before_what_follows_from_it(run: RunFolder) -> None:
    class Lossy(NotedDeployment):
        def lost(self) -> tuple[Lost, ...]:
            return (Lost("redis-1", "was killed (SIGKILL)", "ready"), Lost("app-2", "stands still", ""))

        def app_counts(self) -> AppFacts:
            raise StackError("the replica does not tell its metrics")

        def upstream_counts(self) -> UpstreamFacts:
            raise StackError("the upstream does not tell its counts")

    stack = Faulty(deployment=Lossy)
    [first, *_] = conduct(run, stack, changed(run, attempts=1, blocks=1))
    assert first.fault
    assert first.fault.reason == "redis-1 was killed (SIGKILL); app-2 stands still"
    assert first.fault.last_words == {"redis-1": "ready", "app-2": ""}
    assert first.load.requests == 10, "its rows are stored"
    assert (first.app, first.upstream.counted_by) == (None, "nobody")
    assert first.deployed


def test_who_does_not_answer_when_counted_makes_the_trial_invalid(run: RunFolder) -> None:
    class Silent(NotedDeployment):
        def upstream_counts(self) -> UpstreamFacts:
            raise StackError("the upstream does not tell its counts", "upstream", "its last words")

    [first, *_] = conduct(run, Faulty(deployment=Silent), changed(run, attempts=1, blocks=1))
    assert first.fault
    assert (first.fault.stage, first.fault.last_words) == ("counting", {"upstream": "its last words"})
    assert first.app
    assert first.app.outcomes == {"hit": 6, "miss": 4}


def test_a_deployment_that_fails_once_is_repeated(run: RunFolder) -> None:
    died = StackError("app-1 was killed (SIGKILL)", "app-1", "its last words")
    stack = Faulty(deploying=lambda number, _: died if number == 1 else None)
    found = conduct(run, stack, changed(run, attempts=2, blocks=1))
    [faulty] = [record for record in found if record.fault]
    assert faulty.fault
    assert (faulty.fault.stage, faulty.fault.last_words) == ("deploying", {"app-1": "its last words"})
    assert faulty.load.requests == 0
    assert len(found) == 3


def test_a_variant_that_can_never_be_deployed_ends_the_run_with_a_sentence(run: RunFolder) -> None:
    died = StackError("upstream ended with exit code 1", "upstream", "no such log")
    scenario = changed(run, attempts=2, blocks=3)
    with pytest.raises(
        StackError, match=r"(?s)cannot be deployed: upstream ended .*the end of its log:\nno such log"
    ):
        conduct(run, Faulty(deploying=lambda _, __: died), scenario)
    assert len(run.ended()) == 2
    found = conduct(run, Faulty(), scenario)
    assert len([record for record in found if record.fault is None]) == 6, "mended, it is tried again"


def test_one_that_could_be_deployed_before_does_not_end_the_run(run: RunFolder) -> None:
    died = StackError("app-1 was killed (SIGKILL)")
    stack = Faulty(deploying=lambda number, _: died if number in (3, 4) else None)
    found = conduct(run, stack, changed(run, attempts=1, blocks=3))
    assert len(found) == 6
    assert len([record for record in found if record.fault]) == 2


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (UnsuitableError("resources.memory: too little"), UnsuitableError),
        (OSError(errno.ENOSPC, "No space left on device"), UserError),
    ],
)
def test_what_no_attempt_can_change_ends_the_run_at_once(
    run: RunFolder, error: Exception, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        conduct(run, Faulty(deploying=lambda _, __: error), changed(run, attempts=3, blocks=1))
    assert run.ended() == {}


def test_a_fault_of_the_machine_is_one_of_the_trial(run: RunFolder) -> None:
    error = OSError(errno.EAGAIN, "Resource temporarily unavailable")
    stack = Faulty(deploying=lambda number, _: error if number == 1 else None)
    found = conduct(run, stack, changed(run, attempts=2, blocks=1))
    [faulty] = [record.fault for record in found if record.fault]
    assert "Resource temporarily unavailable" in faulty.reason
