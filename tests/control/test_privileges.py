"""Who the parent and the workers become, and that nobody can go back."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from dynbalancer.control.privileges import (
    Plan,
    RightsError,
    become_parent,
    become_worker,
    engine_socket,
    group_of_socket,
    plan,
)
from dynbalancer.errors import ConfigurationError

PLAN = Plan(parent_uid=901, worker_uid=902, gid=903, socket_gid=904)


class Accounts:
    """Users and groups that there are."""

    users = {"dyn": (901, 911), "dyn-worker": (902, 912), "alone": (921, 921), "root": (0, 0)}
    groups = {"plain": 903}

    def user(self, name: str) -> tuple[int, int]:
        return self.users[name]

    def group(self, name: str) -> int:
        return self.groups[name]


class Kernel:
    """Real, effective and saved ids by the kernel's rules. ``lax``: a kernel that lets everybody do anything."""

    def __init__(self, uids: tuple[int, int, int], gids: tuple[int, int, int], *, lax: bool = False) -> None:
        self.uids = uids
        self.gids = gids
        self.groups = [0, 27]
        self.lax = lax

    @property
    def may_all(self) -> bool:
        return self.lax or self.uids[1] == 0

    def _check(self, wanted: tuple[int, int, int], had: tuple[int, int, int]) -> None:
        if not self.may_all and not set(wanted) <= set(had):
            raise PermissionError(1, "Operation not permitted")

    def setgroups(self, groups: list[int], /) -> None:
        if not self.may_all:
            raise PermissionError(1, "Operation not permitted")
        self.groups = groups

    def setresgid(self, real: int, effective: int, saved: int, /) -> None:
        self._check((real, effective, saved), self.gids)
        self.gids = (real, effective, saved)

    def setresuid(self, real: int, effective: int, saved: int, /) -> None:
        self._check((real, effective, saved), self.uids)
        self.uids = (real, effective, saved)

    def getresuid(self) -> tuple[int, int, int]:
        return self.uids

    def getresgid(self) -> tuple[int, int, int]:
        return self.gids

    def getgroups(self) -> list[int]:
        return self.groups


def root() -> Kernel:
    return Kernel((0, 0, 0), (0, 0, 0))


@pytest.mark.parametrize(
    "user, worker_user, socket_gid, expected",
    [
        ("dyn", "", 904, Plan(901, 902, 911, 904)),
        ("dyn:plain", "", 904, Plan(901, 902, 903, 904)),
        ("dyn", "alone", None, Plan(901, 921, 911, 911)),
        ("alone", "", None, Plan(921, 921, 921, 921)),
    ],
)
def test_who_to_become(user: str, worker_user: str, socket_gid: int | None, expected: Plan) -> None:
    assert plan(user, worker_user, socket_gid, Accounts(), is_root=True) == expected


def test_nothing_to_give_up_without_a_user_or_without_root() -> None:
    assert plan("", "", None, Accounts(), is_root=True) is None
    assert plan("nobody-here", "", None, Accounts(), is_root=False) is None


@pytest.mark.parametrize(
    "user, worker_user, sentence",
    [
        ("nosuch", "", "--user: there is no user nosuch"),
        ("dyn:nosuch", "", "--user: there is no group nosuch"),
        ("dyn", "nosuch", "--workeruser: there is no user nosuch"),
        ("root", "", "--user: root is root"),
        ("dyn", "root", "--workeruser: root is root"),
    ],
)
def test_a_wrong_name_is_one_sentence(user: str, worker_user: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan(user, worker_user, None, Accounts(), is_root=True)
    assert sentence in str(caught.value)


def test_the_parent_keeps_the_sockets_group_and_nothing_else() -> None:
    kernel = root()
    become_parent(PLAN, kernel)
    assert kernel.uids == (902, 901, 901)
    assert kernel.gids == (903, 904, 904)
    assert kernel.groups == []


def test_a_worker_of_that_parent_becomes_the_plain_user_for_good() -> None:
    kernel, done = root(), []
    become_parent(PLAN, kernel)
    become_worker(PLAN.worker(), kernel, lambda: done.append("no new rights"))
    assert kernel.uids == (902, 902, 902)
    assert kernel.gids == (903, 903, 903)
    assert done == ["no new rights"]
    with pytest.raises(PermissionError):
        kernel.setresgid(-1 & 0xFFFF, 904, 904)


def test_without_a_plan_a_worker_stays_who_it_is_but_gains_nothing_new() -> None:
    kernel, done = Kernel((7, 7, 7), (7, 7, 7)), []
    become_worker({}, kernel, lambda: done.append("no new rights"))
    assert kernel.uids == (7, 7, 7)
    assert done == ["no new rights"]


def test_a_container_without_the_right_to_change_users_says_so() -> None:
    with pytest.raises(ConfigurationError, match="CAP_SETUID"):
        become_parent(PLAN, Kernel((5, 5, 5), (5, 5, 5)))


def test_rights_that_can_be_had_again_are_an_error() -> None:
    with pytest.raises(RightsError, match="user 0 could be had again"):
        become_parent(PLAN, Kernel((0, 0, 0), (0, 0, 0), lax=True))
    worker = Kernel((902, 901, 901), (903, 904, 904), lax=True)
    worker.groups = []
    with pytest.raises(RightsError, match="user 901 could be had again"):
        become_worker(PLAN.worker(), worker, lambda: None)


def test_supplementary_groups_that_stayed_are_an_error() -> None:
    class Forgetful(Kernel):
        """Ignores setgroups."""

        def setgroups(self, groups: list[int], /) -> None:
            self.groups = [27]

    with pytest.raises(RightsError, match="27"):
        become_parent(PLAN, Forgetful((0, 0, 0), (0, 0, 0)))


@pytest.mark.parametrize(
    "providers, environ, expected",
    [
        ({}, {}, ""),
        ({"docker": {}}, {}, "/var/run/docker.sock"),
        ({"docker": {"endpoint": "unix:///run/x.sock"}}, {"DOCKER_HOST": "tcp://a"}, "/run/x.sock"),
        ({"docker": {"endpoint": ""}}, {"DOCKER_HOST": "unix:///run/y.sock"}, "/run/y.sock"),
        ({"docker": {"endpoint": "tcp://192.0.2.1:2375"}}, {}, ""),
        ({"docker": {"endpoint": "/run/z.sock"}}, {}, "/run/z.sock"),
    ],
)
def test_which_socket_the_parent_must_go_on_reading(
    providers: dict[str, dict[str, object]], environ: dict[str, str], expected: str
) -> None:
    assert engine_socket(providers, environ) == expected


def test_the_group_of_a_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        assert group_of_socket(path) == os.stat(path).st_gid
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert group_of_socket("") is None
    assert group_of_socket(str(tmp_path / "missing")) is None
    assert group_of_socket(str(tmp_path)) is None
