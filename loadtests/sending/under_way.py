"""How many requests are under way at once, on average over a window: counted as they come and go."""

from __future__ import annotations


class UnderWay:
    """The time integral of the requests under way, by a running count and not by their rows.

    Compared with the rows it shows whether what is recorded of each request is what happened.
    """

    __slots__ = ("_area_ns", "_from_ns", "_since_ns", "_until_ns")

    def __init__(self, from_ns: int, until_ns: int) -> None:
        self._area_ns = 0
        self._from_ns = self._since_ns = from_ns
        self._until_ns = until_ns

    def changes(self, count: int, now_ns: int) -> None:
        """Note that so many have been under way until now. Called twice a request, and so kept short."""
        since_ns = self._since_ns
        if now_ns > since_ns:
            if now_ns > self._until_ns:
                now_ns = self._until_ns
            self._area_ns += count * (now_ns - since_ns)
            self._since_ns = now_ns

    @property
    def mean(self) -> float | None:
        """The mean over the window; None where the window has no length."""
        span_ns = self._until_ns - self._from_ns
        return self._area_ns / span_ns if span_ns > 0 else None
