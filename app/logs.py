"""Logs as JSON, a line each. What is logged are events and reasons: no header, no body, no secret."""

from __future__ import annotations

import json
import logging
import time
from typing import Any, Final

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One JSON object a record: time (UTC), level, logger, message, and whatever `extra` names."""

    default_msec_format = "%s.%03dZ"
    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class Seldom:
    """Warns of what goes on and on, each message once in `every_s` seconds."""

    def __init__(self, logger: logging.Logger, every_s: float = 60.0) -> None:
        self._logger = logger
        self._every_s = every_s
        self._until_s: dict[str, float] = {}

    def warning(self, message: str, **extra: Any) -> None:
        """Log a message, unless it was logged of late."""
        now_s = time.monotonic()
        if now_s >= self._until_s.get(message, now_s):
            self._until_s[message] = now_s + self._every_s
            self._logger.warning(message, extra=extra)


def configure() -> None:
    """Send the app's own records to standard error, once."""
    logger = logging.getLogger("app")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
