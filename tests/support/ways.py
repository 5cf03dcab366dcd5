"""The servers that the app runs on, and both ways that a hit can take: uvicorn's connection, and ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from servers import HITS, eventually, free_port, serving

FAST: Final = "fast"
WAYS: Final = (FAST, "uvicorn", "h11", "hypercorn", "granian")


@contextlib.contextmanager
def served(application: Any, way: str, root_path: str = "") -> Iterator[str]:
    """Serve an ASGI application in one of the ways; yields its base URL."""
    if way in ("hypercorn", "granian"):
        start = _hypercorn if way == "hypercorn" else _granian
        with start(application, root_path) as url:
            yield url
        return
    http = {FAST: HITS, "uvicorn": "httptools"}.get(way, way)
    with serving(application, http, root_path=root_path) as url:
        yield url


@contextlib.contextmanager
def _hypercorn(application: Any, root_path: str) -> Iterator[str]:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    listener = socket.create_server(("127.0.0.1", 0))
    config = Config()
    config.bind = [f"fd://{listener.fileno()}"]
    config.root_path = root_path
    config.graceful_timeout = 1.0
    config.loglevel = "WARNING"
    stopped = asyncio.Event()

    async def run() -> None:
        await serve(application, config, shutdown_trigger=stopped.wait)  # type: ignore[arg-type]

    with _running(run, stopped.set):
        port = listener.getsockname()[1]
        assert eventually(lambda: _listens(port)), "hypercorn did not start"
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _granian(application: Any, root_path: str) -> Iterator[str]:
    from granian.constants import Interfaces
    from granian.server.embed import Server

    port = free_port()
    server = Server(
        application, "127.0.0.1", port, interface=Interfaces.ASGI, log_enabled=False,
        url_path_prefix=root_path or None,
    )  # fmt: skip
    with _running(server.serve, server.stop):
        assert eventually(lambda: _listens(port)), "granian did not start"
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def _running(run: Callable[[], Coroutine[Any, Any, None]], stop: Callable[[], Any]) -> Iterator[None]:
    """Run a server on an event loop of its own, in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(run()), daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop)
        thread.join(10)
        if not thread.is_alive():
            loop.close()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
