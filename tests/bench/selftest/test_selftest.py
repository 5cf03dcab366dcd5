"""The self-test as a whole: its table and exit code, its two forms and their time, its experiments."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pretended import Pretended, plan
from rich.console import Console

from bench.selftest import command, questions
from bench.selftest.experiments import EmbeddedExperiments, Purse
from bench.selftest.questions import Answer, Question

FORMS = pytest.mark.parametrize("form", [command.QUICK, command.FULL], ids=["quick", "full"])


def question(*outcomes: str) -> list[Question]:
    return [
        Question(f"is it {word}?", lambda _, word=word: Answer("[+1, +2] of it", "so", word))  # type: ignore[misc]
        for word in outcomes
    ]


@pytest.mark.parametrize(
    ("outcomes", "code"),
    [
        (("passed", "passed"), 0),
        (("passed", "failed"), 1),
        (("passed", "unanswered"), 3),
        (("unanswered", "failed"), 1),
    ],
)
def test_the_exit_code_tells_wrong_from_too_little(outcomes: tuple[str, ...], code: int) -> None:
    assert command.put(Console(file=io.StringIO()), Pretended(), question(*outcomes)) == code


def test_it_ends_with_a_table_of_what_was_measured_and_expected() -> None:
    screen = io.StringIO()
    command.put(Console(file=screen, width=100), Pretended(), question("passed", "unanswered"))
    assert screen.getvalue().splitlines()[-3:] == [
        "            question           measured        expected",
        "passed      is it passed?      [+1, +2] of it  so      ",
        "unanswered  is it unanswered?  [+1, +2] of it  so      ",
    ]


@FORMS
def test_each_question_takes_the_comparisons_that_it_says(form: command.Form) -> None:
    for asked in form.questions:
        bench = Pretended(blocks=form.blocks)
        asked.ask(bench)
        assert len(bench.found) == asked.comparisons, asked.text


@FORMS
def test_no_two_comparisons_meet_the_same_requests(form: command.Form) -> None:
    bench = Pretended(blocks=form.blocks)
    command.put(Console(file=io.StringIO()), bench, form.questions)
    seeds = [compared.seed for compared in bench.scenarios]
    assert len(set(seeds)) == len(seeds) == form.comparisons


def test_the_full_form_asks_all_that_the_quick_one_does_and_more() -> None:
    quick, full = ([asked.text for asked in form.questions] for form in (command.QUICK, command.FULL))
    assert set(quick) < set(full)
    assert full[-1] == questions.THEORY.text, "over all trials: at the end"
    for words, times in (("A/A, sidecar", 1), ("0.5 ms more", 3), ("at 100 requests/s", 1)):
        assert sum(words in text for text in full) == times


TRIAL_S, REPORT_S = 6.5, 4.0


@FORMS
@pytest.mark.parametrize("attempts", [1, 2, 3], ids=["all valid", "each at its second try", "none valid"])
def test_a_form_keeps_its_time_however_many_trials_are_repeated(form: command.Form, attempts: int) -> None:
    clock = Clock()
    purse = Purse(form.total_s, form.blocks, form.comparisons, clock)
    clock.now_s += 10 * (len(form.questions) - form.comparisons)  # those that compare nothing come first
    for _ in range(form.comparisons):
        conducted(clock, 2 * form.blocks, attempts, purse.next_budget_s())
    assert clock.now_s <= form.total_s


def test_what_a_comparison_leaves_over_the_next_may_spend() -> None:
    clock = Clock()
    purse = Purse(100, blocks=1, comparisons=2, clock=clock)
    assert purse.next_budget_s() == 100 - 2 * purse.least_s
    clock.now_s += purse.least_s
    assert purse.next_budget_s() == 100 - 2 * purse.least_s


def test_the_quick_form_takes_at_most_five_minutes_and_the_full_one_fits_a_night() -> None:
    assert command.QUICK.total_s < 300
    assert command.FULL.total_s <= 3600


@FORMS
def test_a_form_has_time_to_repeat_a_fifth_of_its_trials(form: command.Form) -> None:
    """As many were refused on two shared cores."""
    trials = form.comparisons * 2 * form.blocks
    needed_s = 20 + trials * TRIAL_S * 1.2 + form.comparisons * REPORT_S
    assert needed_s <= form.total_s


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def conducted(clock: Clock, trials: int, attempts: int, budget_s: float) -> None:
    """Let the time of a comparison pass, as the conductor spends it."""
    began_s = clock.now_s
    for _ in range(trials):
        for _ in range(attempts):
            clock.now_s += TRIAL_S
            if clock.now_s - began_s > budget_s:
                break
    clock.now_s += REPORT_S


@pytest.fixture
def embedded(tmp_path: Path) -> EmbeddedExperiments:
    purse = Purse(60, 1, 1)
    return EmbeddedExperiments(Console(file=io.StringIO()), tmp_path, blocks=1, purse=purse)


@pytest.mark.slow
def test_a_comparison_is_run_stored_and_remembered(embedded: EmbeddedExperiments, tmp_path: Path) -> None:
    changed = {"topology": "none", "label": ["a", "b"], "schedule.duration": 0.5, "schedule.attempts": 1}
    summary = embedded.compare("short", changed)
    assert embedded.found == [summary]
    assert len(summary.trials) == 2
    assert (tmp_path / summary.run_id / "report.html").is_file()


@pytest.mark.slow
def test_a_stall_is_made_and_told_with_the_plan(embedded: EmbeddedExperiments) -> None:
    stalled = embedded.stall(50, 0.5)
    assert list(stalled.due_s) == plan(50)
    assert len(stalled.seen_ms) == len(stalled.due_s)
    assert stalled.ended_s - stalled.began_s == pytest.approx(0.5, abs=0.2)
    assert max(stalled.seen_ms) > 300


@pytest.mark.slow
def test_the_floor_is_measured(embedded: EmbeddedExperiments) -> None:
    floor = embedded.floor(100)
    assert floor.service_p50_ms > 0
    assert 0 <= floor.lag_p50_ms <= floor.lag_p99_ms
