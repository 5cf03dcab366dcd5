"""Reads the environment's variables. What makes no sense is said at start, in a sentence that names it.

Values of secrets, and of what may have a password in it, are never repeated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_SWITCH: Final = {
    "on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False,
}  # fmt: skip
_LARGEST: Final = 1e9  # 31 years, 1 GB: what is more is a mistake
_LABEL: Final = re.compile(rb"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_LONGEST_NAME: Final = 253
_LONGEST_SOCKET: Final = 107  # bytes, of unix(7)
_UNFIT: Final = re.compile(r"[\x00-\x20\x7f\\]")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
# Secrets, conditions, parts and codings of a body, and what is the connection's.
_NEVER_SELECT: Final = (
    "authorization", "cookie", "range", "accept-encoding", "host", "connection", "keep-alive",
    "transfer-encoding", "te", "trailer", "upgrade", "expect",
)  # fmt: skip
_NEVER_SELECT_BEGINNINGS: Final = ("proxy-", "if-", "content-")


class ConfigurationError(ValueError):
    """The environment does not make sense; the message names the variable."""


@dataclass(frozen=True)
class Reader:
    """Reads variables. Each method raises `ConfigurationError`, which names the variable at fault."""

    environment: Mapping[str, str]

    def number(self, name: str, default: float, *, above_zero: bool = False) -> float:
        """Read a number that is not negative."""
        text = self.environment.get(name)
        if not text:
            return default
        try:
            number = float(text)
        except ValueError:
            number = -1.0
        if not 0 <= number < float("inf") or (above_zero and number == 0):
            wanted = "above zero" if above_zero else "of zero or more"
            raise ConfigurationError(f"{name}: {text!r} is not a number {wanted}")
        if number > _LARGEST:
            raise ConfigurationError(f"{name}: {text!r} is more than {_LARGEST:.0e}")
        return number

    def whole(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """Read a whole number within bounds."""
        number = self.number(name, default)
        if number != int(number) or number < least or (most is not None and number > most):
            bounds = f"from {least} to {most}" if most is not None else f"of {least} or more"
            raise ConfigurationError(f"{name}: {self.environment[name]!r} is not a whole number {bounds}")
        return int(number)

    def switch(self, name: str, default: bool) -> bool:
        """Read on or off."""
        text = self.environment.get(name)
        if not text:
            return default
        if text.lower() not in _SWITCH:
            raise ConfigurationError(f"{name}: {text!r} must be on or off")
        return _SWITCH[text.lower()]

    def headers(self, name: str) -> tuple[str, ...]:
        """Read a list of request headers that select a representation."""
        found: list[str] = []
        for text in self.environment.get(name, "").split(","):
            header = text.strip().lower()
            if header and not _HEADER.fullmatch(header):
                raise ConfigurationError(f"{name}: {text.strip()!r} is not the name of a header")
            if header in _NEVER_SELECT or header.startswith(_NEVER_SELECT_BEGINNINGS):
                raise ConfigurationError(
                    f"{name}: {header} cannot select what is cached; name headers such as accept"
                )
            if header and header not in found:
                found.append(header)
        return tuple(found)

    def secret(self, name: str) -> str | None:
        """Read a secret from its variable, or from the file that `NAME_FILE` names.

        What ends the line is no part of it, blanks are.
        """
        path = self.environment.get(f"{name}_FILE")
        if not path:
            return self.environment.get(name, "").rstrip("\r\n") or None
        try:
            secret = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigurationError(f"{name}_FILE: {path} cannot be read ({error.strerror})") from error
        except UnicodeDecodeError:
            raise ConfigurationError(f"{name}_FILE: {path} is not UTF-8 text") from None
        if not secret:
            raise ConfigurationError(f"{name}_FILE: {path} is empty")
        return secret

    def token(self, name: str) -> str | None:
        """Read a secret that is sent in a header."""
        token = (self.secret(name) or "").strip() or None
        if token and not (token.isascii() and token.isprintable() and " " not in token):
            raise ConfigurationError(f"{name}: a token must be visible ASCII characters on one line")
        return token

    def host(self, name: str) -> str | None:
        """Read a host name, or an address."""
        host = self.environment.get(name, "").strip()
        if not host:
            return None
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        if not is_host(host):
            shown = f"{host!r} is" if "@" not in host else "this is"
            raise ConfigurationError(f"{name}: {shown} not a host name or an address")
        return host

    def socket(self, name: str) -> str | None:
        """Read the path of a Unix socket, which may be made later."""
        path = self.environment.get(name)
        if not path:
            return None
        if len(path.encode()) > _LONGEST_SOCKET or "\0" in path:
            raise ConfigurationError(f"{name}: a socket's path has {_LONGEST_SOCKET} bytes at most")
        if Path(path).is_dir():
            raise ConfigurationError(f"{name}: {path} is a folder")
        return path

    def file(self, name: str) -> str | None:
        """Read the path of a file that is there."""
        path = self.environment.get(name)
        if path and not Path(path).is_file():
            raise ConfigurationError(f"{name}: there is no file {path}")
        return path or None

    def base_url(self, name: str, example: str) -> str:
        """Read the URL below which everything is asked for, without the slash at its end."""
        url = self.environment.get(name, "").strip()
        problem = _problem_of(url)
        if problem:
            raise ConfigurationError(f"{name}: {problem}, such as {example}")
        scheme, rest = url.split(":", 1)
        return (scheme.lower() + ":" + rest).rstrip("/")


def _problem_of(url: str) -> str | None:
    """Say what is wrong with a base URL, if anything, without repeating it: a password may be part of it."""
    try:
        parts = urlsplit(url)
        port_fits = parts.port is None or parts.port > 0
    except ValueError:
        return "it has no host or port; write a URL"
    checks = (
        (parts.scheme in ("http", "https"), "set it to the API whose answers are cached"),
        (
            not _UNFIT.search(url),
            "a URL must not have spaces, control characters or backslashes; encode them",
        ),
        ("@" not in parts.netloc, "remove the user and password, and use UPSTREAM_TOKEN; write a URL"),
        ("?" not in url and "#" not in url, "it has a query or a fragment, which would be lost; write a URL"),
        (port_fits and is_host(parts.hostname or ""), "it has no host or port; write a URL"),
        (not {".", ".."} & set(parts.path.split("/")), "its path has . or .. segments; write a URL"),
    )
    return next((problem for fits, problem in checks if not fits), None)


def is_host(text: str) -> bool:
    """Tell whether a text is a host name that can be looked up, or an address."""
    try:
        ip_address(text)
    except ValueError:
        pass
    else:
        return True
    try:
        name = text.removesuffix(".").encode("idna")
    except UnicodeError:
        return False
    labels = name.split(b".")
    # What ends in a number is meant to be an address.
    return (
        len(name) <= _LONGEST_NAME
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )
