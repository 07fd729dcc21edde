"""Rights given up after start: the parent can still read the engine's socket, workers keep nothing.

Started as root with ``--user=name``, the parent binds its ports and becomes:

- real uid: the workers'; effective and saved uid: its own;
- real gid: the plain group; effective and saved gid: the group of the engine's socket.

A process may always set its ids to what its real ids are. So each worker can become the workers' user in the
plain group, for good, although nobody is root any more. And the parent may signal its workers: its real uid
is theirs.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dynbalancer.errors import ConfigurationError, DynbalancerError

PR_SET_NO_NEW_PRIVS = 38
WHERE = "--user"
DEFAULT_SOCKET = "/var/run/docker.sock"


Id = TypeVar("Id")


class RightsError(DynbalancerError):
    """Rights were to be dropped and are still there. Nothing may go on after this."""


class Accounts(Protocol):
    """Looks names up; raises KeyError where there is no such user or group."""

    def user(self, name: str) -> tuple[int, int]:
        """Its uid and gid."""

    def group(self, name: str) -> int:
        """Its gid."""


class SystemAccounts:
    """The users and groups of this machine."""

    def user(self, name: str) -> tuple[int, int]:
        import pwd

        found = pwd.getpwnam(name) if not name.isdigit() else pwd.getpwuid(int(name))
        return found.pw_uid, found.pw_gid

    def group(self, name: str) -> int:
        import grp

        return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


@dataclass(frozen=True, slots=True)
class Plan:
    """Who to become. ``socket_gid`` is the plain group where there is no socket to reach."""

    parent_uid: int
    worker_uid: int
    gid: int
    socket_gid: int

    def worker(self) -> dict[str, int]:
        """What a worker is told, for :func:`become_worker`."""
        return {"uid": self.worker_uid, "gid": self.gid}


def plan(
    user: str, worker_user: str, socket_gid: int | None, accounts: Accounts, *, is_root: bool
) -> Plan | None:
    """Who to become; None where there is nothing to give up. ConfigurationError for unknown names."""
    if not user or not is_root:
        return None
    name, _, group = user.partition(":")
    uid, gid = _found(accounts.user, name, WHERE, "user")
    if group:
        gid = _found(accounts.group, group, WHERE, "group")
    if uid == 0:
        raise ConfigurationError(WHERE, f"{name} is root", "name a user without rights")
    worker_uid = uid
    if worker_user:
        worker_uid, _ = _found(accounts.user, worker_user, "--workeruser", "user")
    else:
        with contextlib.suppress(KeyError):
            worker_uid, _ = accounts.user(f"{name}-worker")
    if worker_uid == 0:
        raise ConfigurationError("--workeruser", f"{worker_user} is root", "name a user without rights")
    return Plan(uid, worker_uid, gid, gid if socket_gid is None else socket_gid)


def _found(look_up: Callable[[str], Id], name: str, where: str, kind: str) -> Id:
    try:
        return look_up(name)
    except KeyError:
        raise ConfigurationError(where, f"there is no {kind} {name} on this machine") from None


def engine_socket(providers: Mapping[str, Mapping[str, object]], environ: Mapping[str, str]) -> str:
    """Path of the Unix socket that the Docker provider will read; empty where it reads none."""
    if "docker" not in providers:
        return ""
    endpoint = str(providers["docker"].get("endpoint", "")) or environ.get("DOCKER_HOST", "")
    if not endpoint:
        return DEFAULT_SOCKET
    return endpoint.removeprefix("unix://") if endpoint.startswith(("unix://", "/")) else ""


def group_of_socket(path: str, look: Callable[[str], os.stat_result] = os.stat) -> int | None:
    """The group that may read and write a socket, or None where there is no such socket."""
    if not path:
        return None
    try:
        found = look(path)
    except OSError:
        return None
    return found.st_gid if stat.S_ISSOCK(found.st_mode) else None


class System(Protocol):
    """The calls of :mod:`os` that are used here."""

    def setgroups(self, groups: list[int], /) -> None: ...
    def setresgid(self, real: int, effective: int, saved: int, /) -> None: ...
    def setresuid(self, real: int, effective: int, saved: int, /) -> None: ...
    def getresuid(self) -> tuple[int, int, int]: ...
    def getresgid(self) -> tuple[int, int, int]: ...
    def getgroups(self) -> list[int]: ...


def become_parent(wanted: Plan, system: System = os) -> None:
    """Give up root. Raises ConfigurationError where that isn't allowed, RightsError if it had no effect."""
    uids = (wanted.worker_uid, wanted.parent_uid, wanted.parent_uid)
    gids = (wanted.gid, wanted.socket_gid, wanted.socket_gid)
    try:
        system.setgroups([])
        system.setresgid(*gids)
        system.setresuid(*uids)
    except PermissionError:
        hint = "let the container have CAP_SETUID and CAP_SETGID, or start it as a plain user"
        raise ConfigurationError(WHERE, "this process may not change its user", hint) from None
    _verify(system, uids, gids, 0, 0)


def become_worker(
    wanted: Mapping[str, int], system: System = os, no_new_rights: Callable[[], None] | None = None
) -> None:
    """Keep nothing of the parent's rights. ``wanted``: from :meth:`Plan.worker`; empty to stay who one is."""
    if wanted:
        uid, gid = wanted["uid"], wanted["gid"]
        parent_uid, parent_gid = system.getresuid()[1], system.getresgid()[1]
        system.setresgid(gid, gid, gid)
        system.setresuid(uid, uid, uid)
        _verify(system, (uid, uid, uid), (gid, gid, gid), parent_uid, parent_gid)
    (no_new_rights or forbid_new_rights)()


def _verify(
    system: System, uids: tuple[int, int, int], gids: tuple[int, int, int], lost_uid: int, lost_gid: int
) -> None:
    """Believe the kernel, not the calls: the ids are as wanted, and the lost ones can't be had again."""
    if system.getresuid() != uids or system.getresgid() != gids or set(system.getgroups()) - set(gids):
        ids = (system.getresuid(), system.getresgid(), system.getgroups())
        raise RightsError(f"the ids after the change are {ids}")
    if lost_uid not in uids and _allowed(system.setresuid, lost_uid):
        raise RightsError(f"user {lost_uid} could be had again after it was given up")
    if lost_gid not in gids and _allowed(system.setresgid, lost_gid):
        raise RightsError(f"group {lost_gid} could be had again after it was given up")


def _allowed(change: Callable[[int, int, int], None], wanted: int) -> bool:
    try:
        change(wanted, wanted, wanted)
    except PermissionError:
        return False
    return True


def forbid_new_rights() -> None:
    """No program started from here on can gain rights (set-uid, file capabilities)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise RightsError(f"prctl: {os.strerror(ctypes.get_errno())}")
