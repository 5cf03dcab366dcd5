"""The words for what happened to a request, and for why one failed: stored in every row of a trial."""

from __future__ import annotations

from typing import Final

# What happened to a request; docs/design.md says what each means. A row stores the word's place, so that new
# words go to the end.
OUTCOMES: Final = ("unsent", "hit", "miss", "delayed", "stale", "bypass", "error", "unknown")
UNSENT, HIT, MISS, DELAYED, STALE, BYPASS, ERROR, UNKNOWN = range(len(OUTCOMES))

# What comes out of a cache, or waits for one; without a cache there is none of it.
OF_CACHES: Final = ("hit", "miss", "delayed", "stale")
# For which the app made exactly one call of its own while the request waited.
CALLING: Final = ("miss", "bypass")

# Why a request failed, or why nothing is known of an answer that came. The empty word: it did not fail.
REASONS: Final = (
    "",
    "status",
    "redirect",
    "connection refused",
    "connection reset",
    "unreachable",
    "closed without an answer",
    "cut short",
    "bad response",
    "TLS failed",
    "no answer in time",
    "answered too late",
    "broken off",
    "Cache-Status unreadable",
    "out of file descriptors",
    "out of local ports",
    "out of memory",
)
REASON: Final = {word: code for code, word in enumerate(REASONS)}
# Shortages of the load generator's own machine: they say nothing of the target.
SHORTAGES: Final = ("out of file descriptors", "out of local ports", "out of memory")
