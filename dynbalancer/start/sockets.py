"""Listening sockets, bound before anything else begins; a port that can't be had is one sentence."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable

from dynbalancer.errors import DynbalancerError

#: How many connections may wait to be accepted, where the system allows so many.
BACKLOG = 4096

Make = Callable[..., socket.socket]


class PortError(DynbalancerError):
    """A port can't be listened on; the text says why, and which flag chooses another."""


def open_listening(host: str, port: int, flag: str, make: Make = socket.socket) -> socket.socket:
    """A bound, listening, non-blocking socket. ``host`` empty: every address, IPv6 and IPv4. Raises PortError."""
    return _opened(host, port, flag, make, socket.SOCK_STREAM)


def open_datagrams(host: str, port: int, flag: str, make: Make = socket.socket) -> socket.socket:
    """The same for datagrams, which are not listened for."""
    return _opened(host, port, flag, make, socket.SOCK_DGRAM)


def _opened(host: str, port: int, flag: str, make: Make, kind: int) -> socket.socket:
    try:
        return _on_every_address(port, make, kind) if not host else _on(host, port, make, kind)
    except OSError as error:
        raise PortError(_sentence(error, host, port, flag, kind)) from None


def _on_every_address(port: int, make: Make, kind: int) -> socket.socket:
    try:
        sock = make(socket.AF_INET6, kind)
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return _listening(make(socket.AF_INET, kind), ("0.0.0.0", port), kind)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        return _listening(sock, ("::", port), kind)
    except OSError as error:
        # IPv6 is compiled in but switched off (a container's sysctl).
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        return _listening(make(socket.AF_INET, kind), ("0.0.0.0", port), kind)


def _on(host: str, port: int, make: Make, kind: int) -> socket.socket:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    sock = make(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return _listening(sock, address, kind)


def _listening(sock: socket.socket, address: object, kind: int) -> socket.socket:
    try:
        if kind == socket.SOCK_STREAM:
            # With datagrams it would let two programs have the port.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _sentence(error: OSError, host: str, port: int, flag: str, kind: int) -> str:
    udp = "/udp" if kind == socket.SOCK_DGRAM else ""
    place = f"port {port}{udp} on {host or 'every address'}"
    other = f"{flag}={f'[{host}]' if ':' in host else host}:{8000 if port < 1024 else port + 1}{udp}"
    if isinstance(error, socket.gaierror):
        return f"{flag}: there is no host {host} ({error.strerror})"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is taken by another program; choose another with {other}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{place} is for root only here; choose a higher one with {other}"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is not an address of this machine; choose another with {flag}=:{port}"
    return f"{place} can't be listened on: {error.strerror or error}; choose another with {other}"
