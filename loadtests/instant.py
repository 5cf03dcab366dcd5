"""A server that answers at once: what the load generator itself adds shows against it.

`python -m loadtests.instant --fd N` serves a listening socket that is handed down; every request gets the
same small hit. It parses nothing, and is faster than any generator here.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
from typing import Final, cast

import uvloop

_BODY: Final = bytes(2048)
_ANSWER: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Status: redis; hit; ttl=60\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)
_REQUEST_END: Final = b"\r\n\r\n"


class Instant(asyncio.Protocol):
    """Answers each request that has arrived whole."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are none of asyncio's by inheritance.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer; requests here are far smaller than a segment, so that none arrives in parts."""
        self._transport.write(_ANSWER * data.count(_REQUEST_END))


async def serve(listener: socket.socket) -> None:
    """Serve until cancelled."""
    server = await asyncio.get_running_loop().create_server(Instant, sock=listener)
    await server.serve_forever()


def main() -> None:
    """Serve from the command line."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.instant")
    parser.add_argument("--fd", type=int, required=True, help="a listening socket that was handed down")
    uvloop.run(serve(socket.socket(fileno=parser.parse_args().fd)))


if __name__ == "__main__":
    main()
