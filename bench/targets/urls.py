"""The URLs and labels of targets, as the command line gives them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

from bench.errors import UserError
from scenarios.topologies import deployed

_LABEL: Final = re.compile(r"[a-z0-9]{1,20}")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[!-~]+")


def replicas(given: str) -> list[str]:
    """Read one --target: the base URLs of its replicas, each written in one way.

    Raises:
        UserError: one is no plain http or https URL. What it held is not repeated: it may be secret.
    """
    return [_url(text.strip()) for text in given.split(",")]


def _url(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise UserError(
            "--target: a URL is empty, or has a space or another character that is not allowed in URLs"
        )
    parts, port = _parts(text)
    if parts.scheme not in ("http", "https"):
        raise UserError("--target: write a full URL that begins with http:// or https://")
    if "@" in parts.netloc:
        raise UserError("--target: a URL has a user or password, which would be stored; remove them")
    if "?" in text or "#" in text:
        raise UserError("--target: a URL has a query or fragment; give only scheme, host and port")
    host = (parts.hostname or "").rstrip(".")
    if not _HOST.fullmatch(host):
        raise UserError("--target: a URL has no valid host; give a name or an IPv4 address")
    if parts.path not in ("", "/"):
        raise UserError(
            f"--target: the URL of {host} has a path: give only scheme, host and port, and the path of a "
            "key with --path, such as '/github/{key}'"
        )
    return f"{parts.scheme}://{host}:{port}"


def _parts(text: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise UserError("--target: a URL cannot be read; write it like http://127.0.0.1:8101") from error
    if port == 0:
        raise UserError("--target: port 0 is not valid; give the port that the service listens on")
    return parts, port or (443 if parts.scheme == "https" else 80)


def check_labels(names: Sequence[str]) -> None:
    """Accept labels that tell targets apart.

    Raises:
        UserError: one cannot be used, or they do not go together.
    """
    for name in names:
        if not _LABEL.fullmatch(name):
            raise UserError(f"--label {name}: use up to 20 lower-case letters and digits")
    if len(set(names)) < len(names):
        raise UserError(f"--label {', '.join(names)}: two targets have the same label; use different ones")
    placed = [name for name in names if name in deployed()]
    if placed and len(placed) < len(names):
        raise UserError(
            f"--label {', '.join(names)}: use either topologies for all labels "
            f"({', '.join(deployed())}) or for none"
        )
