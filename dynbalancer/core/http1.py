"""HTTP/1.1 heads: bytes to a head in normal form, and back (RFC 9112).

Strict where leniency has been an attack: only CRLF ends a line, one framing, one Host, no folding, no blank before a
colon. A head is parsed into values and written afresh; no line is copied through. Requests raise
:class:`~dynbalancer.errors.RequestError`, responses :class:`~dynbalancer.errors.BadResponse`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dynbalancer.core.exchange import CHUNKED, UNTIL_CLOSE, Field, RequestHead, ResponseHead
from dynbalancer.core.fields import (
    TOKEN,
    FieldError,
    Kind,
    ask_for_trailers,
    connection_options,
    has_stray_controls,
    is_protected,
    is_spoilt,
    read_line,
    tokens_of,
)
from dynbalancer.core.fields import lines as field_lines
from dynbalancer.core.reasons import REASONS
from dynbalancer.core.settings import Limits
from dynbalancer.core.targets import PLAIN_TARGET, read_authority, split_target
from dynbalancer.errors import BadResponse, RequestError

_VERSIONS = {b"HTTP/1.1": 11, b"HTTP/1.0": 10}
_version = re.compile(rb"HTTP/[0-9]\.[0-9]").fullmatch
_status_line = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t -\x7e\x80-\xff]*))?").fullmatch
_plain_line = re.compile(rb"(GET|HEAD|POST|PUT|DELETE|PATCH) %b HTTP/1\.([01])" % PLAIN_TARGET).fullmatch
_protocol = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:/[!#$%&'*+.^_`|~0-9A-Za-z-]+)?").fullmatch
_http_or_tls = re.compile(rb"(?:h2c?|http|tls)(?:/.*)?", re.IGNORECASE).fullmatch
_status_lines: dict[bytes, tuple[int, bytes, int]] = {}
_METHODS = {b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS"}

#: Requests whose way is counted by Max-Forwards (RFC 9110 section 7.6.2): with the same fields they are not the same.
COUNTED = frozenset((b"OPTIONS", b"TRACE"))
_ALIKE = _METHODS - COUNTED

#: As ints, since these are compared for every field of every message.
(
    _ORDINARY,
    _HOST,
    _CONTENT_LENGTH,
    _TRANSFER_ENCODING,
    _CONNECTION,
    _UPGRADE,
    _EXPECT,
    _TE,
    _TRAILER,
    _FORWARDED,
) = (int(kind) for kind in Kind if kind < Kind.DROPPED)
_KEEP_ALIVE = int(Kind.KEEP_ALIVE)
#: What most requests have beside ordinary fields; nothing has to be done about these.
_PLAIN_KINDS = frozenset((_HOST, _CONTENT_LENGTH, _TRANSFER_ENCODING, _KEEP_ALIVE))


def parse_request_head(
    block: bytes, limits: Limits, *, trusted: bool = False, scheme: bytes = b"http"
) -> RequestHead:
    """The head whose lines are ``block`` (without the empty line at its end).

    Forwarded fields are left out unless the peer is ``trusted``. Raises RequestError with 400, 405, 414, 417, 431, 501
    or 505.
    """
    lines = block.split(b"\r\n")
    try:
        return _read_request(lines, limits, trusted, scheme)
    except RequestError:
        line = block.partition(b"\r\n")[0]
        check_request_line(line, len(line), limits)
        # Whatever else is wrong as well: the same head in two pieces is refused for its control character.
        if has_stray_controls(block, block.count(b"\r\n") + 1):
            raise _control_character() from None
        raise


def check_request_line(data: bytes, end: int, limits: Limits) -> None:
    """Raises RequestError as soon as ``data`` can't begin with a request line: who speaks something else hears so.

    The line ends at ``end``, or is not all there where that is negative. The fault is the one that shows first when
    the line comes octet by octet.
    """
    line = data if end < 0 else data[:end]
    cut = limits.request_line + 2
    nameless = len(line) > limits.method + (end < 0) and line.find(b" ", 0, limits.method + 1) < 0
    if nameless:
        cut = limits.method + 1
    is_cut = len(line) >= cut
    spoilt = is_spoilt(line[:cut]) if is_cut else end >= 0 and has_stray_controls(line, 1)
    if spoilt:
        raise _control_character()
    if nameless:
        raise RequestError(400, "bad-method", "no blank after the method")
    if end >= 0 or is_cut:
        _request_line(line, limits)


def _control_character() -> RequestError:
    return RequestError(400, "control-character", "control character, or bare CR or LF, in the head")


def parse_like(line: bytes, like: RequestHead, limits: Limits, host: bytes | None) -> RequestHead | None:
    """The head with this request line, and with the very fields that ``like`` was parsed from, but for a ``host``.

    None where line or host is anything but plain: then the whole head has to be looked at.
    """
    if len(line) > limits.request_line:
        return None
    plain = _plain_line(line)
    if plain is not None:
        # One look for all of it: half of what the steps below cost.
        method, path, query, minor = plain.groups()
        head = like.but(method, path, query) if (minor == b"1") is (like.version == 11) else None
    else:
        head = _normalised(line, like, limits)
    if host is not None and head is not None:
        try:
            head.host, head.port, head.authority = read_authority(host)
        except RequestError:
            return None
    return head


def _normalised(line: bytes, like: RequestHead, limits: Limits) -> RequestHead | None:
    """The same for a target that has to be brought to normal form."""
    parts = line.split(b" ")
    if len(parts) != 3:
        return None
    method, target, protocol = parts
    if method not in _ALIKE or _VERSIONS.get(protocol) != like.version or not target.startswith(b"/"):
        return None
    try:
        path, query = split_target(target, limits)
    except RequestError:
        return None
    return like.but(method, path, query)


def _read_request(lines: list[bytes], limits: Limits, trusted: bool, scheme: bytes) -> RequestHead:
    method, target, version = _request_line(lines[0], limits)
    if len(lines) > limits.fields + 1:
        raise RequestError(431, "too-many-fields")
    head = RequestHead(method)
    head.version = version
    head.scheme = scheme
    special: dict[int, list[bytes]] = {}
    fields = head.headers.fields
    remembered = field_lines.get
    del lines[0]
    for line in lines:
        kind, field = remembered(line) or _read_line(line, limits)
        if kind == _ORDINARY or (kind == _FORWARDED and trusted):
            fields.append(field)
        elif kind <= _TRAILER or kind == _KEEP_ALIVE:
            special.setdefault(kind, []).append(field[1])
    if _CONTENT_LENGTH in special or _TRANSFER_ENCODING in special:
        head.length = _request_length(special, version)
    if version == 10 or not _PLAIN_KINDS.issuperset(special):
        _apply_special(head, special)
    _set_target(head, target, special.get(_HOST), limits)
    if method in COUNTED:
        _count_hop(head)
    return head


def _read_line(line: bytes, limits: Limits) -> tuple[int, Field]:
    try:
        return read_line(line, limits.field_name)
    except FieldError as error:
        status = 431 if "long" in str(error) else 400
        raise RequestError(status, "bad-field", str(error)) from None


def _request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, int]:
    if len(line) > limits.request_line:
        raise RequestError(414, "request-line-too-long")
    parts = line.split(b" ", 3)
    if len(parts) != 3:
        raise RequestError(400, "bad-request-line", "not a method, a target and a version")
    method, target, protocol = parts
    if method not in _METHODS and (
        not method or len(method) > limits.method or method.translate(None, TOKEN)
    ):
        raise RequestError(400, "bad-method")
    version = _VERSIONS.get(protocol)
    if version is None:
        if _version(protocol) and method != b"PRI":
            raise RequestError(505, "bad-version", "only HTTP/1.0 and HTTP/1.1 are spoken here")
        raise RequestError(400, "bad-version")
    return method, target, version


def _request_length(special: dict[int, list[bytes]], version: int) -> int:
    lengths, codings = special.get(_CONTENT_LENGTH), special.get(_TRANSFER_ENCODING)
    if codings is not None:
        if lengths is not None:
            raise RequestError(400, "bad-framing", "Content-Length beside Transfer-Encoding")
        if len(codings) > 1:
            raise RequestError(400, "bad-coding", "several Transfer-Encoding fields")
        if version == 10:
            raise RequestError(400, "bad-coding", "Transfer-Encoding in HTTP/1.0")
        if codings[0].lower() != b"chunked":
            raise RequestError(_coding_status(codings[0]), "bad-coding", "only chunked is understood")
        return CHUNKED
    assert lengths is not None
    if len(lengths) > 1:
        raise RequestError(400, "bad-length", "several Content-Length fields")
    if not lengths[0].isdigit() or len(lengths[0]) > 18:
        raise RequestError(400, "bad-length", "Content-Length is not 1 to 18 digits")
    return int(lengths[0])


def _coding_status(coding: bytes) -> int:
    """501 where a coding we don't have is put under chunked, as it should be; else 400 (RFC 9112 section 6.1)."""
    codings = [part.strip(b" \t").lower() for part in coding.split(b",")]
    well_formed = all(part and not part.translate(None, TOKEN) for part in codings)
    return 501 if well_formed and codings[-1] == b"chunked" and codings.count(b"chunked") == 1 else 400


