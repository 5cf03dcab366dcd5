"""The report: one HTML file that needs nothing else, made from an analysis."""

from __future__ import annotations

import shlex
from typing import Any, Final

from reports.analysis.run import Analysis
from reports.calls import sentences
from reports.cost.prices import read_prices
from reports.inference import comparisons
from reports.render import calls, causes, costs, evidence, html, tables
from reports.render.figures.pictures import pictures
from reports.render.html import Part
from reports.stored import logs
from reports.summary import refusals
from scenarios.model import Variant
from scenarios.tried import as_tried, speedup_of

_MOST_COLUMNS: Final = 4


def page(analysis: Analysis, explorer: Part | None = None) -> str:
    """Return the report as HTML, with an explorer of its traffic where there is one."""
    return html.rendered("report.html.j2", content(analysis) | {"explorer": explorer})


def content(analysis: Analysis) -> dict[str, Any]:
    """Return all that the template shows."""
    summary, record = analysis.summary, analysis.run.record
    few = len(summary.variants) <= _MOST_COLUMNS
    return {
        "summary": summary,
        "scenario": analysis.scenario,
        "stack": record.stack,
        "tally": refusals.tally(summary.trials),
        "refused": [refusals.sentence(refused) for refused in summary.refused],
        "results": tables.results(analysis) if few else tables.variants(analysis),
        "stacked": few,
        "compared": tables.compared(analysis) if len(analysis.compared) > 1 else None,
        "percentiles": tables.percentiles(analysis),
        "theory": causes.theory(analysis),
        "hourly": calls.hourly(analysis),
        "agreement": sentences.of_all(summary.variants),
        "beginning": beginning(analysis),
        "cold": analysis.scenario.schedule.start == "cold",
        "began": sentences.start_of(summary.variants),
        "quotas": calls.quotas(analysis),
        "depends_on": calls.depends_on(analysis.scenario.variants) if analysis.deployed else "",
        "costs": costs.of_report(analysis),
        "priced": costs.assumptions(read_prices()),
        "usage": tables.usage(analysis),
        "trials": tables.trials(analysis),
        "attribution": evidence.attribution(analysis),
        "fills": evidence.fills(analysis),
        "hit_causes": causes.hits(analysis),
        "hit_long_run": causes.long_run(analysis),
        "spread": evidence.spread(analysis),
        "advice": evidence.advice(analysis.spreads),
        "gates": evidence.gates(analysis),
        "certificates": evidence.certificates(analysis),
        "witness": evidence.witness(analysis),
        "thresholds": evidence.thresholds(summary.thresholds),
        "environment": tables.environment(analysis),
        "pictures": pictures(analysis),
        "command": shlex.join(record.command),
        "settings": settings(analysis),
        "log_said": logs.said(analysis.run.folder),
        "traffic": _traffic(analysis.scenario.variants[0]),
    }


def beginning(analysis: Analysis) -> str:
    """Say what caches hold at the beginning of a trial."""
    steady = analysis.scenario.schedule.start == "steady"
    return "the caches of a long-running service" if steady else "empty caches"


def settings(analysis: Analysis) -> list[tuple[str, str]]:
    """Say what was run, as names and values."""
    scenario = analysis.scenario
    schedule, first = scenario.schedule, scenario.variants[0]
    varied = comparisons.described(scenario.factors) or "nothing"
    settled = [
        ("Traffic", _traffic(first)),
        ("Varied", varied),
        ("Replicas", ", ".join(str(count) for count in dict.fromkeys(v.replicas for v in scenario.variants))),
        ("TTL", ", ".join(dict.fromkeys(_ttl(variant) for variant in scenario.variants))),
        ("Upstream latency", f"{first.upstream.latency_ms:g} ms"),
        (
            "Trial",
            f"{schedule.warmup:g} s of warm-up, {schedule.duration:g} s measured, from {beginning(analysis)}",
        ),
        ("Blocks", str(schedule.blocks)),
        ("Seed", str(scenario.seed)),
    ]
    targets = analysis.run.record.stack.targets
    if targets is None:
        return settled
    known = dict(settled) | {"Trial": f"{schedule.warmup:g} s of warm-up, {schedule.duration:g} s measured"}
    urls = [(f"Target {label}", ", ".join(each)) for label, each in targets.urls.items()]
    urls.append(("Path", targets.contract.path))
    if targets.header_names:
        urls.append(("Headers sent", ", ".join(targets.header_names)))
    return urls + [(name, known[name]) for name in ("Traffic", "Trial", "Blocks", "Seed")]


def _ttl(variant: Variant) -> str:
    """Return a TTL as production has it and, where a log is replayed faster than it was, as it was tried."""
    tried = as_tried(variant).cache.ttl
    also = (
        f" (as tried, {speedup_of(variant):g} times faster: {tried:g} s)"
        if tried != variant.cache.ttl
        else ""
    )
    return f"{variant.cache.ttl:g} s{also}"


def _traffic(variant: Variant) -> str:
    workload = variant.workload
    if workload.log is not None:
        pace = (
            f"at its own times, {workload.speedup:g}× faster"
            if workload.arrivals == "log"
            else f"at {workload.rate:g} a second"
        )
        return f"the requests of {workload.log.name}, {pace}"
    keys = workload.keys
    spread = f"Zipf({keys.exponent:g})" if keys.distribution == "zipf" else "evenly"
    pace = f"{workload.rate:g} requests a second ({workload.arrivals.capitalize()} arrivals)"
    return f"{pace} over {keys.count:,} paths, {spread}"
