"""Failures become sentences that a user can act on."""

from __future__ import annotations

import errno
import json
import os
import socket
import ssl
from pathlib import Path

import pytest
import requests.exceptions
import urllib3.exceptions

from dynbalancer_docker.reasons import EngineError, engine_error, refused, shown

SOCKET = "unix:///run/nowhere/docker.sock"


def wrapped(inner: Exception) -> Exception:
    """The way requests and urllib3 hand on what the system said."""
    return requests.exceptions.ConnectionError(urllib3.exceptions.ProtocolError("Connection aborted.", inner))


@pytest.mark.parametrize(
    "error, words",
    [
        (
            FileNotFoundError(2, "No such file"),
            "is Docker running? In a container, mount it: -v /run/nowhere",
        ),
        (ConnectionRefusedError(111, "refused"), "is Docker running?"),
        (TimeoutError("timed out"), "does not answer"),
        (ConnectionResetError(104, "reset"), "closed the connection"),
        (socket.gaierror(-2, "unknown"), "is not known"),
        (ssl.SSLCertVerificationError(1, "self signed"), "DOCKER_CERT_PATH"),
        (json.JSONDecodeError("Expecting value", "<html>", 0), "is not a Docker engine"),
        (RecursionError("too deep"), "is not a Docker engine"),
        (ValueError("something else"), "is not a Docker engine"),
    ],
)
def test_reason_says_what_to_do(error: Exception, words: str) -> None:
    assert words in engine_error(wrapped(error), SOCKET).reason


def test_unknown_failure_names_itself() -> None:
    assert "ZeroDivisionError: oops" in engine_error(ZeroDivisionError("oops"), SOCKET).reason


def test_no_permission_names_user_group_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    reason = engine_error(wrapped(PermissionError(errno.EACCES, "denied")), f"unix://{path}").reason
    assert f"uid {os.geteuid()}" in reason
    assert f"--group-add {path.stat().st_gid}" in reason
    assert "usermod -aG" in reason


def test_no_permission_where_not_even_the_owner_can_be_seen_names_the_user() -> None:
    reason = engine_error(PermissionError(errno.EACCES, "denied"), SOCKET).reason
    assert f"uid {os.geteuid()}" in reason


def test_file_that_is_no_socket_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "docker.sock"
    path.touch()
    assert "is not a socket" in engine_error(ConnectionRefusedError(), f"unix://{path}").reason


def test_reason_that_is_ours_already_stays() -> None:
    ours = EngineError("its answer has no end", None)
    outer = RuntimeError("Error while fetching server API version")
    outer.__cause__ = ours
    assert engine_error(outer, SOCKET) is ours


@pytest.mark.parametrize(
    "status, words", [(403, "socket proxy"), (500, "answers GET /events with 500: oops")]
)
def test_refusal_says_status_and_request(status: int, words: str) -> None:
    found = refused(status, "/events", "oops", SOCKET)
    assert words in found.reason
    assert found.status == status


def test_password_in_an_address_is_not_shown() -> None:
    assert "secret" not in shown("http://me:secret@engine.example.com:2375")
    assert shown(SOCKET) == SOCKET
