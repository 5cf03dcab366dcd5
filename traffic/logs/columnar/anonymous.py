"""A log as it can leave the house: when, which of the keys, of which size, and nothing of what they are."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from traffic.logs.errors import LogError
from traffic.logs.log import AccessLog

SUFFIX: Final = ".parquet"
_KEY_BYTES: Final = 32
_HASH_BYTES: Final = 12  # 2⁹⁶ values: of a billion keys, two are the same with a probability of 10⁻¹¹


def anonymize(log: AccessLog, path: Path) -> None:
    """Write a log's times, methods, statuses and sizes, with keys and clients that cannot be told.

    Hosts and targets become hashes under a random key that is kept nowhere, clients numbers in the order in
    which they came. Everything that is read from the log can be read from the file, except names: its times
    are in UTC, those of one second spread over it; lines that were left out are not in it.

    Raises:
        LogError: the file cannot be written.
    """
    key = secrets.token_bytes(_KEY_BYTES)
    names = [f"/{blake2b(name, digest_size=_HASH_BYTES, key=key).hexdigest()}" for name in log.resources]
    at_us = log.facts.first_us + log.at_us
    table = pa.table(
        {
            "time": pa.array(at_us, pa.timestamp("us", "UTC")),
            "path": pa.DictionaryArray.from_arrays(pa.array(log.keys), pa.array(names, pa.string())),
            "method": pa.DictionaryArray.from_arrays(
                pa.array(log.heads.astype(np.int8)), pa.array(["GET", "HEAD"])
            ),
            "status": pa.array(log.status),
            "bytes": pa.array(log.size, mask=log.size < 0),
            "client": pa.array(log.clients, mask=log.clients < 0),
        }
    )
    unfinished = path.with_name(path.name + ".tmp")
    try:
        pq.write_table(table, unfinished, compression="zstd")
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise LogError(f"{path}: cannot be written ({error.strerror or error})") from error
