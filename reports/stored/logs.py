"""What was said of a run's logs before its first trial, as it is stored."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from traffic.logs.handing import FOLDER

SAID: Final = "said.json"


def said(run: Path) -> list[str]:
    """Return what was said of a run's logs; nothing where it has none, or is of an older version."""
    try:
        found = json.loads((run / FOLDER / SAID).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [str(sentence) for sentence in found] if isinstance(found, list) else []