def _apply_special(head: RequestHead, special: dict[int, list[bytes]]) -> None:
    connection: tuple[bytes, ...] = ()
    if _CONNECTION in special:
        connection, named = connection_options(special[_CONNECTION])
        if named:
            head.headers.remove(*named)
    if head.version == 10:
        asked = _KEEP_ALIVE in special or b"keep-alive" in connection
        head.keep_alive = asked and b"close" not in connection
    elif b"close" in connection:
        head.keep_alive = False
    if _UPGRADE in special and b"upgrade" in connection and head.version == 11:
        upgrade = _upgrades(special[_UPGRADE])
        if upgrade:
            if head.length:
                raise RequestError(400, "upgrade-with-body")
            head.upgrade = upgrade
    if _EXPECT in special and head.version == 11:
        if [value.lower() for value in special[_EXPECT]] != [b"100-continue"]:
            raise RequestError(417, "bad-expectation")
        head.expect_continue = bool(head.length)
    # Not with an upgrade: a tunnel has no trailers, and some servers look at the first Connection field alone.
    if _TE in special and head.upgrade is None and b"trailers" in tokens_of(special[_TE]):
        ask_for_trailers(head.headers)
    if _TRAILER in special and head.length == CHUNKED:
        head.headers.add(b"Trailer", b", ".join(special[_TRAILER]))


