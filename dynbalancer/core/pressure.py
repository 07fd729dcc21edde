"""How short of memory a process is, by what it uses and what it may, and when it has some to give back."""

from __future__ import annotations

#: Enough is left; connections are not kept any more; nobody new is served.
EASY, SHORT, OUT = range(3)

#: From which share of the limit on it is short, and out. It is easier again where so much less is used.
SHORT_AT, OUT_AT, LESS = 0.80, 0.95, 0.05

#: So many connections must have gone before what they held is worth looking for.
CROWD = 50


def pressure(used: int, limit: int, before: int = EASY) -> int:
    """EASY, SHORT or OUT, where ``used`` bytes of ``limit`` are taken and it was ``before`` until now."""
    share = used / limit
    for level, begins in ((OUT, OUT_AT), (SHORT, SHORT_AT)):
        if share >= (begins - LESS if before >= level else begins):
            return level
    return EASY


def working_set(current: int, stat: str) -> int:
    """Bytes that a control group can't give back at once: all but what is cached of files (``memory.stat``)."""
    found = dict(line.split(" ", 1) for line in stat.splitlines() if " " in line)
    return current - sum(
        int(found.get(name, 0)) for name in ("inactive_file", "active_file", "slab_reclaimable")
    )


def ebbed(most: int, now: int) -> bool:
    """Whether a crowd has gone: of ``most`` connections at a time there are ``now``, half of them at most."""
    return most - now >= CROWD and now <= most // 2
