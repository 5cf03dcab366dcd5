"""Finds what interrupted runs have left, and removes it: whatever bears the mark of an owner that is gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import docker
import psutil
from docker.errors import APIError, DockerException

from compose import cgroups
from compose.composition import OWNER_LABEL
from compose.launch import OWNER_MARK, RUN_MARK, lives
from compose.processes import FOLDER_PREFIX


def clean() -> list[str]:
    """Remove what no living run owns, and say what it was."""
    return [*_processes(), *_docker(), *_cgroups(), *_folders()]


def _processes() -> list[str]:
    removed = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            marks = process.environ()
            if process.pid == os.getpid() or RUN_MARK not in marks or lives(marks.get(OWNER_MARK, "")):
                continue
            name = f"process {process.pid} ({' '.join(process.cmdline())[:60]}) of run {marks[RUN_MARK]}"
            process.kill()
            removed.append(name)
    return removed


def _docker() -> list[str]:
    """Remove containers, networks and volumes; where no engine answers there can be none."""
    try:
        client = docker.from_env()
        client.ping()
    except DockerException:
        return []
    ours: dict[str, str | list[str] | bool] = {"label": OWNER_LABEL}
    removed = []
    for container in client.containers.list(all=True, ignore_removed=True, filters=ours):
        if not lives(container.labels[OWNER_LABEL]):
            with contextlib.suppress(APIError):  # it is being removed already
                container.remove(force=True, v=True)
                removed.append(f"container {container.name}")
    for kind, things in (
        ("network", client.networks.list(filters=ours)),
        ("volume", client.volumes.list(filters=ours)),
    ):
        for thing in things:
            if not lives(thing.attrs["Labels"][OWNER_LABEL]):
                with contextlib.suppress(APIError):
                    thing.remove()
                    removed.append(f"{kind} {thing.name}")
    return removed


def _cgroups() -> list[str]:
    """Remove the parent cgroups of tasks."""
    left = [path for path in cgroups.left_behind() if not lives(cgroups.owner_of(path))]
    return [f"cgroup {path}" for path in left if cgroups.remove_tree(path)]


def _folders() -> list[str]:
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{FOLDER_PREFIX}*"):
        owner = folder.name.removeprefix(FOLDER_PREFIX).partition("-")[0]
        if "." in owner and not lives(owner):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(f"folder {folder}")
    return removed