def _upgrades(values: list[bytes]) -> bytes:
    """Those of the protocols asked for that may be asked for behind us.

    Not another HTTP, nor TLS: what goes through a tunnel then would be requests that nobody looked at.
    """
    protocols = [part.strip(b" \t") for value in values for part in value.split(b",")]
    if not all(map(_protocol, protocols)):
        raise RequestError(400, "bad-upgrade", "Upgrade is no list of protocols")
    return b", ".join([protocol for protocol in protocols if not _http_or_tls(protocol)])


def _set_target(head: RequestHead, target: bytes, hosts: list[bytes] | None, limits: Limits) -> None:
    if hosts is None:
        if head.version == 11:
            raise RequestError(400, "no-host", "Host is missing")
    elif len(hosts) > 1:
        raise RequestError(400, "bad-host", "several Host fields")
    else:
        head.host, head.port, head.authority = read_authority(hosts[0])
    if head.method == b"CONNECT":
        raise _refused_connect(head, target)
    if target.startswith(b"/"):
        head.path, head.query = split_target(target, limits)
    elif target == b"*" and head.method == b"OPTIONS":
        head.path = b"*"
        head.final = True
    else:
        _set_absolute(head, target, limits)


def _count_hop(head: RequestHead) -> None:
    """One hop less for those behind us; none left: it ends here. What is no number says nothing."""
    allowed = head.headers.get(b"max-forwards")
    if allowed is None or not allowed.isdigit() or len(allowed) > 18:
        return
    if int(allowed):
        head.headers.set(b"Max-Forwards", b"%d" % (int(allowed) - 1))
    else:
        head.final = True


