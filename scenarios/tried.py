"""A variant as it is tried: where a log is replayed faster than it was, the cache's times are shorter, too.

Scenarios give times as production has them. A log sped up 60 times lets an hour pass in a minute, so that a
TTL of an hour has to be over in a minute. What is not the log's own time stays as it is: how long the
upstream and the link take, and how long a lease is waited for.
"""

from __future__ import annotations

from typing import Final

from scenarios.model import Variant

COMPRESSED: Final = ("ttl", "revalidate", "stale_while_revalidate", "stale_if_error", "negative_ttl", "l1")


def as_tried(variant: Variant) -> Variant:
    """Return a variant with its cache's times divided by the speedup at which its log is replayed."""
    speedup = speedup_of(variant)
    if speedup == 1.0:
        return variant
    times = {name: getattr(variant.cache, name) / speedup for name in COMPRESSED}
    return variant.model_copy(update={"cache": variant.cache.model_copy(update=times)})


def speedup_of(variant: Variant) -> float:
    """Return how much faster than its own times a variant's traffic comes."""
    return variant.workload.speedup if variant.workload.arrivals == "log" else 1.0
