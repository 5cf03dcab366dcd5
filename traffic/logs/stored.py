"""A log that has been read, stored in a form that opens at once: one process reads, the others open."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydantic import ValidationError

from traffic.logs.errors import LogError
from traffic.logs.lines import COLUMNS
from traffic.logs.log import AccessLog, Blob, Facts

SUFFIX: Final = ".log.npz"


def save(log: AccessLog, path: Path) -> None:
    """Store a log; the file is whole or not there.

    Raises:
        OSError: it cannot be written.
    """
    columns: dict[str, Any] = {name: getattr(log, name) for name in COLUMNS}
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        np.savez(
            file,
            facts=np.frombuffer(log.facts.model_dump_json().encode(), np.uint8),
            targets=np.frombuffer(log.resources.data, np.uint8),
            ends=log.resources.ends,
            end_us=np.array(log.end_us),
            **columns,
        )
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def is_stored(name: str) -> bool:
    """Tell a stored log from one that is still to be read."""
    return name.endswith(SUFFIX) and zipfile.is_zipfile(name)


def load(path: Path) -> AccessLog:
    """Open what `save` has stored.

    Raises:
        LogError: it is damaged, or was never such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as found:
            older = {"clients": np.full(found["keys"].size, -1, np.int32)}  # they had none
            return AccessLog(
                **{name: older[name] if name not in found else found[name] for name in COLUMNS},
                resources=Blob(found["targets"].tobytes(), found["ends"]),
                end_us=int(found["end_us"]),
                facts=Facts.model_validate_json(found["facts"].tobytes()),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, ValidationError) as error:
        raise LogError(f"{path}: the stored log is damaged; run the scenario again") from error