def _refused_connect(head: RequestHead, target: bytes) -> RequestError:
    """A gateway opens no tunnels; and RFC 9110 section 9.3.6 has a port in the target, and one that there is."""
    if target.startswith(b"/") or not read_authority(target)[1]:
        return RequestError(400, "bad-target", "CONNECT wants host and port")
    return RequestError(405, "connect", "CONNECT is not for a gateway")


def _set_absolute(head: RequestHead, target: bytes, limits: Limits) -> None:
    """RFC 9112 section 3.2.2: the absolute form is accepted; what it says must be what Host says."""
    scheme, mark, rest = target.partition(b"://")
    if not mark or scheme.lower() != head.scheme:
        raise RequestError(400, "bad-target", "not a path, and not a URL of this scheme")
    end = next((i for i, octet in enumerate(rest) if octet in b"/?#"), len(rest))
    authority, tail = rest[:end], rest[end:]
    host, port, authority = read_authority(authority)
    default = 443 if head.scheme == b"https" else 80
    if head.authority and (host, port or default) != (head.host, head.port or default):
        raise RequestError(400, "host-mismatch", "the target names another host than Host does")
    head.authority, head.host, head.port = authority, host, port
    head.path, head.query = split_target(tail if tail.startswith(b"/") else b"/" + tail, limits)


def parse_response_head(
    block: bytes, limits: Limits, *, method: bytes, upgrade: bytes | None = None
) -> ResponseHead:
    """The response head whose lines are ``block``; ``method`` is that of the request it answers.

    ``keep_alive`` is true only where the connection may serve another request after it. A 101 is accepted only
    for a protocol of ``upgrade``, the ones asked for. Raises BadResponse.
    """
    lines = block.split(b"\r\n")
    if len(lines) > limits.response_fields + 1:
        raise BadResponse("too many fields")
    status, reason, version = _status_lines.get(lines[0]) or _read_status_line(lines[0])
    head = ResponseHead(status, reason)
    if version == 10:
        head.version = 10
        head.keep_alive = False
    lengths: list[bytes] = []
    codings: list[bytes] = []
    special: dict[int, list[bytes]] | None = None
    fields = head.headers.fields
    remembered = field_lines.get
    del lines[0]
    for line in lines:
        found = remembered(line)
        if found is None:
            try:
                found = read_line(line, limits.field_name)
            except FieldError as error:
                raise BadResponse(str(error)) from None
        kind, field = found
        if kind == _ORDINARY or kind == _FORWARDED:  # noqa: SIM109 (no tuple per field)
            fields.append(field)
        elif kind == _CONTENT_LENGTH:
            lengths.append(field[1])
        elif kind == _TRANSFER_ENCODING:
            codings.append(field[1])
        elif kind <= _TRAILER:
            special = special or {}
            special.setdefault(kind, []).append(field[1])
    _frame_response(head, lengths, codings, method)
    if special is not None or status == 101:
        _apply_response_special(head, special or {}, upgrade)
    return head


def _read_status_line(line: bytes) -> tuple[int, bytes, int]:
    match = _status_line(line)
    if match is None:
        raise BadResponse("not an HTTP/1 status line")
    found = (int(match.group(2)), match.group(3) or b"", 11 if match.group(1) == b"1" else 10)
    if len(_status_lines) < 256 and len(line) < 64:
        _status_lines[line] = found
    return found


