"""The app contract: how to call any service, and how to read its answers. Ours is one instance of it."""

from __future__ import annotations

import re
from fnmatch import translate
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

KEY: Final = "{key}"
_PATH: Final = re.compile(r"/[!-~]*")
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", max_length=100)]


class HitRule(BaseModel):
    """A response header, and a glob of the values that mean a hit; all other values mean a miss."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    header: HeaderName
    glob: str = Field(min_length=1, max_length=200)

    def meant_by(self, value: str) -> bool:
        """Return whether a value of the header means a hit; capitals do not matter."""
        return re.fullmatch(translate(self.glob.lower()), value.strip().lower()) is not None


class Contract(BaseModel):
    """How a service is called and what its answers mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        "/content/{key}", max_length=500, description="The path of a key; {key} is replaced by the key."
    )
    ready: tuple[str, ...] = Field(
        ("/healthz", "/content/healthz"),
        description="Paths that show that the service is running; the first must answer with success, the "
        "others with a status below 500.",
    )
    metrics: str | None = Field(
        "/metrics", description="Path of the Prometheus counters; None: the service does not have ours."
    )
    cache: str | None = Field(
        None,
        max_length=100,
        description="The member of Cache-Status to read, by name; None: the last one, which is the "
        "cache nearest to the client (RFC 9211, section 2).",
    )
    rules: tuple[HitRule, ...] = Field(
        (), description="Headers that state the outcome; none: those known by name."
    )
    statuses: bool = Field(
        False, description="Redirects, 401, 403, 407, 408, 425 and 429 are failures, regardless of headers."
    )

    @field_validator("path")
    @classmethod
    def _has_a_place_for_the_key(cls, path: str) -> str:
        if path.count(KEY) != 1 or not _PATH.fullmatch(path):
            raise ValueError("write a path that begins with / and has {key} once, such as /github/{key}")
        return path

    def path_of(self, key: str) -> str:
        """Return the request target of a key, which may begin with a slash or not.

        A log's targets begin with one; where they begin with two, the second is the key's own.
        """
        return self.path.replace(KEY, key.removeprefix("/") if f"/{KEY}" in self.path else key)

    @property
    def prefix(self) -> str:
        """What comes before the key in a request target."""
        return self.path.partition(KEY)[0]


class Counters(BaseModel):
    """The Prometheus counters of a service, by what they count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    requests: str = Field("cache_requests_total", description="Requests, by the label `outcome`.")
    calls: str = Field("upstream_requests_total", description="Calls of the upstream.")
    redis_errors: str = Field("cache_redis_errors_total", description="Commands that Redis did not answer.")


class App(BaseModel):
    """A service that the bench deploys: how it is started, watched, counted and called.

    `image` is for containers, `application` and `protocol` for local processes under uvicorn.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image: str = "sidecar-bench/app"
    application: str = Field("app.main:app", description="The ASGI application, as uvicorn names it.")
    protocol: str = Field("app.hits:Hits", description="What uvicorn reads requests with (`--http`).")
    port: int = Field(8000, description="Where a container listens.")
    alive: str = Field("/healthz", description="Answers 200 while the process serves.")
    ready: str = Field("/readyz", description="Answers 200 once requests may come; asks Redis, too.")
    counters: Counters = Counters()
    contract: Contract = Contract()


OUR_APP: Final = App()
OURS: Final = OUR_APP.contract
