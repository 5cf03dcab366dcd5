"""`sidecar-bench selftest`: can this bench be believed here?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.run import awake
from bench.selftest import questions
from bench.selftest.experiments import EmbeddedExperiments, Experiments, Purse
from bench.selftest.questions import Outcome, Question
from bench.session import measuring
from bench.store import holder_of

_COLOURS: Final[dict[Outcome, str]] = {"passed": "green", "failed": "red", "unanswered": "yellow"}


@dataclass(frozen=True)
class Form:
    """Which questions are put, over how many blocks, and within what time."""

    questions: tuple[Question, ...]
    blocks: int
    total_s: float

    @property
    def comparisons(self) -> int:
        """How many comparisons all questions take."""
        return sum(question.comparisons for question in self.questions)

    def purse(self) -> Purse:
        """Return the time of a self-test that begins now."""
        return Purse(self.total_s, self.blocks, self.comparisons)


def selftest(console: Console, root: Path, *, full: bool) -> int:
    """Put all questions of a form to this machine; returns the exit code."""
    form = FULL if full else QUICK
    with measuring.alone(holder_of(["sidecar-bench", "selftest"])):
        bench = EmbeddedExperiments(console, root, blocks=form.blocks, purse=form.purse())
        return put(console, bench, form.questions)


def put(console: Console, bench: Experiments, asked: Sequence[Question]) -> int:
    """Put questions, print a table of the answers, and return the exit code.

    0: all are answered as expected. 1: one is not. 3: none is answered wrongly, but too little could be
    believed to answer all.
    """
    answers = []
    for question in asked:
        with awake.cores():
            answers.append(question.ask(bench))
        console.print(f"{answers[-1].outcome}: {question.text}")
    table = Table(box=None, pad_edge=False)
    for heading in ("", "question", "measured", "expected"):
        table.add_column(heading, overflow="fold")
    for question, answer in zip(asked, answers, strict=True):
        mark = Text(answer.outcome, _COLOURS[answer.outcome])
        table.add_row(mark, question.text, answer.figure, answer.expected)
    console.print(table)
    outcomes = {answer.outcome for answer in answers}
    return 1 if "failed" in outcomes else 3 if "unanswered" in outcomes else 0


# At most five minutes; what that is made of: docs/trust.md.
QUICK: Final = Form(
    (
        questions.FLOOR,
        questions.stall(500),
        questions.aa("separate"),
        questions.delay(1),
        questions.TTL,
        questions.ONE,
    ),
    blocks=4,
    total_s=290,
)
# For nightly use: some 20 minutes, and three quarters of an hour where many trials are repeated.
FULL: Final = Form(
    (
        questions.FLOOR,
        questions.stall(100),
        questions.stall(500),
        questions.aa("separate"),
        questions.aa("sidecar"),
        *map(questions.delay, (1, 2, 3)),
        questions.TTL,
        questions.ONE,
        questions.THEORY,
    ),
    blocks=12,
    total_s=2700,
)
