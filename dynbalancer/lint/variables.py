"""Variables of compose files that stay what they are while labels are translated."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dynbalancer.lint.interpolation import Filled, filled

_VARIABLE = re.compile(r"\$\$|\$[A-Za-z_][A-Za-z0-9_]*|\$\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\}")
_STAND_IN = re.compile(r"zvar(\d+)z")
_PLAIN = re.compile(r"[0-9]+|true|false")


class Kept:
    """Puts words that may stand in a host or a name in the place of variables, and the variables back.

    A variable whose value is a number, true or false is replaced by it, as labels want one there.
    """

    def __init__(self) -> None:
        self._written: list[str] = []

    def fill(self, text: str, environ: Mapping[str, str]) -> Filled:
        """The text with stand-ins."""

        def stand_in(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            value = filled(match[0], environ).text
            if _PLAIN.fullmatch(value):
                return value
            self._written.append(match[0])
            return f"zvar{len(self._written) - 1}z"

        return Filled(_VARIABLE.sub(stand_in, text))

    def restored(self, text: str, *, escaped: bool) -> str:
        """The text with its variables; ``escaped``: every other ``$`` is written as compose wants it, twice."""
        text = text.replace("$", "$$") if escaped else text
        return _STAND_IN.sub(lambda match: self._written[int(match[1])], text)

    @staticmethod
    def is_in(text: str) -> bool:
        """Whether a stand-in is in a text."""
        return _STAND_IN.search(text) is not None
