"""The verdict: each comparison in one of four words, and all of them in a sentence."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Final

from reports.calls import sentences
from reports.inference.comparisons import Pair
from reports.inference.effects import LEAST_BLOCKS, Compared
from reports.summary import refusals
from reports.summary.model import Comparison, Decision, Refused, ThresholdResult, VariantSummary
from scenarios.metrics import BY_NAME, DECISIVE, Kind, Metric

# What the sentence speaks of, in this order; the other metrics are in the table. Hits apart, because the
# median of all requests mixes hits with misses; not the hit ratio, which says what the calls say.
_SPOKEN: Final = ("upstream_calls_per_1000", "hit_p50_ms", "p50_ms", "p99_ms")
# How a difference is said where it is not "has a lower" or "has a higher".
_VERBS: Final = {
    "upstream_calls_per_1000": ("makes fewer", "makes more"),
    "upstream_reduction": ("has fewer", "has more"),
    "error_ratio": ("has fewer", "has more"),
}


def sentence(
    compared: Sequence[Compared],
    blocks: int,
    trials: int,
    *,
    without: Sequence[Kind] = (),
    refused: Sequence[Refused] = (),
    variants: Sequence[VariantSummary] = (),
) -> str:
    """Say what the run has found.

    `blocks`: in how many anything could be believed. `without`: the kinds of figures that no trial has that
    could be believed; `refused` says why. `variants`: the figures of one that is not compared.
    """
    if blocks == 0:
        return f"Nothing can be said: none of the {trials} trials is valid. The reasons are listed by trial."
    missing = [_missing(kind, trials, refused) for kind in without]
    if not compared:
        return " ".join([*map(_alone, variants), "There is nothing to compare it with.", *missing])
    return " ".join([_found(compared, blocks, without), *missing])


def _alone(variant: VariantSummary) -> str:
    """State the figures of a variant that stands alone: those that it has."""
    metrics = variant.metrics
    parts = [
        f"{BY_NAME[name].label} {BY_NAME[name].text(value.value)}"
        for name in ("p50_ms", "p99_ms", "hit_ratio", "upstream_calls_per_1000", "error_ratio")
        if (value := getattr(metrics, name)) is not None and not (name == "error_ratio" and value.value == 0)
    ]
    return f"{variant.id}: {_listed(parts)}." if parts else f"{variant.id} was measured alone."


def _found(compared: Sequence[Compared], blocks: int, without: Container[Kind]) -> str:
    if blocks < LEAST_BLOCKS:
        return f"Nothing is decided: it takes {LEAST_BLOCKS} valid blocks, and this run has {blocks}."
    main = _placements(compared)
    return _of_one(main[0], without) if len(main) == 1 else _of_many(main, without)


def long_run(compared: Sequence[Compared], variants: Sequence[VariantSummary]) -> str:
    """Say how many upstream calls an hour two variants make in the long run; empty where there are more "
    "pairs."""
    main = _placements(compared)
    if len(main) != 1:
        return ""
    by_id = {variant.id: variant for variant in variants}
    pair = main[0].pair
    return sentences.headline(by_id[pair.a.id], by_id[pair.b.id], name(pair))


def _missing(kind: Kind, trials: int, refused: Sequence[Refused]) -> str:
    """Say that no latency, or no count, of a run could be believed, and why."""
    what = {"times": "latencies", "counts": "hit ratios, calls or errors"}[kind]
    why = refusals.without(refused, kind)
    because = f" ({why.reason})" if why is not None else ""
    return f"None of the {trials} trials has {what} that can be believed{because}."


def _placements(compared: Sequence[Compared]) -> list[Compared]:
    """Return the comparisons that answer the bench's question, where the cache should be; else all."""
    asked = [
        found
        for found in compared
        if found.pair.a.topology != found.pair.b.topology
        and found.pair.a.layout.cached
        and found.pair.b.layout.cached
    ]
    return asked or list(compared)


def name(pair: Pair) -> tuple[str, str]:
    """Name both variants of a pair as the sentence does."""
    if pair.a.topology != pair.b.topology:
        return pair.a.layout.label, pair.b.layout.label
    return pair.a.id, pair.b.id


