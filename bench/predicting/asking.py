"""The question that a user asks of `predict`, from the command's options."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

from bench.errors import UserError
from bench.predicting import times, traffic, values
from bench.store import RunFolder
from reports.prediction.model import Assumption, Origin, Quota
from reports.prediction.question import Kind, Question
from scenarios.model import Scenario, Variant
from scenarios.reading import document
from simulation.prediction.counting import Caching, Topology
from simulation.prediction.latency import Link
from simulation.prediction.life import STEP_S
from simulation.prediction.routing import Routing
from traffic.logs import Reading

_TTL_S: Final = 3600.0  # where nothing says it
_GRID_S: Final = (60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0, 86_400.0)
_FEW_S: Final = (300.0, 3600.0, 21_600.0)
_FEW_REPLICAS: Final = (1, 2, 4, 8, 16)
_GRID_REPLICAS: Final = (1, 2, 3, 4, 6, 8, 12, 16)
_TOPOLOGIES: Final[tuple[Topology, ...]] = ("none", "process", "sidecar", "separate")
_Value = TypeVar("_Value", int, float)
_ROUTINGS: Final[tuple[Routing, ...]] = ("random", "round-robin", "sticky", "hash")


@dataclass(frozen=True)
class Options:
    """What the user wrote; None where an option was left out."""

    scenario: str | None = None
    log: Sequence[str] = ()
    reading: Reading = field(default_factory=Reading)
    ttl: Sequence[str] = ()
    replicas: Sequence[str] = ()
    rate: float | None = None
    keys: int | None = None
    skew: float | None = None
    quota: str | None = None
    deploys: str | None = None
    routing: str | None = None
    maxmemory: str | None = None
    memory_total: str | None = None
    rtt: str | None = None
    upstream_latency: str | None = None
    hit: str | None = None
    negative_ttl: str | None = None
    l1: str | None = None
    start: str | None = None
    measured: str | None = None
    changed: Mapping[str, object] = field(default_factory=dict)
    results: Path = Path("results")
    command: Sequence[str] = ()
    read: Scenario | None = None  # instead of `scenario`, where it has been read


def ask(asked: Options) -> Question:
    """Make the question.

    Raises:
        UserError: an option is wrong; the message names it.
        ScenarioError: the scenario cannot be used.
        LogError: a log cannot be used.
        ResultsError: the measured run cannot be read.
    """
    scenario = asked.read or _scenario(asked)
    base, routing = _described(scenario.variants[0], asked), _routing(asked)
    found = _times(asked, base)
    caching = _caching(asked, base, found)
    ttls_s, replicas = _ttls(asked, scenario), _replicas(asked, scenario)
    own_ttl_s, own_replicas = _middle(ttls_s), _middle(replicas)
    deploys = values.per_day(asked.deploys) if asked.deploys else 0.0
    quota = _quota(asked, base)
    start = _start(asked, is_log=bool(asked.log or base.workload.log))
    files = list(asked.log) or ([str(base.workload.log)] if base.workload.log else [])
    maxmemory, memory_total = _memory(asked, base)
    about = traffic.About(
        caching, routing, deploys, start, max(ttls_s), own_replicas, maxmemory, memory_total
    )
    met = traffic.of_log(files, asked.reading, about, base) if files else traffic.described(base, about)
    l1_s = values.duration(asked.l1, "--l1") if asked.l1 else base.cache.l1
    return Question(
        source=met.source,
        grid_source=met.grid_source,
        kinds=tuple(_kinds(l1_s)),
        ttls_s=ttls_s,
        replicas=replicas,
        own_ttl_s=own_ttl_s,
        own_replicas=own_replicas,
        grid_ttls_s=tuple(_grid_ttls(ttls_s, met.longest_ttl_s, few=met.costly)),
        grid_replicas=tuple(_grid_replicas(replicas, few=met.costly)),
        routing=routing,
        maxmemory=maxmemory,
        memory_total=memory_total,
        times=found.times,
        link=found.link,
        quota=None if met.span.partial_hour else quota,
        deploys_per_day=deploys,
        start=start,
        rate=met.rate,
        peak_rate=met.peak_rate,
        base=base,
        body_bytes=met.body_bytes,
        traffic=met.figures,
        span=met.span,
        begins_us=met.begins_us,
        assumptions=(*found.assumptions, *_assumptions(asked, base, caching, routing, deploys)),
        costly=met.costly,
        refined=bool(caching.jitter or caching.revalidate_s or caching.stale_s or l1_s),
        memories=met.memories,
        notes=met.notes,
        command=tuple(asked.command),
    )


def _scenario(asked: Options) -> Scenario:
    if asked.scenario is not None:
        return document.load(asked.scenario, asked.changed)
    if not asked.log and asked.rate is None:
        raise UserError(
            "what traffic? Name an access log (--log 'access.log*'), a scenario (sidecar-bench predict "
            "quick), or numbers (--rate 300 --keys 5000 --skew 0.9)"
        )
    written = document.Document("predict", {"name": "predict", "cache": {"ttl": _TTL_S}})
    return document.build(document.override(written, asked.changed))


def _described(variant: Variant, asked: Options) -> Variant:
    """Return the variant with the traffic that options describe."""
    numbers = {"--rate": asked.rate, "--keys": asked.keys, "--skew": asked.skew}
    named = [option for option, value in numbers.items() if value is not None]
    if asked.log and named:
        raise UserError(f"{named[0]} describes traffic, and --log has it; leave one of them out")
    workload, keys = variant.workload, variant.workload.keys
    if asked.rate is not None:
        rate = values.positive(asked.rate, "--rate")
        workload = workload.model_copy(update={"rate": rate, "arrivals": "poisson", "log": None})
    if asked.keys is not None:
        if not 1 <= asked.keys <= 10_000_000:
            raise UserError(f"--keys {asked.keys}: must be from 1 to 10,000,000")
        keys = keys.model_copy(update={"count": asked.keys})
    if asked.skew is not None:
        if not 0 <= asked.skew <= 5:
            raise UserError(f"--skew {asked.skew:g}: must be from 0 (all paths alike) to 5")
        keys = keys.model_copy(update={"distribution": "zipf", "exponent": asked.skew})
    return variant.model_copy(update={"workload": workload.model_copy(update={"keys": keys})})


def _routing(asked: Options) -> Routing:
    for routing in _ROUTINGS:
        if routing == (asked.routing or "random"):
            return routing
    raise UserError(f"--routing {asked.routing}: is not known; choose one of {', '.join(_ROUTINGS)}")


def _start(asked: Options, *, is_log: bool) -> Literal["cold", "steady"]:
    if asked.start is None:
        return "cold" if is_log else "steady"
    if asked.start not in ("cold", "steady"):
        raise UserError(f"--start {asked.start}: is not known; choose cold or steady")
    return "cold" if asked.start == "cold" else "steady"


def _ttls(asked: Options, scenario: Scenario) -> tuple[float, ...]:
    if asked.ttl:
        found = values.durations(asked.ttl)
        if found[0] <= 0:
            raise UserError("--ttl 0: keeps nothing; the topology “none” of the table is that")
        return found
    return tuple(sorted({variant.cache.ttl for variant in scenario.variants}))


def _replicas(asked: Options, scenario: Scenario) -> tuple[int, ...]:
    if asked.replicas:
        return values.replicas(asked.replicas)
    return tuple(sorted({variant.replicas for variant in scenario.variants}))


def _middle(listed: Sequence[_Value]) -> _Value:
    """Return the one that the answer is about: the middle one of a list, the lower of two."""
    return listed[(len(listed) - 1) // 2]


def _quota(asked: Options, base: Variant) -> Quota | None:
    if asked.quota is not None:
        return values.quota(asked.quota)
    limit = base.upstream.rate_limit
    return Quota(calls=limit, per_s=3600.0) if limit is not None else None


def _memory(asked: Options, base: Variant) -> tuple[int | None, int | None]:
    if asked.maxmemory and asked.memory_total:
        raise UserError(
            "--maxmemory is that of each Redis, --memory-total that of all; leave one of them out"
        )
    each = values.size(asked.maxmemory, "--maxmemory") if asked.maxmemory else None
    total = values.size(asked.memory_total, "--memory-total") if asked.memory_total else None
    if each is None and total is None and asked.scenario is not None:
        total = base.cache.maxmemory
    return each, total


def _times(asked: Options, base: Variant) -> times.Found:
    of: dict[str, tuple[Origin, str]] = {}
    known: tuple[Origin, str] = (
        ("scenario", asked.scenario) if asked.scenario else ("assumed", "assumed: a scenario's default")
    )
    rtt_ms, of["rtt_ms"] = base.link.rtt_ms, known
    upstream_ms, of["upstream_ms"] = base.upstream.latency_ms, known
    if asked.rtt is not None:
        rtt_ms, of["rtt_ms"] = values.milliseconds(asked.rtt, "--rtt"), ("given", "--rtt")
    if asked.upstream_latency is not None:
        upstream_ms = values.milliseconds(asked.upstream_latency, "--upstream-latency")
        of["upstream_ms"] = ("given", "--upstream-latency")
    link = Link(rtt_ms, upstream_ms, base.upstream.latency_spread)
    found = times.assumed(link, of)
    if asked.measured is not None:
        folder = RunFolder.find(asked.results, asked.measured).path
        found = times.measured(folder, asked.measured, found)
    if asked.hit is not None:
        found = times.given_hit(found, values.milliseconds(asked.hit, "--hit"))
    return found


def _caching(asked: Options, base: Variant, found: times.Found) -> Caching:
    cache = base.cache
    negative_s = cache.negative_ttl
    if asked.negative_ttl is not None:
        negative_s = values.duration(asked.negative_ttl, "--negative-ttl")
    return Caching(
        fill_s=found.times["sidecar"].fill_s(found.link),
        negative_ttl_s=negative_s,
        revalidate_s=cache.revalidate,
        stale_s=cache.stale_while_revalidate,
        jitter=cache.ttl_jitter,
        joined=cache.single_flight,
        lease=cache.lease,
    )


def _kinds(l1_s: float) -> list[Kind]:
    kinds = [Kind(topology) for topology in _TOPOLOGIES]
    return [*kinds, Kind("sidecar", l1_s), Kind("separate", l1_s)] if l1_s else kinds


def _grid_ttls(ttls_s: Sequence[float], longest_s: float, *, few: bool) -> list[float]:
    """Return round TTLs from a minute to a day, those asked for, and some around them."""
    if few:
        return sorted({*_FEW_S, *ttls_s})
    around = [ttl_s * factor for ttl_s in (min(ttls_s), max(ttls_s)) for factor in (0.25, 0.5, 2.0, 4.0)]
    outside = [ttl_s for ttl_s in around if not _GRID_S[0] <= ttl_s <= _GRID_S[-1]]
    known = sorted({*_GRID_S, *ttls_s, *outside})
    return [ttl_s for ttl_s in known if ttl_s <= longest_s or ttl_s in ttls_s]


def _grid_replicas(replicas: Sequence[int], *, few: bool) -> list[int]:
    """Return some numbers of replicas, up to twice those asked for, and those themselves."""
    if few:
        return sorted({*_FEW_REPLICAS, _middle(replicas), max(replicas)})
    most = min(64, max(16, 2 * max(replicas)))
    doubled = itertools.takewhile(lambda each: each <= most, (2**power * 3 for power in itertools.count(3)))
    round_ = {*_GRID_REPLICAS, *doubled, *(2**power for power in range(int(math.log2(most)) + 1)), most}
    named = replicas if len(replicas) <= 8 else (_middle(replicas),)
    return sorted({*round_, *named})


def _assumptions(
    asked: Options, base: Variant, caching: Caching, routing: Routing, deploys: float
) -> list[Assumption]:
    def said(
        name: str, label: str, value: float | str | bool, option: str | None, unit: str = ""
    ) -> Assumption:
        origin: Origin = "given" if option else ("scenario" if asked.scenario else "assumed")
        source = option or asked.scenario or "assumed: a default of sidecar-bench predict"
        return Assumption(name=name, label=label, value=value, unit=unit, origin=origin, source=source)

    rolling = f"one replica every {STEP_S:g} s; each takes its cache with it, a separate Redis stays"
    return [
        said("routing", "Requests are assigned to replicas", routing, asked.routing and "--routing"),
        said("fill_s", "A fill takes", round(caching.fill_s, 5), None, "s"),
        said("single_flight", "Requests of a replica join a call under way", caching.joined, None),
        said("lease", "Requests of other replicas join it, too", caching.lease, None),
        said("negative_ttl_s", "A 404 or 410 is kept for", caching.negative_ttl_s,
             asked.negative_ttl and "--negative-ttl", "s"),
        said("revalidate_s", "An expired response is kept for a conditional call, answered with 304, for",
             caching.revalidate_s, None, "s"),
        said("stale_while_revalidate_s", "It is served while it is fetched again for", caching.stale_s,
             None, "s"),
        said("deploys_per_day", "Rolling deployments a day", deploys, asked.deploys and "--deploys"),
        *([said("rolling", "A deployment replaces", rolling, None)] if deploys else []),
        said("prices", "Prices", "AWS Fargate, on demand, us-east-1 (docs/cost.md)", None),
    ]  # fmt: skip
