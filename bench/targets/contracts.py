"""What the options say of how a target is called and read: the app contract, and what a request carries."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from bench.errors import UserError
from scenarios.contract import KEY, OURS, Contract, HitRule

_RULE: Final = re.compile(r"([^\s:=]+)\s*:\s*(.+)")
_HEADER: Final = re.compile(r"([^\s:]+):[ \t]*([\t -~\x80-\xff]*)")
_VALUE_IN_URL: Final = re.compile(r"[!-~]+")
# These belong to the connection, and are the generator's.
_OWN_HEADERS: Final = (
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "expect",
    "te",
)
HIDDEN: Final = "…"


@dataclass(frozen=True)
class Called:
    """How to call targets, as given on the command line. `headers` may be secret."""

    contract: Contract
    headers: Mapping[str, str]
    count_url: str | None

    @property
    def said(self) -> bool:
        """Whether anything was said."""
        return self != NOTHING


NOTHING: Final = Called(OURS, {}, None)


def asked(
    path: str | None = None,
    outcomes: Sequence[str] | None = None,
    cache: str | None = None,
    headers: Sequence[str] | None = None,
    count_url: str | None = None,
    *,
    own_keys: bool = False,
) -> Called:
    """Read the options. A service with paths of its own is not ours: it has no metrics of ours, no /healthz.

    `own_keys`: keys come from a file of the service's paths.

    Raises:
        UserError: one of them cannot be read.
    """
    fields: dict[str, object] = {"cache": cache, "rules": tuple(_rule(text) for text in outcomes or ())}
    if path is not None or own_keys:
        fields |= {"path": path or f"/{KEY}", "ready": (), "metrics": None, "statuses": True}
    try:
        contract = Contract.model_validate(fields)
    except ValidationError as error:
        said = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
        raise UserError(f"--path {path}: {said}") from error
    return Called(contract, _headers(headers or ()), _count_url(count_url) if count_url else None)


def _rule(text: str) -> HitRule:
    found = _RULE.fullmatch(text.strip())
    try:
        if found is not None:
            return HitRule(header=found[1], glob=found[2].strip())
    except ValidationError:
        pass
    raise UserError(
        f"--outcome {text}: write a header and a glob of the values that mean a hit, such as 'X-Cache: *_HIT'"
    )


def _headers(given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for where, line in _lines(given):
        read = _HEADER.fullmatch(line)
        # What was given is not repeated: it may be secret.
        if read is None or not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", read[1]):
            raise UserError(
                f"{where}: write 'NAME: VALUE' in printable characters, such as 'Accept: text/html'"
            )
        name, value = read[1], read[2].strip()
        if name.lower() in _OWN_HEADERS:
            raise UserError(f"{where}: {name} is set by the connection; remove it")
        if name.lower() in map(str.lower, found):
            raise UserError(f"{where}: {name} is given twice; give it once")
        found[name] = value
    return found


def _lines(given: Sequence[str]) -> list[tuple[str, str]]:
    """Return each header with where it stands; `@FILE` is replaced by the lines of the file."""
    lines = []
    for text in given:
        if not text.startswith("@"):
            lines.append(("--header", text.strip()))
            continue
        path = Path(text[1:])
        try:
            each = path.read_text(encoding="latin-1").splitlines()
        except OSError as error:
            raise UserError(f"--header {text}: cannot be read ({error.strerror})") from error
        lines += [
            (f"--header {text}, line {n}", line.strip()) for n, line in enumerate(each, 1) if line.strip()
        ]
    return lines


def _count_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port)
    except ValueError:
        fine = False
    if not fine or not _VALUE_IN_URL.fullmatch(text):
        raise UserError("--upstream-count: write a URL such as http://127.0.0.1:9100/metrics#calls_total")
    if "@" in parts.netloc:
        raise UserError(
            "--upstream-count: the URL has a user or password, which would be stored; remove them"
        )
    return text


def redacted(command: Sequence[str]) -> list[str]:
    """Return a command without the values of its headers."""
    shown: list[str] = []
    for word in command:
        if shown and shown[-1] == "--header":
            shown.append(_without_value(word))
        elif word.startswith("--header="):
            shown.append("--header=" + _without_value(word.removeprefix("--header=")))
        else:
            shown.append(word)
    return shown


def _without_value(header: str) -> str:
    return header if header.startswith("@") else f"{header.partition(':')[0]}: {HIDDEN}"
