"""What kind of content a body is by its first octets, as Go's ``http.DetectContentType`` tells (WHATWG MIME Sniffing).

It knows nothing of names, and takes what looks like text for text: use it only where somebody asked for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

#: So many octets are looked at.
LOOKED_AT = 512

_TEXT = b"text/plain; charset=utf-8"
#: WHATWG section 7.1.
_TAGS = b"!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|BODY|BR|P|!--"
_html = re.compile(rb"[\t\n\x0c\r ]*<(?:%s)[ >]" % _TAGS, re.IGNORECASE).match
_xml = re.compile(rb"[\t\n\x0c\r ]*<\?xml").match
_binary = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]").search


def _compiled(*signatures: tuple[bytes, bytes]) -> tuple[tuple[Callable[[bytes], object], bytes], ...]:
    return tuple((re.compile(pattern, re.DOTALL).match, kind) for pattern, kind in signatures)


#: What bodies begin with, in this order; a dot is any octet.
_SIGNATURES = _compiled(
    (rb"%PDF-", b"application/pdf"),
    (rb"%!PS-Adobe-", b"application/postscript"),
    # Byte order marks: Go wants four octets.
    (rb"\xfe\xff..", b"text/plain; charset=utf-16be"),
    (rb"\xff\xfe..", b"text/plain; charset=utf-16le"),
    (rb"\xef\xbb\xbf.", _TEXT),
    (rb"\x00\x00[\x01\x02]\x00", b"image/x-icon"),
    (rb"BM", b"image/bmp"),
    (rb"GIF8[79]a", b"image/gif"),
    (rb"RIFF....WEBPVP", b"image/webp"),
    (rb"\x89PNG\r\n\x1a\n", b"image/png"),
    (rb"\xff\xd8\xff", b"image/jpeg"),
    (rb"FORM....AIFF", b"audio/aiff"),
    (rb"ID3", b"audio/mpeg"),
    (rb"OggS\x00", b"application/ogg"),
    (rb"MThd\x00\x00\x00\x06", b"audio/midi"),
    (rb"RIFF....AVI ", b"video/avi"),
    (rb"RIFF....WAVE", b"audio/wave"),
)
_LATER_SIGNATURES = _compiled(
    (rb"\x1a\x45\xdf\xa3", b"video/webm"),
    (rb".{34}LP", b"application/vnd.ms-fontobject"),
    (rb"\x00\x01\x00\x00", b"font/ttf"),
    (rb"OTTO", b"font/otf"),
    (rb"ttcf", b"font/collection"),
    (rb"wOFF", b"font/woff"),
    (rb"wOF2", b"font/woff2"),
    (rb"\x1f\x8b\x08", b"application/x-gzip"),
    (rb"PK\x03\x04", b"application/zip"),
    (rb"Rar!\x1a\x07(?:\x00|\x01\x00)", b"application/x-rar-compressed"),
    (rb"\x00asm", b"application/wasm"),
)


def content_type_of(body: bytes) -> bytes:
    """The Content-Type of a body that begins so."""
    start = body[:LOOKED_AT]
    if _html(start):
        return b"text/html; charset=utf-8"
    if _xml(start):
        return b"text/xml; charset=utf-8"
    for matches, kind in _SIGNATURES:
        if matches(start):
            return kind
    if _is_mp4(start):
        return b"video/mp4"
    for matches, kind in _LATER_SIGNATURES:
        if matches(start):
            return kind
    return b"application/octet-stream" if _binary(start) else _TEXT


def _is_mp4(start: bytes) -> bool:
    """WHATWG 6.2.1: the first box lists the brands that the file goes by."""
    size = int.from_bytes(start[:4], "big")
    if len(start) < 12 or len(start) < size or size % 4 or start[4:8] != b"ftyp":
        return False
    # At 12 is the version of the first brand.
    return any(start[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)
