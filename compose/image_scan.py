"""Looks through an image for secrets: `python compose/image_scan.py IMAGE`. Exit code 1 if there is one.

What is looked at is what anybody sees who may pull the image: the environment and labels that it carries, the
history of its build with every build argument, and each layer by itself, so that a file is found even where a
later layer removes it. The image is read as a stream from `docker save`; findings never hold the value.

Stands alone and needs only the standard library, so that it can be copied into another repository.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

_CHUNK: Final = 1 << 20
_OVERLAP: Final = 8192  # bytes that two chunks share: more than what a pattern can match
_LARGEST_JSON: Final = 8 << 20
_SECRET_NAME: Final = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|_PWD|TOKEN|SECRET|API_?KEY|ACCESS_KEY|PRIVATE_KEY|CREDENTIALS)$",
    re.IGNORECASE,
)
_ASSIGNMENT: Final = re.compile(r"\b([A-Za-z_][A-Za-z0-9_]*)=(\"[^\"]*\"|'[^']*'|\S*)")
_SECRET_FILES: Final = re.compile(
    r"(^|/)(\.env|\.netrc|\.pypirc|\.git-credentials|\.aws/credentials|\.docker/config\.json"
    r"|id_(rsa|dsa|ecdsa|ed25519))$"
)
_CONTENTS: Final = (
    (
        "a private key",
        re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/=]{40}"),
    ),
    ("an AWS access key", re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b")),
)


@dataclass(frozen=True)
class Finding:
    """Something that looks like a secret: in which part of the image, under which name, of what kind."""

    part: str
    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.part}: {self.name}: {self.kind}"


def scan(image: IO[bytes]) -> Iterator[Finding]:
    """Yield what is found in an image as `docker save` writes it.

    Raises:
        tarfile.TarError: it is no such thing.
    """
    with tarfile.open(fileobj=image, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and not member.name.endswith((".json", "VERSION", "oci-layout", "index")):
                yield from _blob(member, content)
            elif content is not None and member.name.endswith(".json"):
                yield from _of_config(_json(content.read(_LARGEST_JSON)))


def _blob(member: tarfile.TarInfo, content: IO[bytes]) -> Iterator[Finding]:
    """Look through a layer, or through the image's configuration where a blob is that."""
    head = content.read(1)
    if head == b"{":
        yield from _of_config(_json(head + content.read(_LARGEST_JSON)))
        return
    layer = f"layer {member.name.removesuffix('/layer.tar').rpartition('/')[2][:12]}"
    try:
        with tarfile.open(fileobj=_Rest(head, content), mode="r|*") as files:  # type: ignore[call-overload]
            for file in files:
                opened = files.extractfile(file) if file.isfile() and file.size else None
                if opened is not None:
                    yield from _of_file(layer, file.name, opened)
    except tarfile.ReadError as error:
        yield Finding(layer, member.name, f"cannot be read ({error})")


class _Rest:
    """A stream whose first byte has been read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head + self._rest.read(size - len(head))


def _of_file(layer: str, name: str, content: IO[bytes]) -> Iterator[Finding]:
    if _SECRET_FILES.search(name):
        yield Finding(layer, name, "a file that holds secrets")
    kinds, kept = set(), b""
    while chunk := content.read(_CHUNK):
        kept = kept[-_OVERLAP:] + chunk
        kinds |= {kind for kind, pattern in _CONTENTS if pattern.search(kept)}
    for kind in sorted(kinds):
        yield Finding(layer, name, kind)


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _of_config(found: Any) -> Iterator[Finding]:
    if not isinstance(found, dict) or "rootfs" not in found:
        return
    settings = found.get("config") or {}
    for name, value in _pairs(settings.get("Env") or []):
        if _secret(name, value):
            yield Finding("environment", name, "a secret's value")
    for name, value in (settings.get("Labels") or {}).items():
        if _secret(name, value):
            yield Finding("labels", name, "a secret's value")
    for number, step in enumerate(found.get("history") or [], 1):
        created_by = str(step.get("created_by", ""))
        for name in sorted({name for name, value in _ASSIGNMENT.findall(created_by) if _secret(name, value)}):
            yield Finding(f"history, step {number}", name, "a secret's value")
        for kind, pattern in _CONTENTS:
            if pattern.search(created_by.encode()):
                yield Finding(f"history, step {number}", created_by.split(" ", 1)[0], kind)


def _pairs(environment: list[str]) -> Iterator[tuple[str, str]]:
    for entry in environment:
        name, _, value = entry.partition("=")
        yield name, value


def _secret(name: str, value: str) -> bool:
    """Tell whether a name stands for a secret, and its value is one: neither empty nor to be filled in."""
    plain = value.strip("\"'")
    return bool(_SECRET_NAME.search(name)) and bool(plain) and not plain.startswith("$")


def main() -> None:
    """Scan the image that the command line names, and print what is found."""
    if len(sys.argv) != 2:
        sys.exit("usage: python compose/image_scan.py IMAGE")
    image = sys.argv[1]
    if shutil.which("docker") is None:
        sys.exit("docker is not installed: it is what the image is read from")
    with subprocess.Popen(
        ["docker", "save", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as saving:
        assert saving.stdout is not None
        assert saving.stderr is not None
        try:
            found = list(scan(saving.stdout))
        except tarfile.TarError:
            sys.exit(f"{image} cannot be read: {saving.stderr.read().decode(errors='replace').strip()}")
    for finding in found:
        print(finding)  # noqa: T201 (what this command is for)
    if found:
        sys.exit(1)
    print(f"{image}: nothing that looks like a secret")  # noqa: T201


if __name__ == "__main__":
    main()
