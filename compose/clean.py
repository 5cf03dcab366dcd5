"""Finds what interrupted runs have left, and removes it: whatever bears the mark of an owner that is gone.

An owner is gone when the lock in its folder is free (`compose.host.ownership`); process ids say nothing.
What bears the mark of an owner that cannot be seen from here is left alone: in another container, or under
another user, its run may be alive.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

import docker
import psutil
from docker.errors import APIError, DockerException, NotFound

from compose.docker.composition import BOOT_LABEL, OWNER_LABEL
from compose.host import cgroups, ownership
from compose.host.interrupts import shielded
from compose.host.launch import OWNER_MARK, RUN_MARK
from compose.host.waiting import await_condition

_KILLED_S: Final = 5.0
_REFUSED_S: Final = 1.0
_UNSEEN: Final = (
    "its run may be alive, because its lock is not visible from here. Run `sidecar-bench clean` where the "
    "run "
    "was started"
)


@dataclass
class Cleaned:
    """What was removed, what could not be and why, and what was left alone because it may be in use.

    `gone` has the folders of owners that are gone.
    """

    removed: list[str] = field(default_factory=list)
    gone: set[Path] = field(default_factory=set)
    stuck: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def remove(self, name: str, remove: Callable[[], object], is_gone: Callable[[], bool]) -> None:
        """Remove something, and believe only that it is gone."""
        why, within_s = "it still exists", _KILLED_S
        try:
            remove()
        except (OSError, psutil.Error, APIError) as error:
            why, within_s = _reason(error), _REFUSED_S  # it may be on its way already
        if await_condition(is_gone, within_s):
            self.removed.append(name)
        else:
            self.stuck.append(f"{name}: {why}")

    def state(self, mark: str) -> ownership.State:
        """Tell how an owner is; remember the folder of one that is gone, wherever it is."""
        state = ownership.state(mark)
        if state == "gone" and ownership.is_an_owners(Path(mark)):
            self.gone.add(Path(mark))
        return state

    def leave(self, name: str, remedy: str = "") -> None:
        """Leave something alone whose owner cannot be seen."""
        self.left.append(f"{name}: {_UNSEEN}{remedy}")


def clean() -> Cleaned:
    """Remove what no living run owns, secrets first; no signal interrupts it."""
    cleaned = Cleaned()
    with shielded():
        cleaned.gone |= {path for path in ownership.folders() if ownership.state(str(path)) == "gone"}
        for folder in cleaned.gone:
            _remove_secrets(folder, cleaned)
        _processes(cleaned)
        _docker(cleaned)
        _cgroups(cleaned)
        for folder in sorted(cleaned.gone):  # last, since its lock tells whose all the rest was
            cleaned.remove(f"folder {folder}", partial(shutil.rmtree, folder), partial(_is_absent, folder))
    return cleaned


def _remove_secrets(folder: Path, cleaned: Cleaned) -> None:
    """Remove passwords and whatever files lie beside them, all but the lock."""
    for parent, _, names in os.walk(folder):
        for path in (Path(parent) / name for name in names if Path(parent) != folder):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                cleaned.stuck.append(f"file {path}: {_reason(error)}")


def _processes(cleaned: Cleaned) -> None:
    for process in psutil.process_iter():
        try:
            marks = process.environ()
            if process.pid == os.getpid() or RUN_MARK not in marks:
                continue
            command = " ".join(process.cmdline())[:60]
        except psutil.Error:  # it has ended, or belongs to somebody else
            continue
        name = f"process {process.pid} ({command}) of run {marks[RUN_MARK]}"
        owner = cleaned.state(marks.get(OWNER_MARK, ""))
        if owner == "gone":
            cleaned.remove(name, process.kill, partial(_has_ended, process))
        elif owner == "unseen":
            cleaned.leave(name, f", or end it: kill {process.pid}")


def _has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _docker(cleaned: Cleaned) -> None:
    """Remove containers, networks and volumes; where no engine answers there can be none."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        return
    ours: dict[str, str | list[str] | bool] = {"label": OWNER_LABEL}
    for container in client.containers.list(all=True, ignore_removed=True, filters=ours):
        remove = partial(container.remove, force=True, v=True)
        _remove_thing(cleaned, "container", "docker rm -f", container, container.labels, remove)
    for kind, things in (
        ("network", client.networks.list(filters=ours)),
        ("volume", client.volumes.list(filters=ours)),
    ):
        for thing in things:
            labels = thing.attrs["Labels"]
            _remove_thing(cleaned, kind, f"docker {kind} rm", thing, labels, thing.remove)
    client.close()


def _remove_thing(
    cleaned: Cleaned,
    kind: str,
    by_hand: str,
    thing: Any,
    labels: dict[str, str],
    remove: Callable[[], object],
) -> None:
    name = f"{kind} {thing.name}"
    owner = cleaned.state(labels[OWNER_LABEL])
    if owner == "gone" or (owner == "unseen" and _of_an_earlier_boot(labels)):
        cleaned.remove(name, remove, partial(_is_gone, thing))
    elif owner == "unseen":
        cleaned.leave(name, f", or remove it: {by_hand} {thing.name}")


def _is_gone(thing: Any) -> bool:
    try:
        thing.reload()
    except NotFound:
        return True
    except DockerException:
        pass
    return False


def _of_an_earlier_boot(labels: dict[str, str]) -> bool:
    """Return whether this machine was restarted since: then its owner is gone, with its temporary files.

    An engine at another address may have containers of other machines.
    """
    boot = labels.get(BOOT_LABEL, "")
    return not os.environ.get("DOCKER_HOST") and boot not in ("", ownership.boot())


def _cgroups(cleaned: Cleaned) -> None:
    """Remove the parent cgroups of tasks."""
    names = {folder.name for folder in cleaned.gone}
    alive = {folder.name for folder in ownership.folders()} - names
    for path in cgroups.left_behind():
        owner = cgroups.owner_of(path)
        if owner in names:
            cleaned.remove(f"cgroup {path}", partial(cgroups.remove_tree, path), partial(_is_absent, path))
        elif owner not in alive:
            cleaned.leave(f"cgroup {path}", f", or remove it and those below it: rmdir {path}")


def _is_absent(path: Path) -> bool:
    return not path.exists()


def _reason(error: Exception) -> str:
    if isinstance(error, APIError):
        return str(error.explanation or error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
