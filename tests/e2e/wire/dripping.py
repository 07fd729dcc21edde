"""Clients that send byte by byte."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from eventually import LONG
from hosts import Wire
from rawclient import Client, request
from rawserver import RawServer


def trickle(client: Client, data: bytes, pause: float) -> None:
    """Send byte by byte until the other side has enough."""
    client.sock.settimeout(pause)
    for octet in data:
        try:
            client.sock.sendall(bytes((octet,)))
            if client._more():
                break
        except TimeoutError:
            continue
        except OSError:
            break
    client.sock.settimeout(LONG)


@dataclass
class Dripping:
    """A client whose body comes one byte a moment: it takes long to see what becomes of it."""

    target: Wire
    server: RawServer
    begun: float = 0.0
    took: float = 0.0
    status: int = 0
    thread: threading.Thread | None = None

    def drip(self) -> None:
        """Until it is cut."""
        self.begun = time.monotonic()
        with self.target.client() as client:
            client.send(request(self.target.host, "/", "POST", "Content-Length: 1000000"))
            trickle(client, b"a" * 600, 0.1)
            self.status = client.reply().status
            self.took = time.monotonic() - self.begun
