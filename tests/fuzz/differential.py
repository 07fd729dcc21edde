"""Our reader beside h11 and llhttp (httptools): ``differential.py [COUNT] [SEED]``.

Inputs are made from the rows of the case tables by mutation. We may refuse what others accept: that is what strictness
is, and each such reason is counted. What must not be: that we accept what another refuses (but for limits of theirs,
listed here), or that we take from the same octets other requests than they: another method, target, field, body or end.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import h11
import httptools
import seeds
from readers import Requests, read_requests

from dynbalancer.core.targets import split_target
from dynbalancer.errors import RequestError


@dataclass
class Message:
    """One request as somebody read it."""

    method: bytes
    target: bytes
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    complete: bool = False


@dataclass
class Reading:
    """What somebody made of the octets: the requests, and why no more of them (empty: no more octets)."""

    messages: list[Message]
    refusal: str = ""


class _Callbacks:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def on_message_begin(self) -> None:
        self.messages.append(Message(b"", b""))

    def on_url(self, url: bytes) -> None:
        self.messages[-1].target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.messages[-1].body:
            self.messages[-1].fields.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.messages[-1].method = self.parser.get_method()

    def on_body(self, body: bytes) -> None:
        self.messages[-1].body += body

    def on_message_complete(self) -> None:
        self.messages[-1].complete = True

    parser: httptools.HttpRequestParser


def by_llhttp(data: bytes) -> Reading:
    """As Node.js and uvicorn read it."""
    callbacks = _Callbacks()
    callbacks.parser = parser = httptools.HttpRequestParser(callbacks)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        return Reading([one for one in callbacks.messages if one.method], "upgrade")
    except httptools.HttpParserError as error:
        return Reading([one for one in callbacks.messages if one.method], str(error) or "refused")
    return Reading([one for one in callbacks.messages if one.method])


def by_h11(data: bytes) -> Reading:
    """As httpx and hypercorn read it."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(data)
    messages: list[Message] = []
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                messages.append(
                    Message(event.method, event.target, [(bytes(n), bytes(v)) for n, v in event.headers])
                )
            elif isinstance(event, h11.Data):
                messages[-1].body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                messages[-1].complete = True
                connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                connection.send(h11.EndOfMessage())
                if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                    return Reading(messages, "close")
                connection.start_next_cycle()
            else:
                return Reading(messages, "" if event is h11.NEED_DATA else "paused")
    except h11.RemoteProtocolError as error:
        return Reading(messages, str(error))
    except h11.LocalProtocolError as error:
        # It had to answer an upgrade or a HEAD in its own way.
        return Reading(messages, f"local: {error}")


def by_us(data: bytes) -> tuple[Requests, str]:
    """As we read it, and the reason of our refusal."""
    reasons: list[str] = []
    refused = Requests.refused

    def noting(self: Requests, error: RequestError) -> None:
        reasons.append(error.reason)
        refused(self, error)

    Requests.refused = noting  # type: ignore[method-assign]
    try:
        return read_requests(data), reasons[0] if reasons else ""
    finally:
        Requests.refused = refused  # type: ignore[method-assign]


#: Why llhttp or h11 refuse what we accept, where that is their limit and not the message's fault.
THEIRS = {
    "Invalid method encountered": "llhttp knows a list of methods, we take any token",
    "Expected HTTP/, RTSP/ or ICE/": "llhttp knows a list of methods, we take any token",
    "Expected space after method": "llhttp knows a list of methods, we take any token",
    "no request line received": "h11 forgives no empty line before a request",
    "Data after `Connection: close`": "llhttp takes Proxy-Connection for Connection",
    "Request has invalid `Transfer-Encoding`": "llhttp trims no tab after a value",
    "refused: close": "h11 keeps no HTTP/1.0 connection",
    "upgrade": "llhttp stops at Upgrade, we go on as HTTP until a server agrees",
    "local: ": "h11 has to agree to an upgrade before it goes on",
    "paused": "h11 stops at Upgrade",
}

#: The same, where there were trailers.
THEIRS_OF_TRAILERS = {
    "Content-Length can't be present": "llhttp takes a trailer for a field",
    "Invalid `Transfer-Encoding` header value": "llhttp takes a trailer for a field",
    "Invalid character in Content-Length": "llhttp takes a trailer for a field",
    "Content-Length": "h11 and llhttp look into trailers, we drop these",
    "Transfer-Encoding": "h11 and llhttp look into trailers, we drop these",
}

