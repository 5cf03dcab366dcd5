"""The secrets of one run: a password for the app's Redis user, and the ACL file that knows its hash.

`python -m compose.credentials FOLDER` makes them for use by hand. Each run of the bench makes its own.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
from pathlib import Path
from typing import Final

USER: Final = "app"
PASSWORD: Final = "redis-password"  # noqa: S105 (the file's name)
ACL: Final = "redis-acl"
TOKEN: Final = "upstream-token"  # noqa: S105 (the file's name, in exports)
# What the app asks of Redis, and nothing else: responses and leases under their own prefixes. EVAL is how a
# lease is given back by its holder alone.
_RIGHTS: Final = (
    "resetkeys ~content:* ~lease:* resetchannels "
    "-@all +get +set +del +eval +ping +auth +hello +client|setinfo"
)


def acl(digest: str) -> str:
    """Return the ACL file that lets in the app's user and nobody else.

    `digest` is the SHA-256 of its password, in hexadecimal: Redis need not be told the password itself.
    """
    return f"user default off\nuser {USER} on #{digest} {_RIGHTS}\n"


def make(folder: Path) -> str:
    """Write both files into a folder that only this user may enter, and return the password.

    The files themselves are readable, since containers that mount them run as users of their own.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    password = secrets.token_urlsafe(24)
    digest = hashlib.sha256(password.encode()).hexdigest()
    (folder / PASSWORD).write_text(password, encoding="utf-8")
    (folder / ACL).write_text(acl(digest), encoding="utf-8")
    for name in (PASSWORD, ACL):
        (folder / name).chmod(0o644)
    return password


def forget(folder: Path) -> None:
    """Empty both files; they stay, since a Compose file that names them is still to be read."""
    for name in (PASSWORD, ACL):
        if (folder / name).exists():
            (folder / name).write_bytes(b"")


if __name__ == "__main__":
    make(Path(sys.argv[1]))