def _spoken(compared: Sequence[Compared], without: Container[Kind]) -> list[str]:
    """Return the metrics to speak of: failed requests before all others, where they differ at all."""
    errors = [comparison for found in compared if (comparison := found.of("error_ratio")) is not None]
    differ = any(comparison.decision in ("better", "worse") for comparison in errors)
    names = ("error_ratio", *_SPOKEN) if differ else _SPOKEN
    return [name for name in names if BY_NAME[name].kind not in without]


def _of_one(found: Compared, without: Container[Kind]) -> str:
    a, b = name(found.pair)
    said: dict[Decision, list[str]] = {"better": [], "worse": [], "equivalent": [], "undecided": []}
    open_ = []
    for metric in _spoken([found], without):
        comparison = found.of(metric)
        if comparison is not None:
            said[comparison.decision].append(_phrase(BY_NAME[metric], comparison))
            open_ += [comparison] if comparison.decision == "undecided" and comparison.blocks else []
    differ = said["better"] + said["worse"]
    rest = [f"{word} in {_listed(said[word])}" for word in ("equivalent", "undecided") if said[word]]
    far = f" ({how_far(open_)} to decide)" if open_ else ""
    opening = f"Compared with {a}, {b}"
    if not differ:
        return f"{opening} is {_listed(rest)}{far}."
    return f"{opening} {_listed(differ)}." + (f" It is {_listed(rest)}{far}." if rest else "")


def how_far(open_: Sequence[Comparison | ThresholdResult]) -> str:
    """Say how many more blocks would decide what is undecided, were all to stay as it is."""
    wanted = [undecided.more_blocks for undecided in open_]
    known = [blocks for blocks in wanted if blocks is not None]
    if len(known) < len(wanted):
        return "over 2,000 more blocks"
    most = max(known)
    return f"about {most:,} more block{'s' if most != 1 else ''}"


def open_threshold(result: ThresholdResult) -> str:
    """Say how many more blocks would decide a threshold; empty where it is decided, or was not measured."""
    return how_far([result]) if result.outcome == "undecided" and result.value is not None else ""


def findable(comparisons: Sequence[Comparison]) -> str:
    """Say how small a difference the run would have found in each metric that decides; empty if unknown."""
    parts = []
    for metric in map(BY_NAME.__getitem__, DECISIVE):
        known = [
            one.detectable for one in comparisons if one.metric == metric.name and one.detectable is not None
        ]
        if known:
            parts.append(f"{metric.text(max(known), sign=True).lstrip('+')} in {metric.label}")
    return f"This run detects, with 80% power, differences of {_listed(parts)}." if parts else ""


def _phrase(metric: Metric, comparison: Comparison) -> str:
    """Name a metric; where a difference was found, say which way, and by how much ± half its interval."""
    difference = comparison.difference
    if comparison.decision in ("equivalent", "undecided") or difference is None or comparison.ci95 is None:
        return metric.label
    half = (comparison.ci95[1] - comparison.ci95[0]) / 2
    number, _, unit = metric.text(difference, sign=True).partition(" ")
    lower, higher = _VERBS.get(metric.name, ("has a lower", "has a higher"))
    found = f"{number} ± {metric.text(half, unit=False)}{' ' if unit else ''}{unit}"
    return f"{lower if difference < 0 else higher} {metric.label} ({found})"


def _of_many(compared: Sequence[Compared], without: Container[Kind]) -> str:
    parts = []
    for metric in _spoken(compared, without):
        decisions = [
            comparison.decision for found in compared if (comparison := found.of(metric)) is not None
        ]
        if decisions:
            parts.append(f"{BY_NAME[metric].label} {_tally(decisions)}")
    return f"{_opening([found.pair for found in compared])}: {'; '.join(parts)}."


def _opening(pairs: Sequence[Pair]) -> str:
    """Say what is compared with what, in as few words as cover all pairs."""
    if len(named := {name(pair) for pair in pairs}) == 1:
        ((a, b),) = named
        return f"{len(pairs)} comparisons of {b} with {a}"
    if len(firsts := {pair.a.id for pair in pairs}) == 1:
        return f"{len(pairs)} variants, each compared with {firsts.pop()}"
    return f"{len(pairs)} comparisons of each other level with the first level"


def _tally(decisions: Sequence[Decision]) -> str:
    order: Callable[[str], int] = ("better", "worse", "equivalent", "undecided").index
    words = sorted(set(decisions), key=order)
    if len(words) == 1:
        return f"{words[0]} in all"
    return ", ".join(f"{word} in {decisions.count(word)}" for word in words)


def _listed(items: Sequence[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
