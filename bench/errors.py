"""What can go wrong for the user's own reasons: each message names the file, the field or the remedy."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can fix. Shown as one message, without a traceback; exit code 2."""
