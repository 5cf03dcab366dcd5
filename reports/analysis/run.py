"""A stored run, worked out: the summary, and beside it what the page's figures are drawn from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reports.analysis import variants, verdict
from reports.analysis.attribution import (
    HOPLESS,
    TERMS,
    Attribution,
    HitAttribution,
    attribute,
    attribute_hits,
)
from reports.inference import effects, pilot, standing, stopping, thresholds
from reports.inference.effects import Compared, Values
from reports.inference.pilot import Spread
from reports.inference.stopping import Decision
from reports.stored import runs
from reports.stored.runs import StoredRun, StoredTrial
from reports.summary import refusals
from reports.summary.model import Stopping, Summary, ThresholdResult, TrialSummary
from reports.trial import answers
from reports.trial.measures import Measures, measure
from scenarios.metrics import BY_NAME, DECISIVE, KINDS
from scenarios.model import Scenario

_MEASURED: dict[tuple[Path, str], Measures | None] = {}


@dataclass(frozen=True)
class Analysis:
    """All that a page is made of."""

    run: StoredRun
    summary: Summary
    measures: tuple[Measures, ...]
    compared: tuple[Compared, ...]
    spreads: tuple[Spread, ...]
    attributions: tuple[Attribution, ...]
    hit_attributions: tuple[HitAttribution, ...]

    @property
    def scenario(self) -> Scenario:
        """The scenario that was run."""
        return self.run.record.scenario

    @property
    def deployed(self) -> bool:
        """Whether the bench deployed what was loaded; else running services were loaded."""
        return self.run.record.stack.targets is None

    @property
    def terms(self) -> Mapping[str, str]:
        """The causes into which differences are split, by the words for them."""
        return dict(zip(TERMS, TERMS, strict=True)) if self.deployed else HOPLESS

    def counted(self, variant_id: str) -> list[Measures]:
        """Return a variant's trials of which the counts can be believed, one a block."""
        return standing.standing(self.measures, variant_id, "counts")

    def timed(self, variant_id: str) -> list[Measures]:
        """Return a variant's trials of which the times can be believed, one a block."""
        return standing.standing(self.measures, variant_id, "times")


