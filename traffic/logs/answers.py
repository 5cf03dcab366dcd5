"""What a log says of the answers: the status of each request's call, and how large bodies are."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from traffic.logs.log import AccessLog

# Answers that say of the resource only that it is there: its whole answer is a 200.
_THERE: Final = (206, 304, 412, 416)
# The client went away or the connection was closed: nothing was answered (nginx's and AWS's own codes).
_NO_ANSWER: Final = frozenset({0, 408, 444, 460, 463, *range(494, 500)})
_NOT_FOR_HEAD: Final = (405, 501)  # what some services say to HEAD says nothing of GET
OK: Final = 200


def statuses(log: AccessLog) -> NDArray[np.int16]:
    """Return, for each request, what the upstream answers to the GET that a cache makes for it.

    A partial or unchanged answer stands for a whole one. Where the client got none: the path's usual one.
    """
    told = log.status.copy()
    told[np.isin(told, _THERE)] = OK
    open_ = np.isin(told, list(_NO_ANSWER)) | (told < 200) | (told > 599)
    open_ |= log.heads & np.isin(told, _NOT_FOR_HEAD)
    if open_.any():
        told[open_] = _most(log.keys[~open_], told[~open_], len(log.resources))[log.keys[open_]]
    return told


def usual(log: AccessLog) -> NDArray[np.int16]:
    """Return the status that each resource's calls are answered with most often."""
    return _most(log.keys, statuses(log), len(log.resources))


def _most(keys: NDArray[np.int32], values: NDArray[np.int16], resources: int) -> NDArray[np.int16]:
    """Return each key's most frequent value, the lower of two equally frequent; 200 where it has none."""
    pairs, counts = np.unique(keys.astype(np.int64) * 1000 + values, return_counts=True)
    order = np.lexsort((-pairs, counts))  # the most frequent of each key is written last
    most = np.full(resources, OK, np.int16)
    most[pairs[order] // 1000] = pairs[order] % 1000
    return most


def sizes(log: AccessLog) -> NDArray[np.int64]:
    """Return the median bytes of each resource's whole answers (200s to a GET); −1 where it has none."""
    whole = ~log.heads & (log.status == OK) & (log.size >= 0)
    keys, size = log.keys[whole], log.size[whole]
    order = np.lexsort((size, keys))
    keys, size = keys[order], size[order]
    found, first, count = np.unique(keys, return_index=True, return_counts=True)
    of_key = np.full(len(log.resources), -1, np.int64)
    of_key[found] = size[first + (count - 1) // 2]
    return of_key
