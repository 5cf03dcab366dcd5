"""What a hit, a miss and a hop take: measured in a stored run, given by an option, or assumed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from bench.errors import UserError
from reports.prediction.model import Assumption, Origin
from scenarios.model import Variant
from simulation.prediction.counting import Topology
from simulation.prediction.latency import Link, Times

# Of a fast FastAPI app on one core, as docs/performance.md has them, without a load generator's own time.
ASSUMED: Final[dict[Topology, Times]] = {
    "none": Times(hit_ms=0.0, miss_ms=0.6, l1_hit_ms=0.0, spread=0.3),
    "process": Times(hit_ms=0.1, miss_ms=0.6, l1_hit_ms=0.1, spread=0.3),
    "sidecar": Times(hit_ms=0.2, miss_ms=0.8, l1_hit_ms=0.1, spread=0.3),
    "separate": Times(hit_ms=0.2, miss_ms=0.8, l1_hit_ms=0.1, hit_hops=1, miss_hops=2, spread=0.3),
}
if TYPE_CHECKING:  # pandas: only where a stored run is read
    from reports.analysis.run import Analysis
    from reports.trial.measures import Measures

_P90: Final = 1.2816  # standard deviations of a normal distribution
_ASSUMED_FROM: Final = "assumed: a fast FastAPI app on one core (docs/performance.md)"


@dataclass(frozen=True)
class Found:
    """Times by topology, the link, and where each comes from."""

    times: dict[Topology, Times]
    link: Link
    assumptions: tuple[Assumption, ...]


def assumed(link: Link, link_from: Mapping[str, tuple[Origin, str]]) -> Found:
    """Return the built-in times."""
    said = [
        _said(topology, kind, value, "assumed", _ASSUMED_FROM)
        for topology, times in ASSUMED.items()
        for kind, value in (("hit", times.hit_ms), ("miss", times.miss_ms))
        if value
    ]
    return Found(dict(ASSUMED), link, (*said, *_link_said(link, link_from), *_busy_said(ASSUMED["sidecar"])))


def given_hit(found: Found, hit_ms: float) -> Found:
    """Return times in which a hit in a sidecar takes `hit_ms`, others change by the same factor."""
    factor = hit_ms / found.times["sidecar"].hit_ms
    times = {
        topology: dataclasses.replace(each, hit_ms=each.hit_ms * factor, l1_hit_ms=each.l1_hit_ms * factor)
        for topology, each in found.times.items()
    }
    rest = [one for one in found.assumptions if not one.name.startswith("hit_ms.")]
    said = [
        _said(topology, "hit", each.hit_ms, "given", "--hit")
        for topology, each in times.items()
        if each.hit_ms
    ]
    return Found(times, found.link, (*said, *rest))


def measured(run: Path, name: str, found: Found) -> Found:
    """Return times as a stored run measured them; what it did not measure stays as it is.

    Raises:
        UserError: the times of none of its trials can be believed.
        ResultsError: the run cannot be read.
    """
    from reports.analysis.run import analyse

    return measured_in(analyse(run), name, found)


def measured_in(analysed: Analysis, name: str, found: Found) -> Found:
    """Return times as a run that has been worked out measured them.

    Raises:
        UserError: the times of none of its trials can be believed.
    """
    times, said, rtts = dict(found.times), [], []
    for variant in analysed.scenario.variants:
        trials = analysed.timed(variant.id)
        hits = [trial.latency["hit"] for trial in trials if trial.latency["hit"].requests]
        misses = [trial.latency["miss"] for trial in trials if trial.latency["miss"].requests]
        if variant.cache.l1 or not (hits or (variant.topology == "none" and misses)):
            continue
        rtt_ms = _rtt(trials) if variant.topology == "separate" else 0.0
        old = times[variant.topology]
        new = dataclasses.replace(
            old,
            hit_ms=_less(_mean([hit.mean_ms for hit in hits]), old.hit_hops * rtt_ms, old.hit_ms),
            miss_ms=_less(
                _mean([miss.mean_ms for miss in misses]),
                old.miss_hops * rtt_ms + _upstream_ms(variant),
                old.miss_ms,
            ),
            spread=_spread([hit.quantiles_ms for hit in hits], old.spread),
        )
        times[variant.topology] = new
        rtts += [rtt_ms] if rtt_ms else []
        source = f"measured: {variant.id} of {name}, mean of {len(trials)} trials"
        said += [
            _said(variant.topology, kind, value, "measured", source)
            for kind, value in (("hit", new.hit_ms), ("miss", new.miss_ms))
            if value
        ]
    if not said:
        raise UserError(
            f"--measured {name}: of none of its trials can the times be believed; name another run"
        )
    replaced = {one.name for one in said}
    rest = [one for one in found.assumptions if one.name not in replaced]
    if rtts and _origin(found, "rtt_ms") == "assumed":
        link = dataclasses.replace(found.link, rtt_ms=float(np.mean(rtts)))
        source = f"measured: achieved in {name}, by PING from the app's place"
        rest = [one for one in rest if one.name != "rtt_ms"]
        rest.append(_rtt_said(link, "measured", source))
        return Found(times, link, (*said, *rest))
    return Found(times, found.link, (*said, *rest))


def _origin(found: Found, name: str) -> Origin:
    return next(one.origin for one in found.assumptions if one.name == name)


def _rtt(trials: Sequence[Measures]) -> float:
    links = [trial.record.link for trial in trials]
    return float(np.mean([link.during_ms for link in links if link is not None] or [0.0]))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _less(measured_ms: float | None, less_ms: float, otherwise: float) -> float:
    """Return what is left of a measured time; `otherwise` where it was not measured."""
    return otherwise if measured_ms is None else max(measured_ms - less_ms, 0.0)


def _upstream_ms(variant: Variant) -> float:
    upstream = variant.upstream
    return upstream.latency_ms * math.exp(upstream.latency_spread**2 / 2)


def _spread(quantiles: Sequence[Mapping[str, float | None]], otherwise: float) -> float:
    """Return the sigma of a log-normal distribution with these medians and 90th percentiles."""
    found = [
        math.log(high / low) / _P90 for each in quantiles if (low := each["p50"]) and (high := each["p90"])
    ]
    return float(np.mean(found)) if found else otherwise


_LABELS: Final = {"hit": "A hit", "miss": "A miss without its upstream call"}
_WHERE: Final = {
    "none": "without a cache",
    "process": "with a cache in the process",
    "sidecar": "with sidecars",
    "separate": "with a separate Redis, without the round trip",
}


def _said(topology: Topology, kind: str, value: float, origin: Origin, source: str) -> Assumption:
    label = f"{_LABELS[kind]}, {_WHERE[topology]}"
    return Assumption(
        name=f"{kind}_ms.{topology}",
        label=label,
        value=round(value, 4),
        unit="ms",
        origin=origin,
        source=source,
    )


def _rtt_said(link: Link, origin: Origin, source: str) -> Assumption:
    label = "Round trip to a separate Redis"
    return Assumption(
        name="rtt_ms", label=label, value=round(link.rtt_ms, 4), unit="ms", origin=origin, source=source
    )


def _link_said(link: Link, of: Mapping[str, tuple[Origin, str]]) -> list[Assumption]:
    return [
        _rtt_said(link, *of["rtt_ms"]),
        Assumption(
            name="upstream_ms", label="The upstream's latency, median", value=link.upstream_ms, unit="ms",
            origin=of["upstream_ms"][0], source=of["upstream_ms"][1],
        ),
    ]  # fmt: skip


def _busy_said(times: Times) -> list[Assumption]:
    return [
        Assumption(
            name=f"{kind}_busy_ms", label=f"A {kind} keeps the app's process busy", value=value, unit="ms",
            origin="assumed", source=_ASSUMED_FROM,
        )
        for kind, value in (("hit", times.hit_busy_ms), ("miss", times.miss_busy_ms))
    ]  # fmt: skip