def analyse(folder: Path) -> Analysis:
    """Read a stored run and work it out.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    run = runs.read(folder)
    scenario = run.record.scenario
    measures = _measured(run)
    values = standing.by_block(scenario, measures)
    done = complete(scenario, run.trials)
    compared, judged, decided = _judged(run, values, done)
    sampling = {
        metric: [
            trial.sampling[metric]
            for trial in measures
            if trial.stands(BY_NAME[metric].kind) and metric in trial.sampling
        ]
        for metric in DECISIVE
    }
    blocks = {kind: standing.blocks(values, kind) for kind in KINDS}
    trials = _summaries(run, measures)
    refused = refusals.grouped(trials)
    attributions = [attribute(found.pair, measures) for found in compared]
    hits = [attribute_hits(found.pair, measures) for found in compared]
    summarized = [variants.of_variant(variant, values, measures) for variant in scenario.variants]
    said = verdict.sentence(
        compared,
        len(set.union(*blocks.values())),
        len(trials),
        without=[kind for kind in KINDS if not blocks[kind]],
        refused=refused,
        variants=summarized,
    )
    summary = Summary(
        run_id=run.record.run_id,
        scenario=scenario.name,
        verdict=" ".join(filter(None, (said, verdict.long_run(compared, summarized)))),
        stack=run.record.stack.name,
        started=run.record.started,
        command=run.record.command,
        reduction_baseline="none" if any(not v.layout.cached for v in scenario.variants) else "requests",
        blocks=len(set.union(*blocks.values())),
        stopping=_stopping(decided),
        variants=summarized,
        comparisons=[comparison for found in compared for comparison in found.comparisons],
        attributions=[
            variants.attribution(*each, deployed=run.record.stack.targets is None)
            for each in zip(compared, attributions, hits, strict=True)
        ],
        thresholds=judged,
        trials=trials,
        refused=refused,
        notes=[
            *run.notes,
            *answers.notes([trial.record for trial in measures]),
            *_stack_notes(measures),
            *_median_notes(scenario, values),
        ],
    )
    return Analysis(
        run,
        summary,
        tuple(measures),
        compared,
        tuple(pilot.spreads(scenario, values, sampling, compared)),
        tuple(found for found in attributions if found is not None),
        tuple(found for found in hits if found is not None),
    )


def decision(folder: Path) -> Decision:
    """Say whether a stored run may end now.

    Raises:
        ResultsError: the run cannot be read, or holds no trial yet.
    """
    run = runs.read(folder)
    scenario = run.record.scenario
    measures = _measured(run)
    values, done = standing.by_block(scenario, measures), complete(scenario, run.trials)
    return _judged(run, values, done)[-1]


def _judged(
    run: StoredRun, values: Values, done: int
) -> tuple[tuple[Compared, ...], list[ThresholdResult], Decision]:
    """Hold variants against one another and against the thresholds, and say whether the run may end."""
    scenario, spent = run.record.scenario, run.spent
    compared = effects.compare(scenario, values, done, spent=spent)
    judged = thresholds.judge(scenario, values, done, spent=spent)
    within_reach = thresholds.within_reach(judged, values)
    return (
        compared,
        judged,
        stopping.decide(scenario, compared, done, within_reach, spent=spent, refused=run.refused),
    )


def _measured(run: StoredRun) -> list[Measures]:
    each = (_measure(trial, run.record.scenario) for trial in run.trials)
    return [measured for measured in each if measured is not None]


def _measure(trial: StoredTrial, scenario: Scenario) -> Measures | None:
    """Measure a trial once: a run that adds blocks asks again after each, and trials never change."""
    known = (trial.folder, trial.record.started)
    if known not in _MEASURED:
        _MEASURED[known] = measure(trial, scenario.variant(trial.record.variant))
    return _MEASURED[known]


def _summaries(run: StoredRun, measures: Iterable[Measures]) -> list[TrialSummary]:
    """Sum up the trials that were measured, and those that have nothing to measure."""
    scenario, found = run.record.scenario, []
    measured = {(trial.record.id, trial.record.attempt): trial for trial in measures}
    for trial in run.trials:
        variant = scenario.variant(trial.record.variant)
        known = measured.get((trial.record.id, trial.record.attempt))
        found.append(
            variants.of_unmeasured(trial, variant) if known is None else variants.of_trial(known, variant)
        )
    return found


def complete(scenario: Scenario, trials: Iterable[StoredTrial]) -> int:
    """Return how many blocks have tried every variant, whether the trials are valid or not."""
    tried: dict[int, set[str]] = {}
    for trial in trials:
        tried.setdefault(trial.record.block, set()).add(trial.record.variant)
    return sum(len(variants) == len(scenario.variants) for variants in tried.values())


def _stopping(found: Decision) -> Stopping:
    return Stopping(
        stop=found.stop, reason=found.reason, undecided=list(found.undecided), more_blocks=found.more_blocks
    )


def _stack_notes(measures: Sequence[Measures]) -> list[str]:
    notes = list(dict.fromkeys(note for trial in measures for note in trial.record.notes))
    dropped = sum(trial.record.load.dropped for trial in measures)
    if dropped:
        notes.append(
            f"{dropped} messages to the load's master were not from a worker and were dropped "
            "(logs/load.log)."
        )
    return notes


def _median_notes(scenario: Scenario, values: Values) -> Sequence[str]:
    """Warn about medians on the edge between hits and misses, which mean little."""
    edge = [
        variant.id
        for variant in scenario.variants
        if any(0.4 < metrics.get("hit_ratio", 0.0) < 0.6 for metrics in values[variant.id].values())
    ]
    if not edge:
        return []
    return [
        f"About half of the requests were hits in {', '.join(edge)}: their median latency is sometimes "
        "a hit and sometimes a miss. Compare the median latency of hits instead."
    ]
