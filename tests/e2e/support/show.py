"""What pytest prints when the test fails, and swallows when it doesn't."""

from __future__ import annotations

import sys


def show(what: str, log: str) -> None:
    """Print the end of a log under a heading."""
    sys.stdout.write(f"--- log of {what}\n{log[-8000:]}\n")
