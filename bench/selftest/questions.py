"""What the self-test asks: questions with known answers, and how each answer is judged.

Each question takes what runs the experiments as an argument. Where a judgement rests on chance, the
docstring says how often it errs by construction; docs/trust.md says why each is as it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

from bench.selftest.experiments import Experiments
from reports.summary.model import Comparison, Summary
from reports.summary.part import Interval

Outcome = Literal["passed", "failed", "unanswered"]

# The chance of any false alarm over all metrics of an A/A comparison, shared out by Bonferroni.
_FAMILY: Final = 0.05
# The chance of a false alarm of each other judgement that rests on chance.
_ALARM: Final = 0.001
# Half of what is added to the link: a measurement that is further off has not found it, however noisy it is.
_DELAY_TOLERANCE_MS: Final = 0.25
_STALL_S: Final = 2.0
# Fewer independent z-scores than this say little about their spread.
_LEAST_SCORES: Final = 20


@dataclass(frozen=True)
class Answer:
    """What came of one question; unanswered: too little was valid to say."""

    figure: str
    expected: str
    outcome: Outcome


@dataclass(frozen=True)
class Question:
    """A question, how it is put, and how many comparisons it takes."""

    text: str
    ask: Callable[[Experiments], Answer]
    comparisons: int = 1


def _judged(figure: str, expected: str, passed: bool) -> Answer:
    return Answer(figure, expected, "passed" if passed else "failed")


def _unanswered(expected: str) -> Answer:
    return Answer("too few valid trials", expected, "unanswered")


def _found(summary: Summary, metric: str) -> Comparison | None:
    """Return a metric's comparison; None where fewer blocks are paired than the bench decides by."""
    return next((one for one in summary.comparisons if one.metric == metric and one.decision_ci), None)


def _interval(one: Comparison, alpha: float) -> Interval:
    """Return the interval of a difference at level 1 − alpha, by Student's t as that of 95% is."""
    from scipy import stats

    assert one.ci95 is not None
    assert one.difference is not None
    freedom = one.blocks - 1
    wider = float(stats.t.ppf(1 - alpha / 2, freedom) / stats.t.ppf(0.975, freedom))
    half = (one.ci95[1] - one.ci95[0]) / 2 * wider
    return one.difference - half, one.difference + half


def _floor_is_low(bench: Experiments) -> Answer:
    """Whatever is measured here is the generator's own: ten times the usual service time is a sick one."""
    floor = bench.floor(500)
    return _judged(
        f"send lag {floor.lag_p50_ms:.2f} ms (p99 {floor.lag_p99_ms:.2f}), "
        f"service time {floor.service_p50_ms:.2f} ms",
        "send lag at most 0.2 ms, p99 1 ms; service time at most 0.5 ms",
        floor.lag_p50_ms <= 0.2 and floor.lag_p99_ms <= 1.0 and floor.service_p50_ms <= 0.5,
    )


def _stall_is_seen(rate: float, bench: Experiments) -> Answer:
    """A generator that waited for answers would send nothing during a stall.

    It would see as many slow requests as it has users, however high the rate; so these are counted, too.
    """
    import numpy as np

    stalled = bench.stall(rate, _STALL_S)
    due_s, seen_ms = np.array(stalled.due_s), np.array(stalled.seen_ms)
    waiting = (due_s >= stalled.began_s) & (due_s < stalled.ended_s)
    true_ms = np.where(waiting, stalled.ended_s - due_s, 0.0) * 1000

    def figures(sample_ms: np.typing.NDArray[np.float64]) -> tuple[float, float, int]:
        long = int((sample_ms > _STALL_S * 500).sum())
        return float(sample_ms.max()), float(np.quantile(sample_ms, 0.999)), long

    seen, true = figures(seen_ms), figures(true_ms)
    # Whole requests: one may stand on the edge. More than follow from the plan may have waited long: what
    # has queued is answered one by one after the stall, and the last of it waits longest.
    close = (abs(one - other) <= 0.05 * other for one, other in zip(seen[:2], true[:2], strict=True))
    return _judged(
        f"max {seen[0]:,.0f} ms, p99.9 {seen[1]:,.0f} ms, {seen[2]:,} of {seen_ms.size:,} over 1 s",
        f"{true[0]:,.0f} and {true[1]:,.0f} ms, ± 5%; at least {true[2]:,} of {true_ms.size:,}, − 5%",
        all(close) and seen[2] >= 0.95 * true[2] - 1 and seen_ms.size == true_ms.size,
    )


def _same_is_same(topology: str, bench: Experiments) -> Answer:
    """A/A: one topology under two names. Errs in at most 5% of runs.

    Each of the bench's own decisions is made at 5%, so that one of ten would err in up to 40% of runs. A
    difference therefore counts against the bench if the word is still "better" or "worse" by the interval
    at 5% over all metrics together; the words at 5% each are shown beside it.
    """
    from reports.inference.effects import decide
    from scenarios.metrics import BY_NAME

    expected = "none better or worse, at 5% for all metrics together"
    summary = bench.compare(f"aa-{topology}", {"topology": topology, "label": ["a", "b"]})
    compared = [one for one in summary.comparisons if one.decision_ci is not None]
    if not compared:
        return _unanswered(expected)
    level = _FAMILY / len(compared)
    different = [
        one.metric
        for one in compared
        if decide(BY_NAME[one.metric], _interval(one, level), one.margin) in ("better", "worse")
    ]
    words = Counter(one.decision for one in compared)
    named = f" ({', '.join(different)})" if different else ""
    return _judged(
        f"{len(different)} of {len(compared)} metrics differ{named}; at 5% each: "
        + ", ".join(f"{words[word]} {word}" for word in ("better", "worse", "equivalent", "undecided")),
        expected,
        not different,
    )


