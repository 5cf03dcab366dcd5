"""Who owns what a run makes: processes, containers, cgroups and folders bear the mark of a living owner.

Each process that deploys something has one folder of its own, `sidecar-bench-…` among the temporary files,
and holds a lock in it for as long as it lives. The mark is the folder's path. What bears a mark is removed
by `clean` only where that lock can be seen, and is not held.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import Final, Literal

from compose.host.interrupts import shielded
from compose.host.locks import Lock, is_held

PREFIX: Final = "sidecar-bench-"
_LOCK: Final = "owner.lock"
_UNFINISHED: Final = ".new"
_UNFINISHED_S: Final = 60.0
# Unix sockets take 107 bytes of path, and configuration files and mounts read some characters their own way.
# Where TMPDIR is longer or has other characters than these, the next of the usual places is taken.
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_./-]{0,40}")
_USUAL: Final = ("/tmp", "/var/tmp")  # noqa: S108 (a folder in it is made by mkdtemp, for its user alone)
_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")
_own: list[tuple[int, Path, Lock]] = []

State = Literal["alive", "gone", "unseen"]


def own() -> Path:
    """Return this process's folder, which only its user may enter; it is made, and locked, when asked for."""
    for pid, folder, _ in _own:
        if pid == os.getpid():
            return folder
    with shielded():
        # The folder gets its name once it is locked: nobody sees it without.
        unfinished = Path(tempfile.mkdtemp(prefix=PREFIX, suffix=_UNFINISHED, dir=_places()[0]))
        lock = Lock(unfinished / _LOCK)
        folder = unfinished.rename(unfinished.with_suffix(""))
        lock.path = folder / _LOCK
        _own[:] = [(os.getpid(), folder, lock)]
    return folder


def make_folder() -> Path:
    """Make a new folder in this process's own."""
    return Path(tempfile.mkdtemp(prefix="deployment-", dir=own()))


def boot() -> str:
    """Return what tells this start of this machine's kernel from all others; the same in its containers."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def release() -> None:
    """Remove this process's folder, and let its lock go."""
    with shielded():
        for pid, folder, lock in _own:
            if pid == os.getpid():
                shutil.rmtree(folder, ignore_errors=True)
                lock.release()
        _own.clear()


atexit.register(release)


def state(mark: str) -> State:
    """Tell whether the owner that a mark names is alive, is gone, or cannot be seen from here."""
    folder = Path(mark)
    if not mark or not folder.is_absolute() or not folder.name.startswith(PREFIX):
        return "unseen"
    if folder.name.endswith(_UNFINISHED):
        return _state_of_unfinished(folder)
    alive = is_held(folder / _LOCK)
    return "unseen" if alive is None else "alive" if alive else "gone"


def folders() -> list[Path]:
    """Return the folders of all owners that can be seen from here, living or gone."""
    found = (folder for place in _places() for folder in Path(place).glob(f"{PREFIX}*"))
    return [folder for folder in found if is_an_owners(folder)]


def _places() -> list[str]:
    """Return the folders for temporary files that can be used here, the preferred one first."""
    known = dict.fromkeys([tempfile.gettempdir(), *_USUAL])
    plain = [place for place in known if _PLAIN.fullmatch(place) and os.access(place, os.W_OK)]
    return plain or [tempfile.gettempdir()]


def is_an_owners(folder: Path) -> bool:
    """Tell whether a folder is an owner's, and this user's."""
    # Nobody else's: whoever may write among the temporary files could have it hold links to anywhere.
    if folder.is_symlink() or not folder.is_dir() or folder.stat().st_uid != os.geteuid():
        return False
    return folder.name.endswith(_UNFINISHED) or (folder / _LOCK).is_file()


def _state_of_unfinished(folder: Path) -> State:
    """Judge a folder whose making was cut short: between two system calls."""
    try:
        age_s = time.time() - folder.stat().st_mtime
    except OSError:
        return "unseen"
    return "gone" if age_s > _UNFINISHED_S and not is_held(folder / _LOCK) else "alive"
