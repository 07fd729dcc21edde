"""What must hold of any input whatever: functions that take octets and raise when it doesn't."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from dynbalancer.core.chunks import ChunkDecoder, ChunkError
from dynbalancer.core.exchange import Exchange, RequestHead
from dynbalancer.core.http1 import parse_request_head, write_request_head
from dynbalancer.core.labels.containers import Container, Defaults
from dynbalancer.core.labels.reader import configuration_of
from dynbalancer.core.rules.parser import parse
from dynbalancer.core.settings import Limits
from dynbalancer.errors import ConfigurationError, RequestError
from dynbalancer.testing import exchange

sys.path.insert(0, str(Path(__file__).parents[1] / "conformance"))
from readers import read_requests, read_response

LIMITS = Limits()
REFUSALS = frozenset((400, 405, 414, 417, 431, 501, 505))
EXCHANGES: tuple[Exchange, ...] = (
    exchange(),
    exchange(b"POST", b"/a/b", b"b.example", query=b"c=d", headers={b"X-A": b"1"}, scheme=b"https"),
)


def pieces(data: bytes) -> list[bytes]:
    """The same octets in pieces; the first of them decides which."""
    chance = random.Random(data[0] if data else 0)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(1, 6)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def request_head(data: bytes) -> None:
    """A head is refused with a status that we answer; or written again it says the same, and nothing else."""
    try:
        head = parse_request_head(data, LIMITS)
    except RequestError as error:
        assert error.status in REFUSALS and error.reason
        return
    if not head.authority or head.path == b"*":
        return
    written = write_request_head(head)
    again = parse_request_head(written.removesuffix(b"\r\n\r\n"), LIMITS)
    assert written.endswith(b"\r\n\r\n") and written.count(b"\r\n\r\n") == 1
    assert written.count(b"\r") == written.count(b"\n") == written.count(b"\r\n")
    assert _meaning(again) == _meaning(head)
    assert write_request_head(again) == written


def _meaning(head: RequestHead) -> tuple[object, ...]:
    # Connection and what it named end with the first head.
    return head.method, head.target, head.host, head.port, head.length, list(head.headers)


def requests(data: bytes) -> None:
    """However the octets of a connection are split, the same requests come out."""
    assert read_requests(*pieces(data)).result() == read_requests(data).result()


def responses(data: bytes) -> None:
    """However the octets from a server are split, the same is made of them."""
    method = (b"GET", b"HEAD", b"POST")[len(data) % 3]
    then = "close" if len(data) % 2 else "stay"
    whole = read_response(method, False, [data], then)
    split = read_response(method, False, pieces(data), then)
    assert split.verdict() == whole.verdict()
    assert split.body.startswith(whole.body)


def chunks(data: bytes) -> None:
    """However a chunked body is split, it comes to the same octets, trailers and rest, or is refused."""
    whole, split = _decoded([data]), _decoded(pieces(data))
    assert whole == split
    if whole is not None:
        assert len(whole[0]) <= len(data)


def _decoded(parts: list[bytes]) -> tuple[bytes, list[object], bytes] | None:
    decoder = ChunkDecoder(LIMITS)
    body = rest = b""
    for part in parts:
        if decoder.done:
            rest += part
            continue
        if not part:
            continue
        try:
            body += decoder.feed(part)
        except ChunkError:
            return None
    return body, list(decoder.trailers), decoder.rest + rest


def rules(data: bytes) -> None:
    """A rule is refused with a reason, or can be explained, printed and read again, meaning the same."""
    dialect = ("v1", "v2", "v3")[len(data) % 3]
    text = data.decode("utf-8", "replace")
    try:
        node = parse(text, dialect)
    except ConfigurationError as error:
        assert error.why
        return
    test, hosts = node.compile(), node.hosts()
    for one in EXCHANGES:
        # What is compiled is only asked where the index of hosts led to it.
        if hosts is None or one.head.host in hosts:
            assert (test is None or test(one)) == node.trace(one).matched
        else:
            assert not node.trace(one).matched
    node.as_dict()
    if dialect == "v3":
        assert parse(str(node)).as_dict() == node.as_dict()


def labels(data: bytes) -> None:
    """Labels never raise: what can't be used becomes a problem with a reason."""
    lines = data.decode("utf-8", "replace").split("\n")
    found: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition("=")
        found[key if key.startswith("traefik") else f"traefik.{key}"] = value
    container = Container("0" * 64, "web-1", labels=found, networks={"bridge": "192.0.2.9"}, ports=(80,))
    configuration = configuration_of([container], Defaults(domain="example.com"))
    for problem in configuration.problems:
        assert problem.where and problem.why
    for router in configuration.routers.values():
        assert router.rule


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (request_head, requests, chunks, responses, rules, labels)
}
