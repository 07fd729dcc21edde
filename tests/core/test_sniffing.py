"""Kinds of content by their first octets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from dynbalancer.core.sniffing import content_type_of

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
OTHER = "application/octet-stream"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", TEXT),
        (b"Just text.\n\ttabs \x1b[1m", TEXT),
        (b"\xc3\xa9t\xc3\xa9", TEXT),
        (b'{"a": 1}', TEXT),
        (b"\x01\x02\x03", OTHER),
        (b"text and\x00", OTHER),
        (b"a" * 512 + b"\x00", TEXT),
        (b"<HtMl><bOdY>blah blah blah</body></html>", HTML),
        (b"   <!DOCTYPE HTML>...", HTML),
        (b"\r\n<!doctype html lang=en>", HTML),
        (b"<!DOCTYPE HTMLx>", TEXT),
        (b"<p>x", HTML),
        (b"<pre>x", TEXT),
        (b"<br>", HTML),
        (b"<!-- x", HTML),
        (b"<!--x", TEXT),
        (b"<b", TEXT),
        (b"\n<?xml!", "text/xml; charset=utf-8"),
        (b"<?XML?>", TEXT),
        (b"%PDF-1.7", "application/pdf"),
        (b"%!PS-Adobe-3.0", "application/postscript"),
        (b"\xfe\xff\x00a", "text/plain; charset=utf-16be"),
        (b"\xff\xfea\x00", "text/plain; charset=utf-16le"),
        (b"\xff\xfe", TEXT),
        (b"\xef\xbb\xbf<html>", TEXT),
        (b"\x00\x00\x01\x00\x01", "image/x-icon"),
        (b"BM...", "image/bmp"),
        (b"GIF87a", "image/gif"),
        (b"GIF89a...", "image/gif"),
        (b"\x89PNG\x0d\x0a\x1a\x0a", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x01\x02\n\x04WEBPVP8 ", "image/webp"),
        (b"RIFFb\xb8\x00\x00WAVEfmt ", "audio/wave"),
        (b"RIFF,O\n\x00AVI LIST", "video/avi"),
        (b"FORM\x00\x00\x00\x01AIFF", "audio/aiff"),
        (b"ID3\x03", "audio/mpeg"),
        (b"OggS\x00\x02", "application/ogg"),
        (b"MThd\x00\x00\x00\x06\x00\x01", "audio/midi"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom<\x06t\xbfmdat", "video/mp4"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isomiso2", OTHER),
        (b"\x00\x00\x00\x14ftypisommp41avc1", OTHER),
        (b"\x1a\x45\xdf\xa3...", "video/webm"),
        (b"\x00" * 34 + b"LP", "application/vnd.ms-fontobject"),
        (b"\x00\x01\x00\x00\x00", "font/ttf"),
        (b"OTTO\x00", "font/otf"),
        (b"ttcf\x00", "font/collection"),
        (b"wOFF", "font/woff"),
        (b"wOF2", "font/woff2"),
        (b"\x1f\x8b\x08\x00", "application/x-gzip"),
        (b"PK\x03\x04", "application/zip"),
        (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
        (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
        (b"\x00asm\x01", "application/wasm"),
    ],
)
def test_kind_by_the_first_octets(body: bytes, kind: str) -> None:
    assert content_type_of(body).decode() == kind


@given(some.binary(max_size=600))
def test_only_the_first_octets_are_looked_at(body: bytes) -> None:
    assert content_type_of(body[:512] + b"\x00") == content_type_of(body) or len(body) < 512
