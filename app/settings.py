"""The app's configuration, from the environment alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


class ConfigurationError(ValueError):
    """The environment does not make sense; the message names the variable."""


@dataclass(frozen=True)
class Settings:
    """Everything that can be configured. Secrets are left out of its representation."""

    upstream_url: str
    ttl_s: float = 3600.0
    redis_host: str | None = None
    redis_port: int = 6379
    redis_socket: str | None = None
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
        return cls(
            upstream_url=url,
            ttl_s=_number(environment, "CACHE_TTL", 3600.0),
            redis_host=environment.get("REDIS_HOST") or None,
            redis_port=int(_number(environment, "REDIS_PORT", 6379)),
            redis_socket=environment.get("REDIS_SOCKET") or None,
            redis_user=environment.get("REDIS_USER") or None,
            redis_password=_secret(environment, "REDIS_PWD"),
            upstream_token=_secret(environment, "UPSTREAM_TOKEN"),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    if not text:
        return default
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if number <= 0:
        raise ConfigurationError(f"{name}: {text!r} is not a number above zero")
    return number


def _secret(environment: Mapping[str, str], name: str) -> str | None:
    """Read a secret from its variable, or from the file that `NAME_FILE` names."""
    path = environment.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None
        except OSError as error:
            raise ConfigurationError(f"{name}_FILE: {path} cannot be read ({error.strerror})") from error
    return environment.get(name) or None
