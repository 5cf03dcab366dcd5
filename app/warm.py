"""`python -m app.warm`: fills the configured cache from the upstream, before anybody asks for it.

Reads names with their lifetimes from standard input (see `app.content.wanted`), fetches each once with the
app's own settings, and stores it as the app does. By default a response is stored as it arrives, and its
seconds count from then. With `--hold` all are fetched first: an empty line ends the names, and each line
after it is a moment (Unix time, in seconds) from which the seconds count; all are then stored at once.
Fewer than 0 seconds say for how long a response has been expired: it is stored if the settings keep such
copies.

`--redis` (HOST:PORT, or the path of a socket) names the cache in place of REDIS_HOST and REDIS_SOCKET; given
several times it names several, and each line has seconds for each of them.

Prints lines of JSON. The app's metrics know nothing of it: it is a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final

from app import logs
from app.content.fills import enveloped, grace_s, lifetime_s
from app.content.wanted import InputError, Wanted, seconds_of, wanted
from app.metrics import Metrics
from app.names import Names, Resource
from app.settings import ConfigurationError, Settings
from app.store.resp import RedisError
from app.store.values import Store
from app.upstream.calls import Fetched, Upstream, UpstreamError
from app.upstream.governor import QuotaError

_AT_ONCE: Final = 128  # writes under way at one Redis


@dataclass(frozen=True)
class Entry:
    """What is wanted, when the upstream was asked for it, and what it answered or why it did not."""

    wanted: Wanted
    asked_s: float
    fetched: Fetched | str


@dataclass
class Tally:
    """What became of entries, all caches together."""

    wanted: int = 0
    filled: int = 0
    failed: Counter[str] = field(default_factory=Counter)

    def note(self, failure: str) -> None:
        """Count an entry; `failure` is why it was not stored, or empty."""
        self.wanted += 1
        if failure:
            self.failed[failure] += 1
        else:
            self.filled += 1


class Warmer:
    """Fetches names once, and stores them in caches."""

    def __init__(self, caches: Sequence[Settings], rate: float, concurrency: int) -> None:
        self._caches = caches
        metrics = Metrics()
        self._upstream = Upstream(caches[0], metrics)
        self._calls = metrics.upstream
        self._stores = [Store(settings, Metrics()) for settings in caches]
        self._gap_s = 1 / rate
        self._concurrency = concurrency
        self._next_s = 0.0

    @property
    def calls(self) -> int:
        """Calls to the upstream so far."""
        return int(sum(self._calls.values()))

    async def fetch(self, names: Iterable[Wanted], then: Callable[[Entry], Awaitable[None]]) -> None:
        """Fetch each name, and hand on what came of it, in the order in which they come."""
        left = iter(names)

        async def work() -> None:
            for name in left:
                if name.resource is not None:
                    await self._turn()
                await then(Entry(name, time.time(), await self._fetched(name.resource)))

        await asyncio.gather(*(work() for _ in range(self._concurrency)))

    async def _turn(self) -> None:
        now_s = time.monotonic()
        self._next_s = max(self._next_s, now_s)
        wait_s = self._next_s - now_s
        self._next_s += self._gap_s
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _fetched(self, resource: Resource | None) -> Fetched | str:
        """Return what the upstream answers, or why it does not."""
        if resource is None:
            return "refused"
        try:
            return await self._upstream.get(resource, spare=True)
        except QuotaError as error:
            return f"upstream-{error.why.decode()}"
        except UpstreamError as error:
            return str(error)

    async def store(self, entries: Iterable[Entry], begin_s: float | None, tally: Tally) -> None:
        """Store entries whose seconds count from a moment (Unix time; None: from when each is stored)."""
        puts = (
            self._put(place, entry, left_s, begin_s)
            for entry in entries
            for place, left_s in enumerate(entry.wanted.left_s)
            if left_s is not None
        )
        while batch := list(islice(puts, _AT_ONCE)):
            for failure in await asyncio.gather(*batch):
                tally.note(failure)

    async def _put(self, place: int, entry: Entry, left_s: float, begin_s: float | None) -> str:
        """Store one entry; return why not, or nothing."""
        fetched, resource, settings = entry.fetched, entry.wanted.resource, self._caches[place]
        if isinstance(fetched, str) or resource is None:
            return str(fetched)
        ttl_s = lifetime_s(settings, fetched.status)
        if ttl_s <= 0:
            return f"status-{fetched.status}"
        if len(fetched.body) > settings.most_bytes:
            return "too-large"
        if left_s > settings.longest_s:
            return "too-long"  # the app would not believe it
        now_s = time.time()
        fresh_until_s = (now_s if begin_s is None else begin_s) + left_s
        # As old as one of the app's own that is fresh for as long.
        envelope = enveloped(settings, resource, fetched, entry.asked_s)._replace(
            generated_s=fresh_until_s - ttl_s - fetched.age_s, fresh_until_s=fresh_until_s
        )
        keep_s = fresh_until_s + grace_s(settings, envelope) - now_s
        if keep_s <= 0:
            return "over"
        try:
            stored = await self._stores[place].put(resource.key, envelope.pack(), keep_s, now_s)
        except RedisError as error:
            return error.reason
        return "" if stored else "outdated"

    async def close(self) -> None:
        """Close all connections."""
        await self._upstream.close()
        for store in self._stores:
            await store.close()


async def _as_they_come(warmer: Warmer, names: Iterable[Wanted], began_s: float) -> bool:
    tally = Tally()
    await warmer.fetch(names, lambda entry: warmer.store([entry], None, tally))
    _say(warmer, tally, began_s)
    return tally.filled > 0 or tally.wanted == 0


async def _at_a_moment(warmer: Warmer, names: Iterable[Wanted], began_s: float) -> bool:
    entries: list[Entry] = []

    async def keep(entry: Entry) -> None:
        entries.append(entry)

    await warmer.fetch(names, keep)
    _print({"fetched": len(entries), "calls": warmer.calls})
    for moment in sys.stdin:  # a blocking read: nothing is under way that it could hold up
        try:
            begin_s = seconds_of(moment.strip())
        except ValueError as error:
            raise InputError(f"standard input, after the names: {error}") from error
        tally = Tally()
        await warmer.store(entries, begin_s, tally)
        _say(warmer, tally, began_s)
    return True


def _say(warmer: Warmer, tally: Tally, began_s: float) -> None:
    seconds = round(time.monotonic() - began_s, 3)
    _print(
        {
            "wanted": tally.wanted,
            "filled": tally.filled,
            "failed": dict(tally.failed),
            "calls": warmer.calls,
            "seconds": seconds,
        }
    )


def _print(said: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def caches(settings: Settings, addresses: Sequence[str]) -> list[Settings]:
    """Return the settings for each cache: those of the environment, where no address is given.

    Raises:
        ConfigurationError: there is no Redis to fill, or an address is none.
    """
    if not addresses and not settings.cached:
        raise ConfigurationError("REDIS_HOST or REDIS_SOCKET: name the Redis to fill, or give --redis")
    return [_at(settings, address) for address in addresses] or [settings]


def _at(settings: Settings, address: str) -> Settings:
    host, _, port = address.rpartition(":")
    if address.startswith("/"):
        return replace(settings, redis_socket=address, redis_host=None)
    if not host or not port.isdecimal():
        raise ConfigurationError(f"--redis {address}: is not HOST:PORT or the path of a socket")
    return replace(settings, redis_socket=None, redis_host=host.strip("[]"), redis_port=int(port))


async def _run(options: argparse.Namespace) -> bool:
    began_s = time.monotonic()
    each = caches(Settings.from_environment(), options.redis)
    names = list(
        wanted(sys.stdin, Names(each[0]), len(each))
    )  # up to the empty line: what follows are moments
    warmer = Warmer(each, options.rate, options.concurrency)
    try:
        if options.hold:
            return await _at_a_moment(warmer, names, began_s)
        return await _as_they_come(warmer, names, began_s)
    finally:
        await warmer.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Fill caches as the command line and standard input say."""
    parser = argparse.ArgumentParser(prog="python -m app.warm", description="Fill a cache from the upstream.")
    parser.add_argument("--rate", type=float, default=10.0, help="maximum calls per second (default 10)")
    parser.add_argument("--concurrency", type=int, default=4, help="maximum concurrent calls (default 4)")
    parser.add_argument("--redis", action="append", default=[], help="HOST:PORT or a socket's path")
    parser.add_argument("--hold", action="store_true", help="fetch everything, then store it at a given time")
    options = parser.parse_args(arguments)
    if not options.rate > 0 or options.concurrency < 1:
        parser.error("--rate is above 0, and --concurrency at least 1")
    logs.configure()
    try:
        filled = asyncio.run(_run(options))
    except (InputError, ConfigurationError) as error:
        sys.exit(f"app.warm: {error}")
    if not filled:
        sys.exit("app.warm: nothing was stored")


if __name__ == "__main__":
    main()