def _delay_is_found(number: int, bench: Experiments) -> Answer:
    """A hit costs one command, and so one round trip. Errs in 0.1% of runs where the delay is found.

    By the interval of 95% alone the question would be answered wrongly in one run of twenty. So it has to
    exclude zero, and the difference has to be equal to the achieved one: the interval of 99.9% covers it,
    and it is no more than half of what was added away, lest a wide interval cover anything.
    """
    expected = "above zero, and as achieved"
    summary = bench.compare(f"delay-{number}", {"topology": "separate", "link.rtt_ms": [0.3, 0.8]})
    one = _found(summary, "hit_p50_ms")
    rtt_ms = {variant.id: variant.rtt_achieved_ms for variant in summary.variants}
    if one is None or one.ci95 is None or one.difference is None:
        return _unanswered(expected)
    a_ms, b_ms = rtt_ms[one.a], rtt_ms[one.b]
    if a_ms is None or b_ms is None:
        return _unanswered(expected)
    achieved_ms = b_ms - a_ms
    low, high = _interval(one, _ALARM)
    tolerance_ms = min((high - low) / 2, _DELAY_TOLERANCE_MS)
    return _judged(
        f"{one.difference:+.2f} ms [{one.ci95[0]:+.2f}, {one.ci95[1]:+.2f}]",
        f"above zero, and {achieved_ms:+.2f} ms (as achieved) ± {tolerance_ms:.2f}",
        one.ci95[0] > 0 and abs(one.difference - achieved_ms) <= tolerance_ms,
    )


def _ttl_is_found(bench: Experiments) -> Answer:
    """Theory says by how much the hit ratio falls when the TTL is halved."""
    expected = "below zero, and as theory predicts"
    summary = bench.compare("ttl", {"topology": "separate", "cache.ttl": [4, 2]})
    one = _found(summary, "hit_ratio")
    theory = {variant.id: variant.theory for variant in summary.variants}
    if one is None or one.ci95 is None or one.difference is None:
        return _unanswered(expected)
    a, b = theory[one.a], theory[one.b]
    if a is None or b is None:
        return _unanswered(expected)
    change = b.hit_ratio - a.hit_ratio
    return _judged(
        f"{one.difference:+.1%} [{one.ci95[0]:+.1%}, {one.ci95[1]:+.1%}]",
        f"below zero, and {change:+.1%} ± 2 points",
        one.ci95[1] < 0 and abs(one.difference - change) < 0.02,
    )


def _one_replica_is_one_cache(bench: Experiments) -> Answer:
    """With one replica a sidecar is a shared cache."""
    expected = "0 ± 1 point"
    summary = bench.compare("one", {"topology": ["sidecar", "separate"], "replicas": 1})
    one = _found(summary, "hit_ratio")
    if one is None or one.difference is None:
        return _unanswered(expected)
    return _judged(f"{one.difference:+.2%} over {one.blocks} blocks", expected, abs(one.difference) <= 0.01)


def _theory_holds(bench: Experiments) -> Answer:
    """Counted less expected upstream calls, in standard errors, over all comparisons so far. Errs in 0.2%."""
    from scipy import stats

    scores = [score for summary in bench.found for score in independent_scores(summary)]
    count = len(scores)
    if count < _LEAST_SCORES:
        return _unanswered(f"at least {_LEAST_SCORES} blocks with a valid trial")
    mean = sum(scores) / count
    sd = math.sqrt(sum((score - mean) ** 2 for score in scores) / (count - 1))
    bound = float(stats.norm.isf(_ALARM / 2)) / math.sqrt(count)
    low, high = (
        math.sqrt(float(stats.chi2.ppf(at, count - 1)) / (count - 1)) for at in (_ALARM / 2, 1 - _ALARM / 2)
    )
    return _judged(
        f"mean {mean:+.2f}, standard deviation {sd:.2f}, over {count} blocks",
        f"mean within ± {bound:.2f}, standard deviation {low:.2f} to {high:.2f}",
        abs(mean) <= bound and low <= sd <= high,
    )


def independent_scores(summary: Summary) -> Iterator[float]:
    """Yield the z-score of one valid trial of each block.

    The trials of a block meet the same requests, so that their scores go together: more of them say little
    more, and would make the spread of a mean look smaller than it is.
    """
    seen = set()
    for trial in summary.trials:
        if trial.counts_valid and trial.z is not None and trial.block not in seen:
            seen.add(trial.block)
            yield trial.z


def stall(rate: int) -> Question:
    """Return the question whether a stall is seen at so many requests a second."""
    text = f"Does an upstream's stall of {_STALL_S:g} s show in full at {rate} requests/s?"
    return Question(text, partial(_stall_is_seen, rate), comparisons=0)


def aa(topology: str) -> Question:
    """Return the question whether a topology is found equal to itself."""
    return Question(
        f"A/A, {topology}: is the topology found equal to itself under two names?",
        partial(_same_is_same, topology),
    )


def delay(number: int) -> Question:
    """Return the question whether a longer link is found; put several times, by number."""
    again = f" (time {number})" if number > 1 else ""
    text = f"Is 0.5 ms more on the link found in the latency of hits?{again}"
    return Question(text, partial(_delay_is_found, number))


FLOOR: Final = Question(
    "How much does the generator add, at 500 requests/s against a server that answers at once?",
    _floor_is_low,
    comparisons=0,
)
TTL: Final = Question("Is halving the TTL found in the hit ratio?", _ttl_is_found)
ONE: Final = Question(
    "With one replica, do both topologies have the same hit ratio?", _one_replica_is_one_cache
)
THEORY: Final = Question(
    "Do the upstream calls of all these trials agree with theory?", _theory_holds, comparisons=0
)
