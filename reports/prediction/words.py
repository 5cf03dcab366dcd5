"""Numbers and names as the page says them.

The explorer's script says the same numbers, so they are rounded half up by the same steps in both languages
(templates/explorer.js): Python's own formats round ties to even.
"""

from __future__ import annotations

import math
from typing import Final

from reports.prediction.model import Origin, Topology

_NAMES: Final[dict[Topology, str]] = {
    "none": "no cache",
    "process": "in-process caches",
    "sidecar": "sidecars",
    "separate": "a separate Redis",
}
_SHORT: Final[dict[Topology, str]] = {
    "none": "No cache",
    "process": "In-process",
    "sidecar": "Sidecars",
    "separate": "Separate Redis",
}
ORIGINS: Final[dict[Origin, str]] = {
    "measured": "measured",
    "calibration": "calibrated",
    "log": "from the log",
    "given": "given",
    "scenario": "from the scenario",
    "assumed": "assumed",
}
_UNITS: Final = ((86_400, "days"), (3600, "h"), (60, "min"))


def name(topology: Topology, l1_s: float = 0.0) -> str:
    """Return what a sentence calls a topology."""
    return _NAMES[topology] + (" behind in-process caches" if l1_s else "")


def short(topology: Topology, l1_s: float = 0.0) -> str:
    """Return what a legend or a head of a table calls a topology."""
    return _SHORT[topology] + (" + in-process" if l1_s else "")


def rounded(value: float, digits: int) -> str:
    """Show a number of at least 0 with so many digits after the point, rounded half up, thousands apart."""
    scale = 10**digits
    units = math.floor(value * scale + 0.5)
    whole = f"{units // scale:,}"
    return f"{whole}.{units % scale:0{digits}d}" if digits else whole


def calls(value: float) -> str:
    """Show a number of calls: whole from 10 on."""
    return rounded(value, 0 if value >= 10 or value == 0 else 1)


def hours(value: float) -> str:
    """Show a number of hours, which may be a mean over routings."""
    return rounded(value, 0 if value == int(value) else 1)


def ms(value: float) -> str:
    """Show a time in milliseconds."""
    return f"{rounded(value, 2 if value < 10 else 1 if value < 100 else 0)} ms"


def points(spread: float) -> str:
    """Show half an interval around a share, in percentage points; empty where it rounds to nothing."""
    shown = rounded(spread * 100, 2)
    return "" if shown == "0.00" else f"± {shown} points"


def given_ms(value: float) -> str:
    """Show a time in milliseconds that somebody has set, as it was set."""
    return f"{value:,.4g} ms"


def percent(share: float) -> str:
    """Show a share: with a decimal below 10%, and with one or two from 99% to 100%."""
    near = 2 if share >= 0.995 else 1 if share >= 0.99 else 0
    return f"{rounded(share * 100, 1 if share < 0.1 else near if share < 1 else 0)}%"


def span(seconds: float) -> str:
    """Show a duration: `45 s`, `2 h 10 min`, `7 days`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for size, unit in _UNITS:
        if whole >= size and not (size == 86_400 and whole < 2 * size):
            smaller = {86_400: (3600, "h"), 3600: (60, "min"), 60: (1, "s")}[size]
            rest = whole % size // smaller[0]
            return f"{whole // size} {unit}" + (f" {rest} {smaller[1]}" if rest else "")
    return f"{whole} s"


def memory(size: float) -> str:
    """Show bytes in MiB or GiB."""
    for unit, name_of in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name_of}"
    return f"{size:.0f} bytes"
