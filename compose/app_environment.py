"""What a variant tells its app by environment, in trials and in exports alike.

This is the one map of the settings: what is not in it reaches neither. Where Redis is, and its password,
each stack and each export adds.
"""

from __future__ import annotations

from scenarios.model import Variant


def app_environment(variant: Variant, upstream_url: str) -> dict[str, str]:
    """Return the variables of one replica in a trial."""
    return {"UPSTREAM_URL": upstream_url, **app_settings(variant)}


def app_settings(variant: Variant) -> dict[str, str]:
    """Return how a variant's app caches and calls the upstream, with production's times.

    All settings are there, so that the app's own defaults play no part.
    """
    cache, upstream = variant.cache, variant.upstream
    return {
        "CACHE_TTL": _number(cache.ttl),
        "CACHE_TTL_JITTER": _number(cache.ttl_jitter),
        "CACHE_SINGLE_FLIGHT": _switch(cache.single_flight),
        "CACHE_LEASE": _switch(cache.lease),
        "CACHE_LEASE_WAIT": _number(cache.lease_wait),
        "CACHE_REVALIDATE": _number(cache.revalidate),
        "CACHE_STALE_WHILE_REVALIDATE": _number(cache.stale_while_revalidate),
        "CACHE_STALE_IF_ERROR": _number(cache.stale_if_error),
        "CACHE_NEGATIVE_TTL": _number(cache.negative_ttl),
        "CACHE_L1": _number(cache.l1),
        "CACHE_MAX_BODY": str(cache.max_body),
        "CACHE_VARY": cache.vary,
        "UPSTREAM_CONCURRENCY": str(upstream.concurrency or variant.workload.users),
        "UPSTREAM_RESERVE": str(upstream.reserve),
    }


def _number(value: float) -> str:
    """Write a number without an exponent and without a needless `.0`."""
    text = f"{value:.12f}".rstrip("0").rstrip(".")
    return text if float(text) == value else repr(value)


def _switch(on: bool) -> str:
    return "on" if on else "off"