def _frame_response(head: ResponseHead, lengths: list[bytes], codings: list[bytes], method: bytes) -> None:
    """RFC 9112 section 6.3, without its leniencies. A bodiless answer keeps the length it announced, where it may."""
    length = None
    if lengths:
        first = lengths[0]
        if not first.isdigit() or len(first) > 18 or lengths.count(first) != len(lengths):
            raise BadResponse("bad Content-Length")
        length = int(first)
    if codings:
        if len(codings) > 1 or codings[0].lower() != b"chunked" or head.version == 10:
            raise BadResponse("bad Transfer-Encoding")
        # RFC 9112 section 6.1: with both, the coding wins and the connection is not to be trusted any further.
        head.keep_alive = not lengths
        length = CHUNKED
    status = head.status
    if status < 200 or status == 204:
        head.length = None
        if length:
            # The body that must not be there may still come, and would be taken for the next answer.
            head.keep_alive = False
    elif method == b"HEAD" or status == 304:
        head.length = None
        if length is not None and length >= 0:
            head.headers.add(b"Content-Length", lengths[0])
    else:
        head.length = UNTIL_CLOSE if length is None else length
        if length is None:
            head.keep_alive = False


def _apply_response_special(
    head: ResponseHead, special: dict[int, list[bytes]], upgrade: bytes | None
) -> None:
    if _CONNECTION in special:
        connection, named = connection_options(special[_CONNECTION])
        if named:
            head.headers.remove(*named)
        if b"close" in connection:
            head.keep_alive = False
    if head.status == 101:
        if head.version == 10:
            raise BadResponse("101 in HTTP/1.0, which has no upgrades")
        switched = tokens_of(special.get(_UPGRADE, []))
        if not upgrade or not switched or not set(switched).issubset(tokens_of([upgrade])):
            raise BadResponse("101 without being asked for it")
        head.headers.add(b"Upgrade", b", ".join(special[_UPGRADE]))
    if _TRAILER in special and head.length == CHUNKED:
        head.headers.add(b"Trailer", b", ".join(special[_TRAILER]))


def write_request_head(head: RequestHead, extra: bytes = b"") -> bytes:
    """The head as it goes to a server: origin form, one framing, ``extra`` lines at the end."""
    length = head.length
    if length is not None:
        framing = (
            b"Transfer-Encoding: chunked\r\n" if length == CHUNKED else b"Content-Length: %d\r\n" % length
        )
        extra = framing + extra
    fields, query, alike = head.headers.fields, head.query, head.alike
    if alike is None:
        lines = b"".join([line for _, _, line in fields])
    else:
        # To compare fields that were read from the same lines costs much less than to join theirs.
        lines = alike.lines if alike.fields == fields else alike.learn(fields)
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n%b%b\r\n" % (
        head.method,
        head.path if query is None else b"%b?%b" % (head.path, query),
        head.authority,
        lines,
        extra,
    )


def write_response_head(head: ResponseHead, extra: bytes = b"") -> bytes:
    """The head as it goes to a client. ``head.length`` must be None, CHUNKED, UNTIL_CLOSE or a length."""
    length = head.length
    if length is not None and length != UNTIL_CLOSE:
        framing = (
            b"Transfer-Encoding: chunked\r\n" if length == CHUNKED else b"Content-Length: %d\r\n" % length
        )
        extra = framing + extra
    return b"HTTP/1.1 %d %b\r\n%b%b\r\n" % (
        head.status,
        head.reason or REASONS.get(head.status, b""),
        b"".join([line for _, _, line in head.headers.fields]),
        extra,
    )


def write_trailers(fields: Iterable[Field]) -> bytes:
    """The last chunk with trailer fields."""
    return b"0\r\n%b\r\n" % b"".join([line for _, _, line in fields])


def allowed_trailers(fields: Iterable[Field]) -> list[Field]:
    """Those trailer fields that may be passed on (RFC 9110 section 6.5.1)."""
    return [field for field in fields if not is_protected(field[0])]
