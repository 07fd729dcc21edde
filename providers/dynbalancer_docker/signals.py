"""Linux signal numbers, whichever way an engine or an image spells them: ``15``, ``TERM``, ``SIGTERM``."""

from __future__ import annotations

SIGKILL = 9
SIGTERM = 15

# The engine's numbers are Linux', whatever system we run on, so the standard library's table won't do.
_NAMES = (
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN "
    "TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS"
)
_NUMBERS = {name: number for number, name in enumerate(_NAMES.split(), start=1)} | {
    "IOT": 6,
    "CLD": 17,
    "POLL": 29,
}
_REALTIME = {"RTMIN": 34, "RTMAX": 64}


def number_of(written: object) -> int | None:
    """The number of a signal by name or number, or None where there is no such signal."""
    if isinstance(written, int) and not isinstance(written, bool):
        return written if 0 < written <= 64 else None
    if not isinstance(written, str):
        return None
    word = written.strip().upper().removeprefix("SIG")
    if word.isascii() and word.isdigit():
        return number_of(int(word[:4]))
    return _NUMBERS.get(word) or _realtime(word)


def _realtime(word: str) -> int | None:
    """``RTMIN+3``, ``RTMAX-1``."""
    start = _REALTIME.get(word[:5])
    if start is None or not word[5:]:
        return start
    sign, digits = word[5], word[6:]
    if sign not in "+-" or not (digits.isascii() and digits.isdigit()):
        return None
    number = start + int(digits[:4]) * (1 if sign == "+" else -1)
    return number if 34 <= number <= 64 else None
