"""The Date field of answers that came without one (RFC 9110 section 6.6.1)."""

from __future__ import annotations

import time
from collections.abc import Callable

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Dates:
    """Says what time it is, as a field line; a line is made once a second. ``wall`` gives seconds since 1970."""

    __slots__ = ("_line", "_second", "_wall")

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self._wall = wall
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """The field with its line end."""
        second = int(self._wall())
        if second != self._second:
            self._second = second
            # Not strftime, which speaks the language of the system.
            year, month, day, hour, minute, seconds, weekday, *_ = time.gmtime(second)
            named = _DAYS[weekday], day, _MONTHS[month - 1], year, hour, minute, seconds
            self._line = b"Date: %b\r\n" % ("%s, %02d %s %d %02d:%02d:%02d GMT" % named).encode("ascii")
        return self._line
