"""Addresses of the relay: `HOST:PORT`, or the path of a Unix socket. Standard library only."""

from __future__ import annotations

import socket
from pathlib import Path


def resolved(to: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """Look a name up once: a name server takes long to say that a server is gone."""
    if "/" in to:
        return socket.AF_UNIX, to
    host, port = host_and_port(to)
    return socket.AF_INET, (socket.gethostbyname(host), port)


def host_and_port(text: str) -> tuple[str, int]:
    """Split `HOST:PORT`."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def listening_at(address: str) -> socket.socket:
    """Listen at `HOST:PORT`, or at the path of a Unix socket."""
    if "/" not in address:
        return socket.create_server(host_and_port(address))
    listener = socket.create_server(address, family=socket.AF_UNIX)
    Path(address).chmod(0o666)  # its folder says who gets there, whoever runs the relay
    return listener
