"""A run reads its logs once: they are stored in the run's folder, and every process opens what is there."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np

from scenarios.contract import OURS
from scenarios.model import Variant
from traffic import answer_table
from traffic.logs import answers, reader, replay, stored
from traffic.logs.log import AccessLog
from traffic.logs.paths import sent
from traffic.spelling import mark

FOLDER: Final = "logs"  # of a run, for its logs


def handed_on(log: Path, folder: Path, prefix: str = OURS.prefix) -> Path:
    """Return where a log is stored in a folder; it is read, and stored there with its answers, if need be.

    `prefix`: what comes before the key in the targets of the service that it is replayed on.

    Raises:
        LogError: it cannot be used.
        OSError: the folder cannot be written.
    """
    if stored.is_stored(str(log)):
        return log
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", log.name)[-60:].lstrip("-.") or "log"
    there = folder / f"{name}-{blake2b(str(log).encode(), digest_size=4).hexdigest()}{stored.SUFFIX}"
    if not there.exists():
        read = replay.own(reader.read_once(log), prefix)
        folder.mkdir(parents=True, exist_ok=True)
        answers_of(there).write_bytes(table(read))
        answers_of(there).chmod(0o644)  # whatever the umask: the stub in a container is another user
        stored.save(read, there)
    return there


def with_stored_log(variant: Variant, folder: Path, prefix: str = OURS.prefix) -> Variant:
    """Return a variant whose log, if it has one, is stored in a folder.

    Raises:
        LogError: the log cannot be used.
        OSError: the folder cannot be written.
    """
    log = variant.workload.log
    if log is None:
        return variant
    workload = variant.workload.model_copy(update={"log": handed_on(log, folder, prefix)})
    return variant.model_copy(update={"workload": workload})


def answers_of(log: Path) -> Path:
    """Return where the table of answers of a stored log is."""
    return Path(str(log).removesuffix(stored.SUFFIX) + answer_table.SUFFIX)


def table(log: AccessLog) -> bytes:
    """Return a log's table of answers."""
    marks = np.array([mark(sent(resource).encode()) for resource in log.resources], np.uint64)
    found, first, number = np.unique(marks, return_index=True, return_inverse=True)
    # Several resources may be one path to the app: what one of them was answered the other is, too.
    usual, size = answers.usual(log)[first], answers.sizes(log)
    largest = np.full(found.size, -1, np.int64)
    np.maximum.at(largest, number, size)
    path, at_us, status = number[log.keys], log.at_us, answers.statuses(log)
    order = np.lexsort((at_us, path))
    path, at_us, status = path[order], at_us[order], status[order]
    changed = np.ones(path.size, np.bool_)
    changed[1:] = (path[1:] != path[:-1]) | (status[1:] != status[:-1])
    path, at_us, status = path[changed], at_us[changed], status[changed]
    begins = np.searchsorted(path, np.arange(found.size + 1))
    columns = [
        found.astype("<u8"),
        *(column.astype("<i8") for column in (usual, largest, begins, at_us, status)),
    ]
    head = np.array([found.size, at_us.size], "<i8")
    return answer_table.MAGIC + b"".join(column.tobytes() for column in (head, *columns))
