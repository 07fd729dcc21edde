"""Reads the payloads of the case tables."""

from __future__ import annotations

import re

_WORDS = {
    "{H}": r"Host: a.test\r\n",
    "{G}": r"GET / HTTP/1.1\r\n",
    "{P}": r"POST / HTTP/1.1\r\n",
    "{TE}": r"Transfer-Encoding: chunked\r\n",
    "{B5}": r"5\r\nhello\r\n0\r\n\r\n",
    "{200}": r"HTTP/1.1 200 OK\r\n",
}
_repeat = re.compile(r"«(.+?)\|(\d+)»", re.DOTALL)


def payload(text: str) -> bytes:
    """The octets that a row of a table stands for."""
    text = _repeat.sub(lambda m: "".join(m[1].replace("<n>", str(i)) for i in range(int(m[2]))), text)
    for word, meaning in _WORDS.items():
        text = text.replace(word, meaning)
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")
