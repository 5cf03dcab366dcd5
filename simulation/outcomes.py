"""What the engine says of a request, as codes in an array."""

from __future__ import annotations

from typing import Final

HIT: Final = 0
"""The cache held the response."""
MISS: Final = 1
"""The request made an upstream call of its own."""
DELAYED: Final = 2
"""The request waited for a call that another request had begun."""
