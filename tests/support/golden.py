"""Files whose whole text is agreed on. Where a change is wanted, renew them and read the difference:

RENEW_GOLDEN=1 .venv/bin/pytest tests/compose/export && git diff tests/compose/export/golden
"""

import os
from pathlib import Path


def check(path: Path, text: str) -> None:
    """Hold a text against the file that was agreed on."""
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), (
        f"{path.name} differs; tests/support/golden.py says how to renew it"
    )
