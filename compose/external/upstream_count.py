"""How many calls an upstream has counted, read from a URL: a number, a Prometheus counter, or JSON."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urldefrag, urlsplit

from prometheus_client.parser import text_string_to_metric_families

from compose import counts
from compose.stack import StackError

_NAME: Final = re.compile(r"([A-Za-z_:][\w:]*)(?:\{(.*)\})?")
_LABEL: Final = re.compile(r'([A-Za-z_]\w*)="([^"]*)"')


def read(url: str) -> int:
    """Return the count. The URL's fragment names a counter (`#calls_total`) or a path in JSON (`#calls.0`).

    A counter without labels stands for the sum over all of its labels; `#name{label="value"}` for some.

    Raises:
        StackError: it cannot be read; the message says why.
    """
    address, name = urldefrag(url)
    parts = urlsplit(address)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        status, body = counts.get(f"{parts.scheme}://{parts.netloc}", path)
    except OSError as error:
        raise StackError(f"the upstream's count at {address} cannot be read: {error}") from error
    if status != 200:
        raise StackError(f"the upstream's count at {address} cannot be read: status {status}")
    try:
        return _count(body.decode("utf-8"), name)
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        wanted = f"#{name}" if name else "a plain number; add # and the name of a counter or a path in JSON"
        raise StackError(f"the answer at {address} has no count under {wanted}") from error


def _count(text: str, name: str) -> int:
    if not name:
        return int(float(text.strip().strip('"')))
    if text.lstrip()[:1] in ("{", "["):
        found: Any = json.loads(text)
        for step in name.split("."):
            found = found[int(step)] if isinstance(found, list) else found[step]
        return int(float(found))
    return _prometheus(text, name)


def _prometheus(text: str, name: str) -> int:
    read = _NAME.fullmatch(name)
    if read is None:
        raise LookupError(name)
    wanted = dict(_LABEL.findall(read[2] or ""))
    values = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == read[1] and wanted.items() <= sample.labels.items()
    ]
    if not values:
        raise LookupError(name)
    return int(sum(values))
