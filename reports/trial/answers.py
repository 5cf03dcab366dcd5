"""What the answers of a trial say apart from their times: why requests failed, and what told the outcomes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from scenarios.outcomes import SHORTAGES

if TYPE_CHECKING:
    from reports.stored.records import TrialRecord
    from scenarios.facts import LoadFacts

_MOST: Final = 3
_PLAIN: Final = ("200", "203", "206", "304")
# Headers that tell hits, and nothing of other answers.
_HITS_ONLY: Final = "age"


def listed(counts: Mapping[str, int]) -> str:
    """Say how often each of some things came, the most frequent first: `94 × 503, 2 × connection refused`."""
    each = sorted(counts.items(), key=lambda one: -one[1])
    said = [f"{count:,} × {what}" for what, count in each[:_MOST]]
    return ", ".join([*said, f"{len(each) - _MOST} other reasons"] if len(each) > _MOST else said)


def short_of(load: LoadFacts) -> dict[str, int]:
    """Return how many requests failed for want of something on the load generator's own machine."""
    return {word: load.failures[word] for word in SHORTAGES if load.failures.get(word)}


def notes(trials: Sequence[TrialRecord]) -> list[str]:
    """Say of each variant which header told the outcomes, and what cannot be said without one."""
    found = []
    for variant in dict.fromkeys(trial.variant for trial in trials):
        of_it = [trial for trial in trials if trial.variant == variant]
        deployed = all(trial.deployed for trial in of_it)
        loads = [trial.load for trial in of_it]
        found += [f"{variant}: {sentence}" for sentence in _of_variant(loads, deployed=deployed)]
    return found


def _of_variant(loads: Sequence[LoadFacts], *, deployed: bool) -> Iterator[str]:
    statuses, told_by, outcomes = (
        sum((Counter(getattr(load, name)) for load in loads), Counter[str]())
        for name in ("statuses", "told_by", "outcomes")
    )
    unreadable, answers, unknown = (
        sum(load.unreadable for load in loads),
        told_by.total(),
        outcomes["unknown"],
    )
    headers = [name for name in told_by if name]
    if headers and not deployed:
        yield f"hits were identified by {' and '.join(map(spelled, headers))}."
    if unreadable:
        yield f"the Cache-Status of {unreadable:,} of {answers:,} answers could not be read (RFC 9211)."
    if unknown:
        yield _unknown(unknown, answers, outcomes["hit"], headers)
    if odd := {status: count for status, count in statuses.items() if status not in _PLAIN}:
        yield f"answers had other statuses than 200: {listed(odd)}."


def _unknown(unknown: int, answers: int, hits: int, headers: Sequence[str]) -> str:
    left = "their latencies count, but hit ratio and upstream calls are not stated"
    if unknown == answers:
        return (
            f"no answer said whether it was a hit; {left}. If a header says so, name it with --outcome "
            "'HEADER: GLOB'."
        )
    said = f"{unknown:,} of {answers:,} answers did not say whether they were hits"
    least, most = hits / answers, (hits + unknown) / answers
    range_ = (
        f"at least {least:.1%} were hits" if headers == [_HITS_ONLY] else f"{least:.1%} to {most:.1%} were"
    )
    return f"{said} ({range_}); {left} unless practically all say it."


def spelled(header: str) -> str:
    """Return a header's name as it is usually written."""
    return "-".join(
        part.upper() if part in ("cf", "cdn") else part.capitalize() for part in header.split("-")
    )
