"""1 GiB down and up: bytes per second of CPU, and whether memory stays flat. ``python -m bench bulk``."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable, Sequence

from bench import machine, report, turns
from bench.load import host
from bench.processes import BenchError, Program, cpu_seconds, memory
from bench.proxies import Place, origin

HEADING = "Large bodies"
SIZE = 1 << 30
PIECE = bytes(1 << 18)
#: How long one transfer may take, in seconds.
PATIENCE = 120.0


def down(place: Place) -> None:
    """Fetch it. Raises BenchError where it is not all there."""
    with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE) as connection:
        connection.sendall(_head(b"GET", b"/1g", b""))
        head, body = _answer(connection)
        if b" 200 " not in head.split(b"\r\n")[0] + b" ":
            raise BenchError(f"it answered {head[:60]!r}")
        left, room = SIZE - len(body), bytearray(1 << 20)
        while left:
            size = connection.recv_into(room)
            if not size:
                raise BenchError(f"{left} bytes are missing")
            left -= size


def up(place: Place) -> None:
    """Send it. Raises BenchError where it was not taken."""
    with socket.create_connection(("127.0.0.1", place.port), timeout=PATIENCE) as connection:
        connection.sendall(_head(b"POST", b"/", b"Content-Length: %d\r\n" % SIZE))
        for _ in range(SIZE // len(PIECE)):
            connection.sendall(PIECE)
        head, _ = _answer(connection)
        if not head.startswith(b"HTTP/1.1 200 "):
            raise BenchError(f"it answered {head[:60]!r}")


def _head(method: bytes, path: bytes, more: bytes) -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%bConnection: close\r\n\r\n" % (
        method,
        path,
        host(0).encode(),
        more,
    )


def _answer(connection: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            raise BenchError("it closed without an answer")
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


class Sink(threading.Thread):
    """A server that takes whatever body comes, and answers when it is complete."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._socket.close()

    def _serve(self, connection: socket.socket) -> None:
        room = bytearray(1 << 20)
        with connection:
            while True:
                data = b""
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, body = data.partition(b"\r\n\r\n")
                left = _length(head) - len(body)
                while left > 0:
                    size = connection.recv_into(room)
                    if not size:
                        return
                    left -= size
                text = b"0123456789" * 10
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(text), text))


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def measuring(transfer: Callable[[Place], None]) -> turns.Measure:
    """Bytes per second of CPU, and by how many MiB the processes grew meanwhile."""

    def measure(program: Program, place: Place) -> dict[str, float]:
        before, cpu, largest = _size(program), cpu_seconds(program.pid), 0.0
        done = threading.Event()

        def watch() -> None:
            nonlocal largest
            while not done.wait(0.1):
                largest = max(largest, _size(program))

        watching = threading.Thread(target=watch)
        watching.start()
        try:
            transfer(place)
        except OSError as error:
            raise BenchError(str(error)) from None
        finally:
            done.set()
            watching.join()
        used = cpu_seconds(program.pid) - cpu
        return {"MB per CPU second": SIZE / used / 1e6, "grew MiB": max(0.0, largest - before)}

    return measure


def _size(program: Program) -> float:
    return sum(memory(pid).rss for pid in program.pids) / 1024


def main(argv: Sequence[str] | None = None) -> int:
    """Both ways, all proxies, in turns."""
    wanted = turns.parser("bulk", __doc__, rounds=3).parse_args(argv)
    busy = machine.warn_if_busy()
    parts = []
    with turns.prepared() as (directory, cores):
        proxies = turns.chosen(wanted.proxies)
        with origin(directory, cores[1]) as behind:
            print("1 GiB down")
            found = turns.in_turns(
                proxies, directory, behind, cores[0], "bulk", wanted.rounds, measuring(down)
            )
            parts.append(("Down", found))
        sink = Sink()
        sink.start()
        print("1 GiB up")
        found = turns.in_turns(
            proxies, directory / "up", sink.port, cores[0], "bulk", wanted.rounds, measuring(up)
        )
        sink.close()
        parts.append(("Up", found))
    tables = [
        (title, turns.table(found, ("MB per CPU second", "grew MiB"), "MB per CPU second"))
        for title, found in parts
    ]
    for title, rows in tables:
        print(f"\n{title}\n{report.aligned(rows)}")
    written = [
        (title, "\n\n".join(filter(None, (report.markdown(rows), turns.remarks(found)))))
        for (title, rows), (_, found) in zip(tables, parts, strict=True)
    ]
    intro = f"Rounds: {wanted.rounds}; medians. 1 GiB with a Content-Length, one connection."
    turns.write(wanted, HEADING, busy, intro, written, 3)
    return int(any(measured.remarks for _, found in parts for measured in found))


if __name__ == "__main__":
    sys.exit(main())
