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

# The metrics in the sentence, in this order; the others are in the table. Hits have their own metric,
# because the median of all requests mixes hits and misses. The hit ratio would repeat the calls.
_SPOKEN: Final = ("upstream_calls_per_1000", "hit_p50_ms", "p50_ms", "p99_ms")
# Verbs for metrics that do not use "has a lower" or "has a higher".
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
    """Return the verdict of a run.

    `blocks`: how many have valid figures. `without`: the kinds of figures that are valid in no trial;
    `refused` says why. `variants`: the figures of one that is not compared.
    """
    if blocks == 0:
        return f"No result: none of the {trials} trials is valid. The reasons are listed by trial."
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
        return f"Nothing is decided: a decision needs {LEAST_BLOCKS} valid blocks, but this run has {blocks}."
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
    """Say that no latency, or no count, of a run is valid, and why."""
    what = {"times": "latencies", "counts": "hit ratios, calls or errors"}[kind]
    why = refusals.without(refused, kind)
    because = f" ({why.reason})" if why is not None else ""
    return f"None of the {trials} trials has valid {what}{because}."


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
    differ: dict[Decision, list[str]] = {"better": [], "worse": []}
    same: dict[Decision, list[Metric]] = {"equivalent": [], "undecided": []}
    open_ = []
    for metric in map(BY_NAME.__getitem__, _spoken([found], without)):
        comparison = found.of(metric.name)
        if comparison is None:
            continue
        if comparison.decision in differ:
            differ[comparison.decision].append(_phrase(metric, comparison))
        else:
            same[comparison.decision].append(metric)
            open_ += [comparison] if comparison.decision == "undecided" and comparison.blocks else []
    phrases = differ["better"] + differ["worse"]
    rest = _listed([_state(metrics, word) for word, metrics in same.items() if metrics] or [""])
    far = f" ({how_far(open_)} to decide)" if open_ else ""
    if not phrases:
        return f"No difference was found between {a} and {b}: {rest}{far}."
    return f"Compared with {a}, {b} {_listed(phrases)}." + (f" {_capital(rest)}{far}." if rest else "")


def _state(metrics: Sequence[Metric], word: str) -> str:
    """Return `the median latency and 99th percentile are equivalent`."""
    several = len(metrics) > 1 or metrics[0].name in _VERBS
    return f"the {_listed([metric.label for metric in metrics])} {'are' if several else 'is'} {word}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def how_far(open_: Sequence[Comparison | ThresholdResult]) -> str:
    """Say how many more blocks would decide what is undecided if everything stayed the same."""
    wanted = [undecided.more_blocks for undecided in open_]
    known = [blocks for blocks in wanted if blocks is not None]
    if len(known) < len(wanted):
        return "over 2,000 more blocks"
    most = max(known)
    return f"about {most:,} more block{'s' if most != 1 else ''}"


def open_threshold(result: ThresholdResult) -> str:
    """Say how many more blocks would decide a threshold; empty if it is decided, or was not measured."""
    return how_far([result]) if result.outcome == "undecided" and result.value is not None else ""


def findable(comparisons: Sequence[Comparison]) -> str:
    """State the smallest detectable difference of each deciding metric; empty if unknown."""
    parts = []
    for metric in map(BY_NAME.__getitem__, DECISIVE):
        known = [
            one.detectable for one in comparisons if one.metric == metric.name and one.detectable is not None
        ]
        if known:
            parts.append(f"{metric.text(max(known), sign=True).lstrip('+')} in {metric.label}")
    return f"This run detects, with 80% power, differences of {_listed(parts)}." if parts else ""


def _phrase(metric: Metric, comparison: Comparison) -> str:
    """State the direction and size of a difference, ± half its interval."""
    difference = comparison.difference
    if difference is None or comparison.ci95 is None:
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
    """State briefly what is compared with what, for all pairs."""
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
