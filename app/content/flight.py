"""Single-flight: who asks for what is being fetched already waits for that one fetch.

The fetch is a task of its own, so that a caller that goes away takes nobody's answer with it. And whoever
looked in the cache before a fetch ended, and comes here after, is given what that fetch brought: groupcache's
second look, without a second question. (https://github.com/golang/groupcache, singleflight)
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_REMEMBERED_S: Final = 1.0


class Flights(Generic[T]):
    """The fetches under way, by name; `landed` counts those that ended.

    `remembers` tells whether a result is kept for a second, for who comes late.
    """

    def __init__(self, remembers: Callable[[T], bool] = lambda _: True) -> None:
        self._remembers = remembers
        self._under_way: dict[bytes, asyncio.Task[T]] = {}
        self._ended: dict[bytes, tuple[int, T]] = {}
        self.landed = 0

    async def fly(
        self, name: bytes, looked: int, fetch: Callable[[], Coroutine[None, None, T]]
    ) -> tuple[T, bool]:
        """Return what a fetch brings, and whether it was another caller's.

        `looked` is what `landed` was when this caller began to look in the cache.
        """
        task = self._under_way.get(name)
        if task is not None:
            return await asyncio.shield(task), True
        ended = self._ended.get(name)
        if ended is not None and ended[0] > looked:
            return ended[1], True
        return await asyncio.shield(self._begun(name, fetch)), False

    def begin(self, name: bytes, looked: int, fetch: Callable[[], Coroutine[None, None, T]]) -> None:
        """Begin a fetch for nobody in particular, unless one is under way or has ended since `looked`."""
        ended = self._ended.get(name)
        if name not in self._under_way and (ended is None or ended[0] <= looked):
            self._begun(name, fetch)

    def _begun(self, name: bytes, fetch: Callable[[], Coroutine[None, None, T]]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(fetch())
        self._under_way[name] = task
        task.add_done_callback(lambda done: self._land(name, done))
        return task

    async def close(self) -> None:
        """End all fetches."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _land(self, name: bytes, task: asyncio.Task[T]) -> None:
        del self._under_way[name]
        if task.cancelled() or task.exception() is not None:
            return
        self.landed += 1
        if not self._remembers(task.result()):
            return
        landed = (self.landed, task.result())
        self._ended[name] = landed

        def forget() -> None:
            if self._ended.get(name) is landed:
                del self._ended[name]

        asyncio.get_running_loop().call_later(_REMEMBERED_S, forget)
