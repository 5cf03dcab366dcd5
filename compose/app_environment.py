"""What a variant tells its app by environment, however it is deployed. Where Redis is, each stack adds."""

from __future__ import annotations

from scenarios.model import Variant


def app_environment(variant: Variant, upstream_url: str) -> dict[str, str]:
    """Return the variables of one replica. All are set, so that the app's own defaults play no part."""
    cache, upstream = variant.cache, variant.upstream
    return {
        "UPSTREAM_URL": upstream_url,
        "CACHE_TTL": str(cache.ttl),
        "CACHE_TTL_JITTER": str(cache.ttl_jitter),
        "CACHE_SINGLE_FLIGHT": _switch(cache.single_flight),
        "CACHE_LEASE": _switch(cache.lease),
        "CACHE_LEASE_WAIT": str(cache.lease_wait),
        "CACHE_REVALIDATE": str(cache.revalidate),
        "CACHE_STALE_WHILE_REVALIDATE": str(cache.stale_while_revalidate),
        "CACHE_STALE_IF_ERROR": str(cache.stale_if_error),
        "CACHE_NEGATIVE_TTL": str(cache.negative_ttl),
        "CACHE_L1": str(cache.l1),
        "CACHE_MAX_BODY": str(cache.max_body),
        "UPSTREAM_CONCURRENCY": str(upstream.concurrency or variant.workload.users),
        "UPSTREAM_RESERVE": str(upstream.reserve),
    }


def _switch(on: bool) -> str:
    return "on" if on else "off"
