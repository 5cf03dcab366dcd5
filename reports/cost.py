"""What a variant costs a month on Fargate: its tasks, and its traffic between zones (docs/cost.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from reports.prices import Prices
from scenarios.fargate import fargate_size
from scenarios.model import Variant

Architecture = Literal["x86", "arm"]
CROSSING: Final = 2 / 3  # three zones, app and Redis placed at random
MIB: Final = 1 << 20
_GB: Final = 1e9
_MIB_PER_GB: Final = 1024
# A request's command and reply on the way to Redis, without the body: key, headers kept, framing.
EXCHANGE_BYTES: Final = 300
# Where a scenario sets no limits, as `sidecar-bench export` has it.
_APP_CPUS: Final = 0.25
_APP_MIB: Final = 256
_REDIS_CPUS: Final = 0.25
_REDIS_MIB: Final = 64
_OVERHEAD: Final = 1.25


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
        """Calls made over calls allowed an hour; above 1 the quota is broken."""
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
    limits = variant.resources
    cpus = limits.cpus or _APP_CPUS
    mib = limits.memory // MIB if limits.memory else _APP_MIB
    if variant.topology == "none":
        return Tasks(variant.replicas, *fargate_size(cpus, mib)), None
    caches = variant.replicas if variant.topology == "sidecar" else 1
    redis_mib = max(_REDIS_MIB, -(-int(variant.cache.maxmemory // caches * _OVERHEAD) // MIB))
    if variant.topology == "sidecar":
        return Tasks(variant.replicas, *fargate_size(cpus + _REDIS_CPUS, mib + redis_mib)), None
    return (
        Tasks(variant.replicas, *fargate_size(cpus, mib)),
        Tasks(1, *fargate_size(_REDIS_CPUS, redis_mib)),
    )


def _compute(size: Tasks, prices: Prices, architecture: Architecture) -> float:
    price = prices.arm if architecture == "arm" else prices.x86
    hour = size.cpus * price.vcpu_hour + size.mib / _MIB_PER_GB * price.gb_hour
    return size.count * hour * prices.hours_per_month


def _between_zones(variant: Variant, prices: Prices, traffic: Traffic) -> float:
    """A hit reads the body once, a call stores it once; each byte is paid where it leaves and arrives."""
    if variant.topology != "separate":
        return 0.0
    bodies = traffic.hit_ratio + traffic.calls_per_request
    per_request = EXCHANGE_BYTES + bodies * traffic.body_bytes
    month = traffic.requests_per_s * 3600 * prices.hours_per_month
    return month * per_request * traffic.crossing / _GB * 2 * prices.between_zones.gb_each_direction
