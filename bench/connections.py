"""What idle keep-alive connections take: memory for each of 10,000, plain and TLS. ``python -m bench connections``."""

from __future__ import annotations

import resource
import select
import socket
import ssl
import sys
import time
from collections.abc import Sequence

from bench import machine, report, turns
from bench.load import host
from bench.processes import BenchError, Program, memory
from bench.proxies import Place, origin

HEADING = "Idle connections"
CONNECTIONS = 10_000
#: How long the proxies may settle before their memory is looked at, in seconds.
SETTLE = 3.0


#: Of the descriptors that it may have, ours keeps one of five for servers; this many more are for everything else.
SPARE = 500


def affordable(wanted: int) -> int:
    """How many connections the limit of open files lets each of the processes have, at most those ``wanted``."""
    try:
        machine.allow_files(wanted * 5 // 4 + SPARE)
    except BenchError:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        machine.allow_files(hard)
        return min(wanted, (hard - SPARE) * 4 // 5)
    return wanted


def measuring(connections: int) -> turns.Measure:
    """Kibibytes that the processes of the proxy grew by, for each connection that has had one answer."""
    context = ssl._create_unverified_context()

    def measure(program: Program, place: Place) -> dict[str, float]:
        asking = b"GET /100 HTTP/1.1\r\nHost: %b\r\n\r\n" % host(0).encode()
        warm = [_asked(place, asking, context) for _ in range(50)]
        before, opened = _size(program), []
        try:
            for _ in range(connections):
                opened.append(_asked(place, asking, context))
            time.sleep(SETTLE)
            grown = _size(program) - before
            ended = _ended(opened)
            if ended:
                raise BenchError(
                    f"{ended} of {connections} connections were closed while the others were opened"
                )
        except OSError as error:
            raise BenchError(f"connection {len(opened) + 1}: {error}") from None
        finally:
            for connection in [*warm, *opened]:
                connection.close()
        return {"KiB for each": grown / connections}

    return measure


def _asked(place: Place, asking: bytes, context: ssl.SSLContext) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", place.port), timeout=10)
    if place.scheme == "https":
        connection = context.wrap_socket(connection, server_hostname=host(0))
    connection.sendall(asking)
    answer = connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise BenchError(f"it answered {answer[:60]!r}")
    return connection


def _ended(opened: Sequence[socket.socket]) -> int:
    """How many of these have been closed by the other side: nothing else is to be read of them."""
    looking = select.poll()
    for connection in opened:
        looking.register(connection, select.POLLIN | select.POLLRDHUP)
    return sum(
        bool(events & (select.POLLRDHUP | select.POLLHUP | select.POLLERR)) for _, events in looking.poll(0)
    )


def _size(program: Program) -> float:
    return float(sum(memory(pid).rss for pid in program.pids))


def main(argv: Sequence[str] | None = None) -> int:
    """Ours and nginx, plain and encrypted. Each is started anew: memory that was used once is not given back."""
    parser = turns.parser("connections", __doc__, rounds=1)
    parser.add_argument("--connections", type=int, default=CONNECTIONS, help="[%(default)s]")
    wanted = parser.parse_args(argv)
    busy = machine.warn_if_busy()
    connections = affordable(wanted.connections)
    names = wanted.proxies or ["nginx", "dynbalancer"]
    parts, wrong = [], False
    with turns.prepared(("openssl",)) as (directory, cores), origin(directory, cores[1]) as behind:
        for title, variant in (("Plain", ""), ("TLS", "tls")):
            print(title)
            found = turns.in_turns(
                turns.chosen(names),
                directory,
                behind,
                cores[0],
                variant,
                wanted.rounds,
                measuring(connections),
            )
            rows = turns.table(found, ("KiB for each",), "KiB for each")
            print(report.aligned(rows))
            parts.append((title, "\n\n".join(filter(None, (report.markdown(rows), turns.remarks(found))))))
            wrong = wrong or any(measured.remarks for measured in found)
    intro = f"{connections:,} connections to one worker, each of which had one answer of 100 bytes."
    if connections < wanted.connections:
        intro = f"{intro} The limit of open files did not admit {wanted.connections:,} (`ulimit -Hn`)."
    if wanted.connections < CONNECTIONS:
        intro = f"{intro} {report.TRIAL}"
    turns.write(wanted, HEADING, busy, intro, parts, 1)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
