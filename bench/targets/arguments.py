"""Options of the command line about running services: which they are, how they are called and read."""

from __future__ import annotations

from typing import Annotated, Any, Final

import typer

RATE_CAP: Final = 200.0
DURATION_CAP_S: Final = 60.0


def _option(*names: str, panel: str, **more: Any) -> Any:
    """Return an option whose default is not shown: it says nothing."""
    return typer.Option(*names, rich_help_panel=panel, show_default=False, **more)


def _named(*names: str, **more: Any) -> Any:
    return _option(*names, panel="Running services instead of deployed variants", **more)


def _called(*names: str, **more: Any) -> Any:
    return _option(*names, panel="How to call a service and read its answers", **more)


Target = Annotated[
    list[str] | None,
    _named(
        "--target", metavar="URL[,URL…]",
        help="A service to load: its URL, or the URLs of its replicas. Repeat it to compare services.",
    ),
]  # fmt: skip
Label = Annotated[
    list[str] | None,
    _named(
        "--label",
        help="The name of each target, in order: sidecar, separate, none, or names of your own.",
    ),
]  # fmt: skip
Own = Annotated[
    bool,
    _named(
        "--i-own-this-target",
        help="Confirm that you may load targets on other machines.",
    ),
]  # fmt: skip
RateCap = Annotated[
    float | None,
    _named(help=f"Limit of requests/s for targets on other machines; {RATE_CAP:g} by default."),
]  # fmt: skip
DurationCap = Annotated[
    str | None,
    _named(help=f"Limit of a trial's length for those, such as 5m; {DURATION_CAP_S:g}s by default."),
]  # fmt: skip
KeyPath = Annotated[
    str | None,
    _called(
        "--path", metavar="PATH",
        help="The path of a key, such as '/github/{key}'; '/content/{key}' by default.",
    ),
]  # fmt: skip
Outcomes = Annotated[
    list[str] | None,
    _called(
        "--outcome", metavar="'HEADER: GLOB'",
        help="A response header and the values that mean a hit, such as 'X-Cache: *_HIT'; repeatable. By "
        "default, Cache-Status and the headers of common caches are recognized.",
    ),
]  # fmt: skip
CacheName = Annotated[
    str | None,
    _called(
        "--cache", metavar="NAME",
        help="Which cache to read from Cache-Status, if it lists several; the nearest by default.",
    ),
]  # fmt: skip
Headers = Annotated[
    list[str] | None,
    _called(
        "--header", metavar="'NAME: VALUE'",
        help="A header to send with each request; repeatable. @FILE reads headers from a file, one per line, "
        "which keeps them out of the process list. Values are not stored.",
    ),
]  # fmt: skip
CountUrl = Annotated[
    str | None,
    _called(
        "--upstream-count", metavar="URL[#NAME]",
        help="URL of the upstream's own count of calls, read before and after each trial: a number, "
        "or with #NAME a Prometheus counter or a path in JSON, such as #calls.total.",
    ),
]  # fmt: skip
