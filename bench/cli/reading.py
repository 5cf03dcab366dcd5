"""Options of all commands that read access logs: which format they are in, what is taken, what keys are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_PANEL = "The log"


def _option(help_text: str, *names: str, metavar: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=False, metavar=metavar)


LogFormat = Annotated[
    str | None,
    _option(
        "The log_format string of nginx or the LogFormat string of Apache.", "--log-format", metavar="STRING"
    ),
]
PathRegex = Annotated[
    str | None,
    _option("Use only requests whose path and query match.", "--path-regex", metavar="REGEX"),
]
Methods = Annotated[
    list[str] | None, _option("Use only GET or only HEAD requests.", "--method", metavar="METHOD")
]
Statuses = Annotated[
    list[str] | None,
    _option("Use only requests with these statuses: 200, 2xx or 200-299.", "--status", metavar="STATUS"),
]
Since = Annotated[
    str | None,
    _option("Use only requests from this time on, such as 2025-03-14T09:00.", "--since", metavar="TIME"),
]
Until = Annotated[str | None, _option("Use only requests before this time.", "--until", metavar="TIME")]
StripQuery = Annotated[
    list[str] | None,
    _option(
        "Query parameters to remove from the key, such as utm_*,ref; * removes all.",
        "--strip-query",
        metavar="KEYS",
    ),
]
Keys = Annotated[
    list[str] | None,
    _option(
        "Rewrite keys, such as '^/users/\\d+→/users/N', or with =>; repeatable.", "--key", metavar="RULE"
    ),
]
