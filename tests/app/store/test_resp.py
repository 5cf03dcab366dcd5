"""One connection for all: answers go to who asked, whoever has gone away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop
from servers import RedisServer, eventually

from app.store.resp import Connection, RedisError, RefusedError, encode


async def connected(
    redis: RedisServer, timeout_s: float = 2.0, failed: Callable[[RedisError], None] = lambda _: None
) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(
        lambda: Connection(timeout_s, failed, lambda _: None), "127.0.0.1", redis.port
    )
    await connection.ask(encode(b"AUTH", redis.password.encode()))
    return connection


def test_who_is_cancelled_shifts_nobodys_answer_and_keeps_the_connection(redis: RedisServer) -> None:
    async def crowd() -> None:
        connection, chance = await connected(redis), random.Random(1)
        names = [b"%d" % number for number in range(500)]
        for name in names:
            await connection.ask(encode(b"SET", name, b"value of " + name))
        for _ in range(5):
            asked = {name: connection.ask(encode(b"GET", name)) for name in names}
            gone = {name for name in names if chance.random() < 0.3}
            for name in gone:
                asked[name].cancel()
            for name in names:
                if name not in gone:
                    assert await asked[name] == b"value of " + name
        assert connection.open
        connection.close()

    asyncio.run(crowd())


def test_an_error_reply_is_its_askers_alone(redis: RedisServer) -> None:
    async def ask() -> None:
        connection = await connected(redis)
        wrong, right = connection.ask(encode(b"NOSUCH")), connection.ask(encode(b"PING"))
        with pytest.raises(RefusedError, match="unknown command") as refused:
            await wrong
        assert refused.value.reason == "redis-error"
        assert await right == b"PONG"
        connection.close()

    asyncio.run(ask())


def test_a_redis_that_hangs_is_given_up_in_time_by_all_who_wait(redis: RedisServer) -> None:
    told: list[RedisError] = []

    async def ask() -> list[Any]:
        connection = await connected(redis, timeout_s=0.2, failed=told.append)
        redis.hang()
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await asyncio.gather(
            *(connection.ask(encode(b"GET", b"a")) for _ in range(100)), return_exceptions=True
        )
        assert 0.19 <= loop.time() - began < 1.0
        assert not connection.open
        return found

    assert {one.reason for one in asyncio.run(ask())} == {"redis-timeout"}
    assert [one.reason for one in told] == ["redis-timeout"]


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_loop_that_is_late_itself_blames_nobody(
    redis: RedisServer, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """A burst of requests: while they are read nothing is sent, and timers come due."""

    async def ask() -> None:
        connection, loop = await connected(redis, timeout_s=0.1), asyncio.get_running_loop()
        answers: list[asyncio.Future[Any]] = []
        ours, theirs = socket.socketpair()

        def burst() -> None:
            ours.recv(1)
            answers.append(connection.ask(encode(b"GET", b"a")))
            busy_until_s = time.monotonic() + 0.15
            while time.monotonic() < busy_until_s:
                pass

        loop.add_reader(ours, burst)
        theirs.send(b".")
        while not answers:
            await asyncio.sleep(0)
        assert await answers[0] is None
        assert connection.open
        loop.remove_reader(ours)
        connection.close()
        ours.close()
        theirs.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(ask())


@contextlib.asynccontextmanager
async def dribbling(size: int, pause_s: float, timeout_s: float) -> AsyncIterator[Connection]:
    """A connection to what sends the bytes of one value one by one."""

    async def dribble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"$%d\r\n" % size)
        with contextlib.suppress(ConnectionError):  # the other side has had enough
            for byte in b"x" * size + b"\r\n":
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(pause_s)
        writer.close()  # from Python 3.12 on a server waits for its connections

    async with await asyncio.start_server(dribble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(timeout_s, lambda _: None, lambda _: None), "127.0.0.1", port
        )
        yield connection
        connection.close()


def test_a_large_value_may_take_its_time_while_it_comes() -> None:
    async def ask() -> None:
        async with dribbling(20, pause_s=0.02, timeout_s=0.2) as connection:
            assert await connection.ask(encode(b"GET", b"a")) == b"x" * 20

    asyncio.run(ask())


def test_a_value_that_never_ends_is_given_up_all_the_same() -> None:
    async def ask() -> None:
        async with dribbling(1000, pause_s=0.01, timeout_s=0.05) as connection:
            loop = asyncio.get_running_loop()
            began = loop.time()
            with pytest.raises(RedisError, match="in time"):
                await connection.ask(encode(b"GET", b"a"))
            assert 0.45 <= loop.time() - began < 2

    asyncio.run(ask())


def test_a_connection_that_ends_while_nobody_waits_is_no_failure(redis: RedisServer) -> None:
    told: list[RedisError] = []

    async def ask() -> None:
        connection = await connected(redis, failed=told.append)
        redis.stop()
        assert await asyncio.to_thread(eventually, lambda: not connection.open)
        with pytest.raises(RedisError):
            connection.ask(encode(b"GET", b"a"))

    asyncio.run(asyncio.wait_for(ask(), 10))
    assert told == []


def test_a_value_of_any_bytes_comes_back_as_it_was(redis: RedisServer) -> None:
    async def ask() -> None:
        connection = await connected(redis)
        value = random.Random(1).randbytes(300_000) + b"\r\n$5\r\n"
        await connection.ask(encode(b"SET", b"a", value))
        assert await connection.ask(encode(b"GET", b"a")) == value
        connection.close()

    asyncio.run(ask())
