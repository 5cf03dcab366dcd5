"""What a variant costs a month on Fargate: its tasks, and its traffic between zones (docs/cost.md)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from reports.calls import hourly, longrun, quota
from reports.cost.prices import Prices
from reports.trial.measures import Measures
from scenarios.model import Variant
from scenarios.sizing.fargate import fargate_size
from scenarios.sizing.sizes import sizes

Architecture = Literal["x86", "arm"]
CROSSING: Final = 2 / 3  # three zones, app and Redis placed at random
_GB: Final = 1e9
_MIB_PER_GB: Final = 1024
# A request's command and reply on the way to Redis, without the body: key, headers kept, framing.
EXCHANGE_BYTES: Final = 300


@dataclass(frozen=True)
class Traffic:
    """What goes through a variant. Ratios are shares of all requests, but `free_ratio` is one of calls."""

    requests_per_s: float
    hit_ratio: float
    calls_per_request: float
    body_bytes: float
    crossing: float = CROSSING
    free_ratio: float = 0.0  # calls answered with 304, which a quota does not count


@dataclass(frozen=True)
class Tasks:
    """Tasks of one size: CPUs, and memory in MiB."""

    count: int
    cpus: float
    mib: int


@dataclass(frozen=True)
class Cost:
    """What a month costs, by part, in the prices' currency; and what counts against an upstream's quota."""

    app_tasks: Tasks
    redis_tasks: Tasks | None
    app: float
    redis: float
    between_zones: float
    calls_per_hour: float

    @property
    def total(self) -> float:
        """All parts together."""
        return self.app + self.redis + self.between_zones

    def quota_share(self, quota: int) -> float:
        """Calls made over calls allowed an hour; above 1 the quota is exceeded."""
        return self.calls_per_hour / quota


def cost(variant: Variant, prices: Prices, traffic: Traffic, architecture: Architecture = "x86") -> Cost:
    """Return what a variant costs a month.

    Raises:
        ScenarioError: a task is larger than Fargate has them.
    """
    app, redis = tasks(variant)
    calls = traffic.requests_per_s * 3600 * traffic.calls_per_request * (1 - traffic.free_ratio)
    return Cost(
        app_tasks=app,
        redis_tasks=redis,
        app=_compute(app, prices, architecture),
        redis=_compute(redis, prices, architecture) if redis else 0.0,
        between_zones=_between_zones(variant, prices, traffic),
        calls_per_hour=calls,
    )


def mean_body_bytes(variant: Variant) -> float:
    """Return the mean of the scenario's log-normal sizes, whose median it states."""
    return variant.upstream.body * math.exp(variant.upstream.body_spread**2 / 2)


def tasks(variant: Variant) -> tuple[Tasks, Tasks | None]:
    """Return the app's tasks, and Redis's own where it has one.

    Raises:
        ScenarioError: a task is larger than Fargate has them.
    """
    of = sizes(variant)
    if variant.layout.in_task:
        cpus, mib = of.app_cpus + of.redis_cpus, of.app_mib + of.redis_mib
        return Tasks(variant.replicas, *fargate_size(cpus, mib)), None
    app = Tasks(variant.replicas, *fargate_size(of.app_cpus, of.app_mib))
    redis = Tasks(1, *fargate_size(of.redis_cpus, of.redis_mib)) if variant.layout.apart else None
    return app, redis


def _compute(size: Tasks, prices: Prices, architecture: Architecture) -> float:
    price = prices.arm if architecture == "arm" else prices.x86
    hour = size.cpus * price.vcpu_hour + size.mib / _MIB_PER_GB * price.gb_hour
    return size.count * hour * prices.hours_per_month


def _between_zones(variant: Variant, prices: Prices, traffic: Traffic) -> float:
    """A hit reads the body once, a call stores it once; each byte is paid where it leaves and arrives."""
    if not variant.layout.linked:
        return 0.0
    bodies = traffic.hit_ratio + traffic.calls_per_request
    per_request = EXCHANGE_BYTES + bodies * traffic.body_bytes
    month = traffic.requests_per_s * 3600 * prices.hours_per_month
    return month * per_request * traffic.crossing / _GB * 2 * prices.between_zones.gb_each_direction


def expected_traffic(variant: Variant) -> Traffic | None:
    """Return what a variant does in the long run; None where nothing computes it."""
    found = longrun.of_variant(variant)
    if found is None:
        return None
    return Traffic(found.rate, 1 - found.miss_ratio, found.miss_ratio, mean_body_bytes(variant))


def measured_traffic(variant: Variant, trials: Sequence[Measures]) -> Traffic | None:
    """Return a variant's long run with the bodies of its trials; None where it is not known.

    Where nothing computes it, it is what trials with a steady start have measured. Those of a cold start do
    not show it.
    """
    requests = sum(trial.requests for trial in trials)
    known = all(trial.calls_known and trial.record.load.outcomes_known for trial in trials)
    if not requests or not known:
        return None
    body_bytes = sum(trial.body_bytes * trial.requests for trial in trials) / requests
    deployed = all(trial.record.deployed for trial in trials)
    # The TTL and the upstream of a running service are not known: nothing computes it.
    computed = expected_traffic(variant) if deployed else None
    if computed is not None:
        return replace(computed, body_bytes=body_bytes)
    if deployed and not hourly.stationary(variant, trials):
        return None
    return Traffic(
        requests_per_s=quota.requests_per_hour(variant, trials) / 3600,
        hit_ratio=sum(trial.outcomes.get("hit", 0) for trial in trials) / requests,
        calls_per_request=sum(trial.upstream_calls for trial in trials) / requests,
        body_bytes=body_bytes,
    )
