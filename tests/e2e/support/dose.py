"""How much of it: an ordinary run takes a part of what the page of figures asks, ``--full`` all of it."""

from __future__ import annotations

import pytest

#: What a run with ``--full`` measured, in the order it was.
MEASURED = pytest.StashKey[list[str]]()


class Dose:
    """``dose(600, 10_000)`` is 600, and 10,000 with ``--full``. What a test measured is shown at the end of the run."""

    def __init__(self, config: pytest.Config, name: str) -> None:
        self.full: bool = config.getoption("--full")
        self._name = name
        self._measured = config.stash.setdefault(MEASURED, [])

    def __call__(self, part: int, whole: int) -> int:
        """The first, or all of it."""
        return whole if self.full else part

    def measured(self, case: str, text: str) -> None:
        """Note what became of a case, such as ``F01``."""
        self._measured.append(f"{case}: {text} ({self._name})")
