"""Whether a running balancer is well, asked from outside: its API, or its first entry point where it has none."""

from __future__ import annotations

import http.client
import ssl

from dynbalancer.core.model import EntryPoint
from dynbalancer.core.settings import ApiSettings, Settings

#: Less than the three seconds that the image's health check may take in all.
PATIENCE = 2.0


def ask(settings: Settings) -> str:
    """``OK``, or a sentence that says why not."""
    # Nobody outside knows a port that the system chose.
    if settings.api is not None and settings.api.port:
        return ask_api(settings.api)
    streaming = [point for point in settings.entry_points if not point.udp]
    return ask_entry_point(streaming[0]) if streaming else "OK"


def ask_api(api: ApiSettings) -> str:
    """``OK`` where ``/ping`` says so, which it does until the process is told to end."""
    connection = http.client.HTTPConnection(reachable(api.host), api.port, timeout=PATIENCE)
    return _answer(connection, "GET", "/ping", 200)


def ask_entry_point(point: EntryPoint) -> str:
    """``OK`` where a worker answers ``OPTIONS *``, which is for the balancer itself and goes to no server."""
    host = reachable(point.host)
    if not point.tls:
        return _answer(http.client.HTTPConnection(host, point.port, timeout=PATIENCE), "OPTIONS", "*", 204)
    # Whose certificate it is says nothing about its health.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = http.client.HTTPSConnection(host, point.port, timeout=PATIENCE, context=context)
    return _answer(connection, "OPTIONS", "*", 204)


def reachable(host: str) -> str:
    """The address to ask where somebody listens on this one."""
    return {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _answer(connection: http.client.HTTPConnection, method: str, target: str, wanted: int) -> str:
    place = f"{connection.host}:{connection.port}"
    try:
        connection.request(method, target)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"{place} does not answer: {error}"
    finally:
        connection.close()
    return "OK" if status == wanted else f"{place} answers with status {status}"
