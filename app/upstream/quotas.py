"""The upstream's quotas, by resource, and which paths count towards which.

GitHub counts searches apart from all else, code searches apart from these, and so on. Which resource a path
belongs to is told by its answers alone: it is remembered by the path's beginning.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

_USUAL: Final = "core"  # GitHub's word for whatever has no quota of its own
_MOST: Final = 256  # resources, and beginnings of paths, that are remembered
_LENGTH: Final = 100  # characters of either
_ROUNDING_S: Final = 2.0  # the end of one window, told in whole seconds, may differ from answer to answer


@dataclass(slots=True)
class Quota:
    """What is left of one resource's window, which ends at `ends_s` by the caller's clock."""

    remaining: int | None = None
    reset_s: int = 0  # the window's end as the upstream tells it, by which windows are told apart
    ends_s: float = 0.0
    under_way: int = 0

    def remain(self, remaining: int, reset_s: int, now_s: float, ends_s: float) -> None:
        """Note what is left of a window: answers may come out of order, so within one the least counts."""
        known = self.remaining is not None and now_s < self.ends_s
        if not known or reset_s > self.reset_s + _ROUNDING_S:
            self.remaining, self.reset_s, self.ends_s = remaining, reset_s, ends_s
        elif self.remaining is not None and reset_s >= self.reset_s - _ROUNDING_S:
            self.remaining = min(self.remaining, remaining)

    def left(self, now_s: float) -> bool:
        """Tell whether calls are left, as far as is known."""
        return self.remaining is None or self.remaining > 0 or now_s >= self.ends_s


class Quotas:
    """All quotas that the upstream has told of."""

    def __init__(self) -> None:
        self._usual = Quota()
        self._named: OrderedDict[str, Quota] = OrderedDict()
        self._resources: OrderedDict[str, str] = OrderedDict()

    def of(self, name: str) -> Quota:
        """Return the quota that a path counts towards, as far as is known."""
        for beginning in _beginnings(name):
            if (resource := self._resources.get(beginning)) is not None:
                return self._named.get(resource, self._usual)
        return self._usual

    def learn(self, name: str, resource: str | None) -> Quota:
        """Note which resource an answer for a path has named, if any; return its quota."""
        if resource is None:
            return self.of(name)
        resource = resource[:_LENGTH]
        quota = self._usual
        if resource != _USUAL:
            quota = self._named.setdefault(resource, Quota())
            _shorten(self._named, resource)
        if self.of(name) is not quota:
            longer, shorter = _beginnings(name)
            # The first answer speaks for all paths that begin with the same word, others for less.
            beginning = longer if shorter in self._resources else shorter
            self._resources[beginning] = resource
            _shorten(self._resources, beginning)
        return quota


def _beginnings(name: str) -> tuple[str, str]:
    """Return a path's first two words, and the first alone."""
    words = name.partition("?")[0].split("/", 2)
    return "/".join(words[:2])[:_LENGTH], words[0][:_LENGTH]


def _shorten(known: OrderedDict[str, Any], newest: str) -> None:
    known.move_to_end(newest)
    if len(known) > _MOST:
        known.popitem(last=False)
