"""The frames that reach the master's port, read strictly: whoever reaches the port may send any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgpack

_LONGEST_NAME: Final = 200


class MalformedError(Exception):
    """Frames that are no message of a worker; the text says why."""


@dataclass(frozen=True)
class Letter:
    """A message as it came: its sender's name, its kind, and whatever it holds."""

    sender: str
    kind: str
    data: Any


def read(frames: Sequence[bytes]) -> Letter:
    """Return the message that frames hold.

    The sender names itself twice: as the connection's identity, which nobody else can have at the same time,
    and in the message. The two have to agree, or one peer could speak for another.

    Raises:
        MalformedError: this is no message of a worker.
    """
    if len(frames) != 2:
        raise MalformedError(f"{len(frames)} parts instead of 2")
    try:
        sender = frames[0].decode()
        kind, data, name = msgpack.loads(frames[1], raw=False, strict_map_key=False)
    except Exception as error:  # msgpack has five kinds of them; then there are names and the unpacking
        raise MalformedError("it is not a message in Locust's format") from error
    if not isinstance(kind, str) or not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise MalformedError("its kind or its sender is not text")
    if name != sender:
        raise MalformedError("it claims another sender")
    return Letter(sender, kind, data)
