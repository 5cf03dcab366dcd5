"""Looks for secrets in an image: `python compose/docker/image_scan.py IMAGE`. Exits with 1 if there is one.

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
_TAR_HEAD: Final = 512
_MAGIC_AT: Final = 257  # where a tar header says that it is one (POSIX.1-1988, ustar)
_SECRET_NAME: Final = re.compile(
    r"(PASSWORD|PASSWD|PASSPHRASE|[A-Z0-9_]PWD|TOKEN|SECRET|(API|ACCESS|PRIVATE|SECRET)_?KEY|CREDENTIALS"
    r"|_PASS|_AUTH)(_(PROD|PRODUCTION|STAGING|DEV|TEST))?$",
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
        # Header lines may stand between; their number is bounded, so that looking for it always ends.
        re.compile(
            rb"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----\r?\n(?:[^\n]{0,200}:[^\n]{0,200}\n|\r?\n){0,8}"
            rb"[A-Za-z0-9+/=]{40}"
        ),
    ),
    ("an AWS access key", re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})\b")),
)

_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{0,100}:[^\s/@'\"$]{1,200}@")


@dataclass(frozen=True)
class Finding:
    """Something that looks like a secret: in which part of the image, under which name, of what kind."""

    part: str
    name: str
    kind: str

    def __str__(self) -> str:
        return f"{self.part}: {self.name}: {self.kind}"


class UnreadableError(Exception):
    """The image cannot be looked through as a whole; the message says why."""


def scan(image: IO[bytes]) -> Iterator[Finding]:
    """Yield what is found in an image as `docker save` writes it.

    Raises:
        tarfile.TarError: it is no such thing, or ends before its end.
        UnreadableError: a layer or the configuration is missing.
    """
    seen: set[str] = set()
    named: set[str] = set()
    with tarfile.open(fileobj=image, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if member.issym():
                seen.add(member.name)  # an older format's second name for a layer that is there
            if content is None or member.name.endswith(("VERSION", "oci-layout", "repositories")):
                continue
            seen.add(member.name)
            if member.name == "manifest.json":
                named = _named(_json(content.read(_LARGEST_JSON)))
            elif member.name.endswith(".json"):
                yield from _of_config(_json(content.read(_LARGEST_JSON)))
            else:
                yield from _blob(member, content)
    missing = sorted(named - seen)
    if not named or missing:
        raise UnreadableError(f"it is not whole: {', '.join(missing) or 'no manifest'} is missing")


def _named(manifest: Any) -> set[str]:
    """Return the names of all configurations and layers that an image says it has."""
    entries = manifest if isinstance(manifest, list) else []
    named: set[str] = set()
    for entry in entries:
        named |= {entry["Config"], *(entry.get("Layers") or [])}
    return named


def _blob(member: tarfile.TarInfo, content: IO[bytes]) -> Iterator[Finding]:
    """Look through a layer, or through the image's configuration where a blob is that."""
    head = content.read(_TAR_HEAD)
    # A layer is told by its tar header (or a gzip's), never by what its first file is called.
    if head[_MAGIC_AT : _MAGIC_AT + 5] != b"ustar" and not head.startswith(b"\x1f\x8b"):
        found = _json(head + content.read(_LARGEST_JSON))
        if found is None and head.strip(b"\0"):
            yield Finding(f"blob {member.name}", "its content", "cannot be read")
        yield from _of_config(found)
        return
    layer = f"layer {member.name.removesuffix('/layer.tar').rpartition('/')[2][:12]}"
    try:
        with tarfile.open(fileobj=_Rest(head, content), mode="r|*") as files:  # type: ignore[call-overload]
            for file in files:
                opened = files.extractfile(file) if file.isfile() and file.size else None
                if opened is not None:
                    yield from _of_file(layer, file.name, opened)
    except tarfile.ReadError:
        yield Finding(layer, member.name, "cannot be read")


class _Rest:
    """A stream whose beginning has been read already."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head, self._rest = head, rest

    def read(self, size: int) -> bytes:
        head, self._head = self._head[:size], self._head[size:]
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
    for part, pairs in (
        ("environment", list(_pairs(settings.get("Env") or []))),
        ("labels", list((settings.get("Labels") or {}).items())),
    ):
        for name, value in pairs:
            if _SECRET_NAME.search(name) and value:
                yield Finding(part, name, "a secret's value")
            yield from _of_text(part, name, value)
    for name in ("Cmd", "Entrypoint", "Healthcheck"):
        yield from _of_text("configuration", name, json.dumps(settings.get(name) or ""))
    for number, step in enumerate(found.get("history") or [], 1):
        created_by = str(step.get("created_by", ""))
        for name in sorted({name for name, value in _ASSIGNMENT.findall(created_by) if _secret(name, value)}):
            yield Finding(f"history, step {number}", name, "a secret's value")
        yield from _of_text(f"history, step {number}", "its command", created_by)


def _of_text(part: str, name: str, text: str) -> Iterator[Finding]:
    for kind, pattern in _CONTENTS:
        if pattern.search(text.encode()):
            yield Finding(part, name, kind)
    if _URL.search(text):
        yield Finding(part, name, "a password in a URL")


def _pairs(environment: list[str]) -> Iterator[tuple[str, str]]:
    for entry in environment:
        name, _, value = entry.partition("=")
        yield name, value


def _secret(name: str, value: str) -> bool:
    """Tell whether a name in a script stands for a secret, and its value is neither empty nor a variable."""
    plain = value.strip("\"'")
    return bool(_SECRET_NAME.search(name)) and bool(plain) and not plain.startswith("$")


def main() -> None:
    """Scan the image that the command line names, and print what is found."""
    if len(sys.argv) != 2:
        sys.exit("usage: python compose/docker/image_scan.py IMAGE")
    image = sys.argv[1]
    if shutil.which("docker") is None:
        sys.exit("docker is not installed; it is needed to read the image")
    with subprocess.Popen(
        ["docker", "save", image], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as saving:
        assert saving.stdout is not None
        assert saving.stderr is not None
        try:
            found = list(scan(saving.stdout))
        except (tarfile.TarError, UnreadableError, EOFError, KeyError, TypeError) as error:
            saving.kill()
            sys.exit(
                f"{image} cannot be read: {saving.stderr.read().decode(errors='replace').strip() or error}"
            )
        saving.stdout.read()
        said = saving.stderr.read().decode(errors="replace").strip()
    if saving.returncode != 0:
        sys.exit(f"{image} cannot be read: docker save ended with {saving.returncode}: {said}")
    for finding in found:
        print(finding)  # noqa: T201 (what this command is for)
    if found:
        sys.exit(1)
    print(f"{image}: nothing that looks like a secret")  # noqa: T201


if __name__ == "__main__":
    main()
