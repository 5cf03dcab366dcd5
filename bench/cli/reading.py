"""Options of all commands that read access logs: which format they are in, what is taken, what keys are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

_PANEL = "The log"


def _option(help_text: str, *names: str, metavar: str) -> Any:
    return typer.Option(*names, help=help_text, rich_help_panel=_PANEL, show_default=False, metavar=metavar)


LogFormat = Annotated[
    str | None,
    _option("nginx's log_format or Apache's LogFormat string.", "--log-format", metavar="STRING"),
]
PathRegex = Annotated[
    str | None,
    _option("Take requests in whose path and query this is found.", "--path-regex", metavar="REGEX"),
]
Methods = Annotated[list[str] | None, _option("GET or HEAD alone.", "--method", metavar="METHOD")]
Statuses = Annotated[
    list[str] | None, _option("Take these answers: 200, 2xx or 200-299.", "--status", metavar="STATUS")
]
Since = Annotated[
    str | None,
    _option("Take requests from this time on, such as 2025-03-14T09:00.", "--since", metavar="TIME"),
]
Until = Annotated[str | None, _option("Take requests before this time.", "--until", metavar="TIME")]
StripQuery = Annotated[
    list[str] | None,
    _option(
        "Query parameters that are no part of the key: utm_*,ref; * is all.", "--strip-query", metavar="KEYS"
    ),
]
Keys = Annotated[
    list[str] | None,
    _option("Rewrite keys: '^/users/\\d+→/users/N', or with =>. Can be repeated.", "--key", metavar="RULE"),
]
