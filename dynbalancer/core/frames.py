"""Messages between the parent and its workers: a length of four bytes, big-endian, then one JSON object.

Both directions are checked as input from a stranger: a worker talks to the whole Internet, and may one day
speak for it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any, NoReturn

_LENGTH = struct.Struct(">I")

#: The largest message there may be: enough for a snapshot of several hundred thousand routers.
LARGEST = 256 * 1024 * 1024


def encode(message: Mapping[str, Any]) -> bytes:
    """One message, ready to be sent. Raises ValueError where it is too large or not JSON."""
    try:
        body = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    except TypeError as error:
        raise ValueError(f"a message must be JSON: {error}") from error
    if len(body) > LARGEST:
        raise ValueError(f"a message of {len(body)} bytes is larger than {LARGEST}")
    return _LENGTH.pack(len(body)) + body


class FrameDecoder:
    """Takes bytes as they come, gives whole messages. After a ValueError the stream can't be read on."""

    __slots__ = ("_buffer", "_largest")

    def __init__(self, largest: int = LARGEST) -> None:
        self._buffer = bytearray()
        self._largest = largest

    @property
    def waiting(self) -> int:
        """Bytes of a message that is not complete yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that are complete now. Raises ValueError, in words, on what can't be one."""
        self._buffer += data
        messages = []
        start = 0
        while (end := self._end_of_message(start)) is not None:
            messages.append(_message(bytes(self._buffer[start + _LENGTH.size : end])))
            start = end
        del self._buffer[:start]
        return messages

    def _end_of_message(self, start: int) -> int | None:
        if len(self._buffer) - start < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer, start)
        if length > self._largest:
            raise ValueError(f"a message of {length} bytes was announced; at most {self._largest} are taken")
        end = start + _LENGTH.size + int(length)
        return end if len(self._buffer) >= end else None


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body, parse_constant=_not_a_number)
    except RecursionError as error:
        raise ValueError("a message is nested too deeply") from error
    except ValueError as error:
        raise ValueError(f"a message is not JSON: {error}") from error
    if not isinstance(message, dict):
        raise ValueError(f"a message is a JSON object, not {type(message).__name__}")
    return message


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
