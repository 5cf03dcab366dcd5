"""Gates on the load as a whole: sent requests, errors, and the resources of the generator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from reports.stored.records import TrialRecord
from reports.trial.answers import listed, short_of
from reports.trial.gate import Gate
from scenarios.facts import LoadFacts

if TYPE_CHECKING:
    import pandas as pd

    from scenarios.model import Variant

RATE_OFF: Final = 0.01
CPU_RATIO: Final = 0.9
ERROR_RATIO: Final = 0.001
BYPASS_RATIO: Final = 0.01


def nothing_measured(load: LoadFacts, rows: pd.DataFrame | None) -> bool:
    """Whether no request is in the measured time."""
    if rows is None:
        return load.requests == 0
    return not bool((rows["intended_us"] >= load.warmup_s * 1e6).any())


def nothing(load: LoadFacts) -> Gate:
    """Refuse a trial that has measured nothing."""
    unsent = f"; {load.unsent} of {load.offered} requests were never sent" if load.unsent else ""
    return Gate(
        "requests measured",
        "none",
        "≥ 1",
        False,
        f"nothing was measured: no request was sent in the {load.duration_s:.3g} s after the warm-up{unsent}",
    )


def errors(load: LoadFacts, wanted: float) -> Gate:
    """Judge how many requests failed; `wanted`: the share that the scenario asked the upstream for."""
    # Shortages of this machine are not failures of the target: a separate gate judges them.
    failed = load.outcomes.get("error", 0) - sum(short_of(load).values()) - load.expected_errors
    ratio = failed / max(load.requests, 1)
    bound = ERROR_RATIO + wanted
    due = f", and {load.expected_errors} expected errors" if load.expected_errors else ""
    paths = ", ".join(f"{one.requests} × {one.path}" for one in load.failed_paths)
    by = f": {listed(load.failures)}" if load.failures else ""
    return Gate(
        "errors",
        f"{ratio:.2%}{due}",
        f"≤ {bound:.2%}",
        ratio <= bound,
        f"{failed} of {load.requests} requests failed ({ratio:.1%}){by}"
        + (f"; most often {paths}" if paths else ""),
        strain=ratio / bound,
    )


def own_means(load: LoadFacts) -> Gate:
    """Judge whether the generator's own machine had what sending takes: descriptors, ports, memory."""
    short = short_of(load)
    return Gate(
        "generator resources",
        f"{sum(short.values())} requests not sent",
        "none",
        not short,
        f"the load generator's machine was {' and '.join(short)} ({listed(short)}); this is not an error of "
        "the target",
    )


def bypasses(record: TrialRecord, variant: Variant | None) -> Iterator[Gate]:
    """Judge how many requests bypassed Redis: without a cache all do, with one hardly any should.

    What another service's `BYPASS` means is not known.
    """
    load = record.load
    ours = record.deployed or record.app is not None
    if variant is None or not variant.layout.cached or not ours:
        return
    past = load.outcomes.get("bypass", 0)
    ratio = past / max(load.requests, 1)
    yield Gate(
        "Redis answered",
        f"{1 - ratio:.2%} of requests",
        f"≥ {1 - BYPASS_RATIO:.0%}",
        ratio <= BYPASS_RATIO,
        f"the app could not ask Redis for {past} of {load.requests} requests ({ratio:.1%})",
        strain=ratio / BYPASS_RATIO,
    )


def all_sent(load: LoadFacts) -> Gate:
    """Judge whether all scheduled requests were sent."""
    off = abs(load.requests - load.offered) / max(load.offered, 1)
    return Gate(
        "requests sent",
        f"{load.requests} of {load.offered}",
        f"within {RATE_OFF:.0%}",
        load.offered > 0 and off <= RATE_OFF,
        f"saturated: {load.unsent} of {load.offered} requests were still not sent seconds after the last "
        "scheduled time"
        if load.unsent
        else f"{load.requests} requests were sent, but {load.offered} were scheduled",
        strain=off / RATE_OFF,
    )


def generator(load: LoadFacts) -> Gate:
    """Judge whether the generator had CPU time to spare."""
    return Gate(
        "generator CPU",
        f"{load.cpu_ratio:.0%} of a core",
        f"≤ {CPU_RATIO:.0%}",
        load.cpu_ratio <= CPU_RATIO,
        f"the load generator was saturated ({load.cpu_ratio:.0%} of a core): lower workload.rate",
        strain=load.cpu_ratio / CPU_RATIO,
    )