PIECES = (
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"\x00",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"0",
    b"5",
    b"a",
    b"\r\n\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 0\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: a.test\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive\r\n",
    b"Expect: 100-continue\r\n",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n",
    b"GET / HTTP/1.1\r\n",
    b"POST /x HTTP/1.1\r\n",
    b"HTTP/1.0",
    b"chunked",
    b"identity",
    b'"',
    b"\\",
    b"%2e",
    b"/../",
    b"//",
)


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """So many: each row as it is, then mutations of rows, and of two rows behind one another."""
    chance = random.Random(seed)
    rows = [row for row in seeds.requests() if len(row) < 2000]
    good = [row for row in seeds.requests(good=True) if len(row) < 2000]
    yield from rows[:count]
    for _ in range(count - len(rows)):
        data = chance.choice(good if chance.random() < 0.8 else rows)
        if chance.random() < 0.3:
            data += chance.choice(rows)
        for _ in range(chance.choice((1, 1, 1, 1, 1, 2, 2, 3))):
            at = chance.randrange(len(data) + 1)
            kind = chance.randrange(5)
            end = at + chance.choice((1, 1, 2, 5))
            if kind == 0:
                data = data[:at] + chance.choice(PIECES) + data[at:]
            elif kind == 1:
                data = data[:at] + data[end:]
            elif kind == 2:
                data = data[:at] + bytes((chance.randrange(256),)) + data[at + 1 :]
            elif kind == 3:
                data = data[:at] + data[at:end] * 2 + data[end:]
            else:
                lines = data.split(b"\r\n")
                chance.shuffle(lines) if chance.random() < 0.1 else lines.insert(
                    chance.randrange(len(lines) + 1), chance.choice(lines)
                )
                data = b"\r\n".join(lines)
        yield data


def difference(ours: Requests, number: int, other: Message, *, stopped: bool) -> str:
    """How their request differs from ours with the same number; empty where it doesn't. They may have stopped there."""
    head, body = ours.heads[number], ours.bodies[number]
    if head.method != other.method:
        return f"method {head.method!r} {other.method!r}"
    if other.target.startswith(b"/") and (head.path, head.query) != split_target(other.target):
        return f"target {head.target!r} {other.target!r}"
    theirs = [(name, value.strip(b" \t")) for name, value in other.fields]
    for name, value in head.headers:
        if (name.lower(), value) not in theirs and name.lower() not in (b"te", b"connection", b"trailer"):
            return f"field {name!r}: {value!r}, not in {theirs!r}"
    if other.complete and not stopped and body != other.body:
        return f"body {body!r} {other.body!r}"
    return ""


def compare(data: bytes, ours: Requests, theirs: Reading) -> str:
    """A disagreement that is not explained, or empty."""
    accepted = [verdict for verdict in ours.verdicts if verdict == "200"]
    for number in range(len(accepted)):
        if number >= len(theirs.messages):
            return f"refused: {theirs.refusal or 'nothing there'}"
        stopped = theirs.refusal == "upgrade" and number + 1 == len(theirs.messages)
        unlike = difference(ours, number, theirs.messages[number], stopped=stopped)
        if unlike:
            return unlike
    return ""


def explanation(text: str, ours: Requests) -> str:
    """Why that is their limit; empty where it isn't."""
    if not text.startswith("refused"):
        return ""
    known = THEIRS | THEIRS_OF_TRAILERS if ours.trailers else THEIRS
    return next((meaning for key, meaning in known.items() if key in text), "")


def main(count: int = 100_000, seed: int = 1) -> int:
    """Compare, and print what was found. How many disagreements are not explained."""
    reasons: Counter[str] = Counter()
    explained: Counter[str] = Counter()
    unexplained: list[tuple[bytes, str, str]] = []
    for data in inputs(count, seed):
        ours, reason = by_us(data)
        reasons[reason or "(accepted)"] += 1
        found = {
            name: compare(data, ours, read(data)) for name, read in (("llhttp", by_llhttp), ("h11", by_h11))
        }
        for name, text in found.items():
            why = explanation(text, ours)
            if why:
                explained[why] += 1
            elif text:
                unexplained.append((data, name, text))
    lines = [f"{count} inputs from seed {seed}; refused by us, by reason:"]
    lines += [f"  {number:8} {reason}" for reason, number in reasons.most_common()]
    lines += ["accepted by us and one of them, refused by the other:"]
    lines += [f"  {number:8} {reason}" for reason, number in explained.most_common()]
    lines += [f"unexplained: {len(unexplained)}"]
    lines += [f"  {name}: {text}\n    {data!r}" for data, name, text in unexplained[:20]]
    sys.stdout.write("\n".join(lines) + "\n")
    return len(unexplained)


if __name__ == "__main__":
    sys.exit(1 if main(*map(int, sys.argv[1:])) else 0)
