"""When a line was written: the forms of time that servers put into access logs, in µs since the epoch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_DAY_US: Final = 86_400_000_000
_MONTHS: Final = (
    "jan janv january janvier januar ene enero gen gennaio janeiro",
    "feb févr fév february février februar febrero febbraio fev fevereiro",
    "mar mars march mär mrz märz marzo mrt maart março",
    "apr avr april avril abr abril aprile",
    "may mai mayo mag maggio maio mei",
    "jun juin june juni junio giu giugno junho",
    "jul juil july juillet juli julio lug luglio julho",
    "aug août aout august ago agosto augustus",
    "sep sept september septembre septiembre set settembre setembro",
    "oct okt october octobre octubre oktober ott ottobre out outubro",
    "nov november novembre noviembre novembro",
    "dec dez déc december décembre dezember dic diciembre dicembre dezembro",
)
_MONTH: Final = {name: number for number, names in enumerate(_MONTHS, 1) for name in names.split()}
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# How zones given by name are taken; the page says so, since several mean more than one.
_ZONES: Final = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "BST": 60, "WEST": 60, "CET": 60, "CEST": 120, "MEZ": 60,
    "MESZ": 120, "EET": 120, "EEST": 180, "MSK": 180, "IST": 330, "JST": 540, "KST": 540, "AEST": 600,
    "AEDT": 660, "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360,
    "PST": -480, "PDT": -420,
}  # fmt: skip
_CLOCK: Final = r"(?P<h>\d{1,2}):(?P<m>\d{2}):(?P<s>\d{2})(?:[.,](?P<fraction>\d{1,9}))?"
_ZONE: Final = r"(?:\s?(?P<zone>[+-]\d{2}(?::?\d{2})?|[A-Za-z]{1,5}))?"
_FORMS: Final = tuple(
    re.compile(form)
    for form in (
        rf"(?P<day>\d{{1,2}})/(?P<month>[^\s/:\d]{{1,12}}|\d{{1,2}})/(?P<year>\d{{4}}):{_CLOCK}{_ZONE}",
        rf"(?P<year>\d{{4}})[-/](?P<month>\d{{1,2}})[-/](?P<day>\d{{1,2}})[T ]{_CLOCK}{_ZONE}",
        rf"[^\s\d]{{2,10}} (?P<month>[^\s\d]{{1,12}})\s+(?P<day>\d{{1,2}}) {_CLOCK} "
        r"(?P<year>\d{4})(?P<zone>)",
    )
)
_EPOCH: Final = re.compile(r"(\d{9,10})(?:[.,](\d{1,20}))?|(\d{13})|(\d{16})|(\d{19})")


@dataclass
class Clock:
    """Reads times; keeps in mind which zones were missing or given by name, and whether any has a fraction.

    A log names the same second many times, so each is read once.
    """

    zones: dict[str, str] = field(default_factory=dict)
    fractions: bool = False
    _known: dict[bytes, int | None] = field(default_factory=dict)

    def read(self, text: bytes) -> int | None:
        """Return a time in µs since 1970-01-01 UTC; None where it is no time."""
        if text not in self._known:
            if len(self._known) > 200_000:
                self._known.clear()
            self._known[text] = self._read(text)
        return self._known[text]

    def _read(self, text: bytes) -> int | None:
        try:
            written = text.decode("utf-8")
        except UnicodeDecodeError:
            written = text.decode("latin-1")
        if found := _EPOCH.fullmatch(written):
            return self._epoch(*found.groups())
        for form in _FORMS:
            if found := form.fullmatch(written):
                return self._civil(found.groupdict())
        return None

    def _epoch(
        self, seconds: str | None, fraction: str | None, ms: str | None, us: str | None, ns: str | None
    ) -> int:
        if seconds is None:
            self.fractions = True
            return int(ms) * 1000 if ms else int(us) if us else int(ns or 0) // 1000
        return int(seconds) * 1_000_000 + self._fraction(fraction)

    def _fraction(self, digits: str | None) -> int:
        self.fractions = self.fractions or digits is not None
        return int((digits or "0").ljust(6, "0")[:6])

    def _civil(self, parts: dict[str, str | None]) -> int | None:
        month = _MONTH.get(str(parts["month"]).lower().rstrip("."))
        if month is None and str(parts["month"]).isdigit():
            month = int(str(parts["month"]))
        year, day = int(str(parts["year"])), int(str(parts["day"]))
        hour, minute, second = (int(str(parts[part])) for part in "hms")
        if month is None or not 1 <= month <= 12 or not 1 <= day <= _LENGTHS[month - 1]:
            return None
        if hour > 23 or minute > 59 or second > 60:  # 60: a leap second, which ends with the next one's begin
            return None
        seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        return (seconds - self._offset(parts["zone"]) * 60) * 1_000_000 + self._fraction(parts["fraction"])

    def _offset(self, zone: str | None) -> int:
        """Return a zone's minutes east of Greenwich; note how it is taken where the log leaves it open."""
        if not zone:
            self.zones.setdefault("", "UTC")
            return 0
        if zone[0] in "+-":
            minutes = int(zone[1:3]) * 60 + (int(zone[-2:]) if len(zone) > 3 else 0)
            return -minutes if zone[0] == "-" else minutes
        offset = _ZONES.get(zone.upper(), 0)
        if zone.upper() not in ("UTC", "GMT", "Z"):
            sign = "+" if offset >= 0 else "-"
            self.zones.setdefault(zone, f"UTC{sign}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}")
        return offset

    def remarks(self) -> list[str]:
        """Say how times without a zone, or with a zone's name, were taken."""
        said = []
        for zone, taken in self.zones.items():
            said.append(
                f"its times have no zone: taken as {taken}"
                if not zone
                else f"zone {zone} is taken as {taken}"
            )
        return said


def days(year: int, month: int, day: int) -> int:
    """Return the days from 1970-01-01 to a date of the proleptic Gregorian calendar.

    Years that Python's datetime does not know are no exception.
    (H. Hinnant, https://howardhinnant.github.io/date_algorithms.html#days_from_civil)
    """
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
