"""`python -m app.ping`: the round trip to the configured Redis, as seen from where the app stands."""

from __future__ import annotations

import argparse
import json
import socket
import sys
import time

from app.settings import ConfigurationError, Settings
from app.store.tls import cause_of, context_of


def _command(*parts: str) -> bytes:
    return f"*{len(parts)}\r\n".encode() + b"".join(
        f"${len(part.encode())}\r\n{part}\r\n".encode() for part in parts
    )


def measure(settings: Settings, count: int, timeout_s: float = 1.0) -> list[float]:
    """Return the round-trip times of PING in µs, in order.

    Raises:
        ConfigurationError: what TLS needs cannot be read.
        OSError: Redis cannot be reached, or refuses.
    """
    tls = context_of(settings)
    if settings.redis_socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        connection.connect(settings.redis_socket)
    else:
        connection = socket.create_connection((settings.redis_host or "", settings.redis_port), timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = tls.wrap_socket(connection, server_hostname=settings.redis_host)
    with connection:
        if settings.redis_password:
            user = [settings.redis_user] if settings.redis_user else []
            connection.sendall(_command("AUTH", *user, settings.redis_password))
            if not connection.recv(4096).startswith(b"+OK"):
                raise ConnectionRefusedError("Redis refuses the password")
        ping, times_us = _command("PING"), []
        for _ in range(count):
            began = time.perf_counter_ns()
            connection.sendall(ping)
            answer = connection.recv(4096)
            times_us.append((time.perf_counter_ns() - began) / 1000)
            if not answer.startswith(b"+PONG"):
                raise ConnectionRefusedError("Redis does not answer PING")
    return times_us


def main() -> None:
    """Print the figures as a line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m app.ping")
    parser.add_argument("--count", type=int, default=200)
    count = parser.parse_args().count
    if count < 1:
        parser.error("--count: ask at least once")
    try:
        times_us = sorted(measure(Settings.from_environment(), count))
    except ConfigurationError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Redis does not answer: {cause_of(error)}")
    figures = {
        "samples": count,
        "min_us": times_us[0],
        "median_us": times_us[count // 2],
        "p99_us": times_us[min(int(count * 0.99), count - 1)],
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
