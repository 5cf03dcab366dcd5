"""The app's configuration, from the environment alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from app.environment import ConfigurationError as ConfigurationError
from app.environment import Reader

_CLOCKS_DIFFER_S: Final = 60.0


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
    redis_tls_ca: str | None = None
    redis_tls_cert: str | None = None
    redis_tls_key: str | None = None
    redis_user: str | None = None
    redis_password: str | None = field(default=None, repr=False)
    upstream_token: str | None = field(default=None, repr=False)

    @property
    def cached(self) -> bool:
        """Whether there is a Redis to cache in."""
        return bool(self.redis_host or self.redis_socket)

    @property
    def longest_s(self) -> float:
        """For how long a response can be fresh, as far as clocks agree."""
        return max(self.ttl_s * (1 + self.ttl_jitter), self.negative_ttl_s) + _CLOCKS_DIFFER_S

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings.

        Raises:
            ConfigurationError: a variable is missing or cannot be read.
        """
        read = Reader(environment)
        jitter = read.number("CACHE_TTL_JITTER", cls.ttl_jitter)
        if jitter >= 1:
            raise ConfigurationError(
                f"CACHE_TTL_JITTER: {jitter:g} is not a share of the TTL; use 0 or more and less than 1"
            )
        found = cls(
            upstream_url=read.base_url("UPSTREAM_URL", "https://api.github.com"),
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
            most_bytes=read.whole("CACHE_MAX_BODY", cls.most_bytes, 1),
            vary=read.headers("CACHE_VARY"),
            upstream_concurrency=read.whole("UPSTREAM_CONCURRENCY", cls.upstream_concurrency, 1),
            upstream_reserve=read.whole("UPSTREAM_RESERVE", cls.upstream_reserve, 0),
            redis_host=read.host("REDIS_HOST"),
            redis_port=read.whole("REDIS_PORT", cls.redis_port, 1, 65_535),
            redis_socket=read.socket("REDIS_SOCKET"),
            redis_tls=read.switch("REDIS_TLS", cls.redis_tls),
            redis_tls_ca=read.file("REDIS_TLS_CA"),
            redis_tls_cert=read.file("REDIS_TLS_CERT"),
            redis_tls_key=read.file("REDIS_TLS_KEY"),
            redis_user=environment.get("REDIS_USER") or None,
            redis_password=read.secret("REDIS_PWD"),
            upstream_token=read.token("UPSTREAM_TOKEN"),
        )
        found.check()
        return found

    def check(self) -> None:
        """Check what must fit together.

        Raises:
            ConfigurationError: it does not.
        """
        if self.redis_user and not self.redis_password:
            raise ConfigurationError("REDIS_USER: give its password, as REDIS_PWD or REDIS_PWD_FILE")
        if self.redis_tls and self.redis_socket:
            raise ConfigurationError("REDIS_TLS: a Unix socket (REDIS_SOCKET) has no TLS; remove one of them")
        if (self.redis_tls_cert is None) != (self.redis_tls_key is None):
            raise ConfigurationError("REDIS_TLS_CERT, REDIS_TLS_KEY: give both, or neither")
        if not self.redis_tls and (self.redis_tls_ca or self.redis_tls_cert):
            raise ConfigurationError("REDIS_TLS: switch it on, or remove REDIS_TLS_CA and REDIS_TLS_CERT")
