"""What a variant tells its app by environment, however it is deployed. Where Redis is, each stack adds."""

from __future__ import annotations

from typing import Final

from scenarios.model import Variant

_ANY_BODY: Final = 16_000_000  # bytes: whatever the upstream sends is kept, so that theory holds


def app_environment(variant: Variant, upstream_url: str) -> dict[str, str]:
    """Return the variables of one replica. All are set, so that the app's own defaults play no part."""
    cache = variant.cache
    return {
        "UPSTREAM_URL": upstream_url,
        "CACHE_TTL": str(cache.ttl),
        "CACHE_TTL_JITTER": str(cache.ttl_jitter),
        "CACHE_SINGLE_FLIGHT": _switch(cache.single_flight),
        "CACHE_LEASE": _switch(cache.lease),
        "CACHE_REVALIDATE": str(cache.revalidate),
        "CACHE_STALE_WHILE_REVALIDATE": str(cache.stale_while_revalidate),
        "CACHE_STALE_IF_ERROR": str(cache.stale_if_error),
        "CACHE_NEGATIVE_TTL": str(cache.negative_ttl),
        "CACHE_L1": str(cache.l1),
        "CACHE_MAX_BODY": str(_ANY_BODY),
        "UPSTREAM_CONCURRENCY": str(variant.workload.users),
    }


def _switch(on: bool) -> str:
    return "on" if on else "off"
