"""Why an engine can't be read, in a sentence its user can act on."""

from __future__ import annotations

import grp
import http.client
import os
import pwd
import socket
import ssl
import stat
from collections.abc import Callable, Iterator
from json import JSONDecodeError
from urllib.parse import urlsplit

import requests.exceptions
import urllib3.exceptions

from dynbalancer.errors import DynbalancerError


class EngineError(DynbalancerError):
    """An engine that can't be reached or understood; ``status`` is its HTTP answer, if that is an error."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def engine_error(error: BaseException, address: str) -> EngineError:
    """The same failure in our words."""
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, EngineError):
            return cause
    for kinds, sentence in _SENTENCES:
        for cause in chain:
            if isinstance(cause, kinds):
                return EngineError(sentence(cause, address))
    said = f"{type(error).__name__}: {str(error)[:300]}"
    return EngineError(f"the Docker engine at {address} can't be read: {said}")


def refused(status: int, path: str, message: str, address: str) -> EngineError:
    """An answer that is an error."""
    said = f": {message[:300]}" if message else ""
    if status in (401, 403):
        return EngineError(
            f"{address} refuses GET {path} ({status}{said}); a socket proxy has to allow this request",
            status,
        )
    return EngineError(f"the Docker engine at {address} answers GET {path} with {status}{said}", status)


def rubbish(address: str, what: str) -> EngineError:
    """It answers, but this is no Docker engine, or not all of one."""
    return EngineError(f"what answers at {address} is not a Docker engine: {what}; check the endpoint")


def shown(address: str) -> str:
    """An address without the password in it."""
    parts = urlsplit(address)
    if not parts.password:
        return address
    return address.replace(f":{parts.password}@", ":…@", 1)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and all that led to it: libraries put the real one into cause, context or an argument."""
    waiting, met = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in met:
            continue
        met.add(id(one))
        yield one
        waiting += [one.__cause__, one.__context__, *one.args, getattr(one, "reason", None)]


def _untrusted(cause: BaseException, address: str) -> str:
    why = getattr(cause, "reason", None) or cause
    return f"no TLS connection to {address}: {why}; check DOCKER_CERT_PATH and DOCKER_TLS_VERIFY"


def _unknown_host(cause: BaseException, address: str) -> str:
    return f"the host name in {address} is not known; check the endpoint"


def _missing(cause: BaseException, address: str) -> str:
    path = _path(address)
    return f"there is no {path}: is Docker running? In a container, mount it: -v {path}:{path}:ro"


def _not_listening(cause: BaseException, address: str) -> str:
    path = _path(address)
    try:
        is_file = path != address and not stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        is_file = False
    return (
        f"{path} is not a socket; check the endpoint"
        if is_file
        else f"nothing listens at {path}: is Docker running?"
    )


def _silent(cause: BaseException, address: str) -> str:
    return f"the Docker engine at {address} does not answer"


def _broken(cause: BaseException, address: str) -> str:
    return f"the Docker engine at {address} closed the connection"


def _not_an_engine(cause: BaseException, address: str) -> str:
    return rubbish(address, f"{type(cause).__name__}: {str(cause)[:200]}").reason


def _path(address: str) -> str:
    return address.removeprefix("unix://")


def _denied(cause: BaseException, address: str) -> str:
    """Who we are, who may, and what to do about it."""
    path = _path(address)
    start = f"no permission to open {path}"
    try:
        owner = os.stat(path)
    except OSError:
        return f"{start} as {_user()}"
    group = _group(owner.st_gid)
    return (
        f"{start} as {_user()}: it is for group {group}; "
        f"add the user to that group (usermod -aG), or start the container with --group-add {owner.st_gid}"
    )


def _user() -> str:
    uid = os.geteuid()
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _group(gid: int) -> str:
    try:
        return f"{grp.getgrgid(gid).gr_name} (gid {gid})"
    except KeyError:
        return f"gid {gid}"


#: Surest first: what the system says of a socket outweighs how a library wraps it.
_SENTENCES: tuple[tuple[tuple[type[BaseException], ...], Callable[[BaseException, str], str]], ...] = (
    ((ssl.SSLError,), _untrusted),
    ((socket.gaierror,), _unknown_host),
    ((PermissionError,), _denied),
    ((FileNotFoundError,), _missing),
    ((ConnectionRefusedError, NotADirectoryError), _not_listening),
    ((TimeoutError, urllib3.exceptions.ReadTimeoutError), _silent),
    ((urllib3.exceptions.IncompleteRead, ConnectionError), _broken),
    (
        (
            JSONDecodeError,
            RecursionError,
            UnicodeError,
            KeyError,
            http.client.HTTPException,
            urllib3.exceptions.HTTPError,
            requests.exceptions.RequestException,
        ),
        _not_an_engine,
    ),
)
