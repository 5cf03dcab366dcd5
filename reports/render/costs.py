"""What the variants of a run or a scenario cost a month, as a table (docs/cost.md has the formula)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.analysis.run import Analysis
from reports.calls import longrun, quota
from reports.cost.monthly import Architecture, Cost, Tasks, Traffic, cost, expected_traffic, measured_traffic
from reports.cost.prices import Prices, read_prices
from reports.render.cells import Cell, Table
from scenarios.model import Scenario, Variant
from scenarios.reading.document import ScenarioError
from simulation import memory


def of_run(analysis: Analysis) -> dict[str, Traffic]:
    """Return what went through each variant of which the counts of a trial can be believed."""
    found = {
        variant.id: measured_traffic(variant, analysis.counted(variant.id))
        for variant in analysis.scenario.variants
    }
    return {name: traffic for name, traffic in found.items() if traffic is not None}


def of_scenario(scenario: Scenario) -> dict[str, Traffic]:
    """Return the long run of each variant of which it is computed."""
    found = {variant.id: expected_traffic(variant) for variant in scenario.variants}
    return {name: traffic for name, traffic in found.items() if traffic is not None}


def unknown(scenario: Scenario, traffic: Mapping[str, Traffic], *, measured: bool) -> list[str]:
    """Say of each variant whose long run is not known why, and what to do."""
    remedy = (
        "repeat the run with schedule.start: steady"
        if measured
        else "run the scenario with a steady start, then use --run last"
    )
    return [
        f"{variant.id}: the long run is not computed, because {longrun.why_not(variant)}; {remedy}."
        for variant in scenario.variants
        if variant.id not in traffic
    ]


def short_of_memory(variants: Sequence[Variant]) -> str:
    """Say which variants' Redis has too little memory for all that it would hold; empty where none has."""
    found = [(variant, longrun.of_variant(variant)) for variant in variants]
    short = [
        f"{variant.id} ({memory.entries(variant):,} of {variant.workload.keys.count:,} paths)"
        for variant, one in found
        if one is not None and one.means == "simulation"
    ]
    if not short:
        return ""
    return (
        f"Redis does not have enough memory for all paths in {', '.join(short)} and evicts copies before "
        "their TTL ends. "
        "Their calls are those of a simulated LRU. With a larger cache.maxmemory there are fewer."
    )


def table(
    scenario: Scenario,
    traffic: Mapping[str, Traffic],
    prices: Prices | None = None,
    architecture: Architecture = "x86",
) -> Table:
    """Return variant × what it costs; variants whose traffic is not known are left out.

    Raises:
        ResultsError: the built-in prices cannot be read.
        ScenarioError: a task is larger than Fargate has them.
    """
    prices, quotas = prices or read_prices(), quota.quotas(scenario.variants)
    total = f"Total, {prices.currency}"
    heads = ["Variant", "Tasks", "App", "Redis", "Between zones", total, "Calls an hour"]
    rows = [
        _row(variant.id, cost(variant, prices, traffic[variant.id], architecture), quotas)
        for variant in scenario.variants
        if variant.id in traffic
    ]
    return Table("costs", heads, rows)


def of_report(analysis: Analysis) -> Table:
    """Return the table of a run's report; empty where it says nothing, as of running services."""
    empty = Table("costs", [], [])
    if not analysis.deployed:
        return empty
    try:
        return table(analysis.scenario, of_run(analysis))
    except ScenarioError:  # larger than Fargate has tasks: `sidecar-bench cost` says so
        return empty


def _row(name: str, found: Cost, quotas: Sequence[int]) -> list[Cell]:
    app = _size(found.app_tasks, "app")
    redis = _size(found.redis_tasks, "Redis") if found.redis_tasks else ""
    return [
        Cell(name),
        Cell(app, redis),
        Cell(f"{found.app:,.2f}"),
        Cell(f"{found.redis:,.2f}" if found.redis_tasks else "–"),
        Cell(f"{found.between_zones:,.2f}" if found.between_zones else "–"),
        Cell(f"{found.total:,.2f}"),
        Cell(f"{found.calls_per_hour:,.0f}", ", ".join(_share(found, each) for each in quotas)),
    ]


def _share(found: Cost, allowed: int) -> str:
    share = found.quota_share(allowed)
    used = f"{share:.0%}" if share <= 1 else f"{share:,.1f} ×" if share < 10 else f"{share:,.0f} ×"
    return f"the quota of {allowed:,}: {used}"


def _size(tasks: Tasks, of: str) -> str:
    return f"{tasks.count} × {tasks.cpus:g} vCPU, {tasks.mib / 1024:g} GB ({of})"


def assumptions(prices: Prices) -> str:
    """Say in sentences what the figures rest on."""
    dated = f", as of {prices.x86.as_of}" if prices.x86.as_of else ""
    return (
        f"A month of {prices.hours_per_month:g} hours on Fargate in {prices.region}, at list prices{dated}: "
        "the smallest sizes that hold the containers, all month, without the load balancer, which is the "
        "same for all. In “sidecar” Redis runs in the app's tasks. In “separate” two thirds of the requests "
        "are assumed to cross zones. docs/cost.md has the formula; “sidecar-bench cost --prices FILE” takes "
        "prices of your own."
    )
