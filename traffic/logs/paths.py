"""How a log's resources are asked for: the path of each as it is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from traffic.logs.log import Blob

# What cannot stand in a request line; everything else is sent as the client sent it.
_ENCODED: Final = re.compile(rb"[\x00-\x20\x7f-\xff]")
_HOST: Final = b"http:/"


def sent(resource: bytes) -> str:
    """Return the path of a resource as it is sent, with its leading slash.

    A host is the path's first segment: the app's key has it then. A fragment stays behind: servers never see
    one.
    """
    name = resource.removeprefix(_HOST).partition(b"#")[0]
    return _ENCODED.sub(lambda found: b"%%%02X" % ord(found[0]), name).decode("ascii")


class Paths(Mapping[int, str]):
    """The path of each key that is asked for, made when it is looked at."""

    def __init__(self, resources: Blob, keys: Sequence[int]) -> None:
        self._resources = resources
        self._keys = keys
        self._asked = frozenset(keys)

    def __getitem__(self, key: int) -> str:
        if key not in self._asked:
            raise KeyError(key)
        return sent(self._resources[key])

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)
