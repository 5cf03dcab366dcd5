"""The app's configuration, from the environment alone."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SWITCH: Final = {
    "on": True, "true": True, "yes": True, "1": True, "off": False, "false": False, "no": False, "0": False,
}  # fmt: skip

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
class Settings:
    """Everything that can be configured; docs/app.md has the variables and what each is for.

    Durations are in seconds, of which 0 switches the feature off. Secrets are left out of the representation.
    """

    upstream_url: str
    ttl_s: float = 3600.0
    ttl_jitter: float = 0.05
    single_flight: bool = True
    lease: bool = True
    lease_wait_s: float = 3.0
    revalidate_s: float = 300.0
    stale_while_revalidate_s: float = 0.0
    stale_if_error_s: float = 300.0
    negative_ttl_s: float = 5.0
    l1_s: float = 0.0
    most_bytes: int = 1_000_000
    vary: tuple[str, ...] = ()
    upstream_concurrency: int = 64
    upstream_reserve: int = 10
    redis_host: str | None = None
    redis_port: int = 6379
    redis_socket: str | None = None
    redis_tls: bool = False
    redis_user: str | None = None
    redis_password: str | None = field(default=None, repr=False)
    upstream_token: str | None = field(default=None, repr=False)

    @property
    def cached(self) -> bool:
        """Whether there is a Redis to cache in."""
        return bool(self.redis_host or self.redis_socket)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a variable is missing or cannot be read.
        """
        url = environment.get("UPSTREAM_URL", "").rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise ConfigurationError(
                "UPSTREAM_URL: name the API whose answers are cached, such as https://api.github.com"
            )
        read = _Reader(environment)
        jitter = read.number("CACHE_TTL_JITTER", cls.ttl_jitter)
        if jitter >= 1:
            raise ConfigurationError(
                f"CACHE_TTL_JITTER: {jitter:g} is no share of the TTL, from 0 to below 1"
            )
        return cls(
            upstream_url=url,
            ttl_s=read.number("CACHE_TTL", cls.ttl_s, above_zero=True),
            ttl_jitter=jitter,
            single_flight=read.switch("CACHE_SINGLE_FLIGHT", cls.single_flight),
            lease=read.switch("CACHE_LEASE", cls.lease),
            lease_wait_s=read.number("CACHE_LEASE_WAIT", cls.lease_wait_s, above_zero=True),
            revalidate_s=read.number("CACHE_REVALIDATE", cls.revalidate_s),
            stale_while_revalidate_s=read.number(
                "CACHE_STALE_WHILE_REVALIDATE", cls.stale_while_revalidate_s
            ),
            stale_if_error_s=read.number("CACHE_STALE_IF_ERROR", cls.stale_if_error_s),
            negative_ttl_s=read.number("CACHE_NEGATIVE_TTL", cls.negative_ttl_s),
            l1_s=read.number("CACHE_L1", cls.l1_s),
            most_bytes=int(read.number("CACHE_MAX_BODY", cls.most_bytes, above_zero=True)),
            vary=read.headers("CACHE_VARY"),
            upstream_concurrency=int(
                read.number("UPSTREAM_CONCURRENCY", cls.upstream_concurrency, above_zero=True)
            ),
            upstream_reserve=int(read.number("UPSTREAM_RESERVE", cls.upstream_reserve)),
            redis_host=environment.get("REDIS_HOST") or None,
            redis_port=int(read.number("REDIS_PORT", cls.redis_port, above_zero=True)),
            redis_socket=environment.get("REDIS_SOCKET") or None,
            redis_tls=read.switch("REDIS_TLS", cls.redis_tls),
            redis_user=environment.get("REDIS_USER") or None,
            redis_password=read.secret("REDIS_PWD"),
            upstream_token=read.secret("UPSTREAM_TOKEN"),
        )


@dataclass(frozen=True)
class _Reader:
    """Reads variables; every error names the one that is at fault."""

    environment: Mapping[str, str]

    def number(self, name: str, default: float, *, above_zero: bool = False) -> float:
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
        return number

    def switch(self, name: str, default: bool) -> bool:
        text = self.environment.get(name)
        if not text:
            return default
        if text.lower() not in _SWITCH:
            raise ConfigurationError(f"{name}: {text!r} is neither on nor off")
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
        """Read a secret from its variable, or from the file that `NAME_FILE` names."""
        path = self.environment.get(f"{name}_FILE")
        if path:
            try:
                return Path(path).read_text(encoding="utf-8").strip() or None
            except OSError as error:
                raise ConfigurationError(f"{name}_FILE: {path} cannot be read ({error.strerror})") from error
        return self.environment.get(name) or None
