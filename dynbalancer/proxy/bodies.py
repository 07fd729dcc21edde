"""Bodies that are kept as a whole: in memory as far as that is allowed, then in a file that nobody else sees."""

from __future__ import annotations

from collections.abc import Callable
from tempfile import TemporaryFile
from typing import IO

#: How much of a kept body is written at a time, in octets.
PIECE = 65536


class KeptBody:
    """A body that comes piece by piece, and is read again from its beginning, as often as it is needed.

    ``too_large`` once it has more than ``most`` octets (None: any number): nothing is added from then on.
    """

    __slots__ = ("_file", "_held", "_memory", "_read", "most", "size", "too_large")

    def __init__(self, most: int | None, memory: int) -> None:
        """What goes beyond ``memory`` octets is in a file."""
        self._held = bytearray()
        self._memory = memory
        self._file: IO[bytes] | None = None
        self._read = 0
        self.most = most
        self.size = 0
        self.too_large = False

    def append(self, data: bytes) -> None:
        """One more piece. Not any more once it was read."""
        if self.most is not None and self.size + len(data) > self.most:
            self.too_large = True
        if self.too_large:
            return
        self.size += len(data)
        if self._file is None and self.size > self._memory:
            self._file = TemporaryFile()  # noqa: SIM115 (close closes it)
            self._file.write(self._held)
            self._held.clear()
        if self._file is None:
            self._held += data
        else:
            self._file.write(data)

    def rewind(self) -> None:
        """Read from the beginning again."""
        self._read = 0

    def read(self, size: int = PIECE) -> bytes:
        """The next so many octets, fewer at the end, and none after it."""
        if self._file is None:
            found = bytes(self._held[self._read : self._read + size])
        else:
            self._file.seek(self._read)
            found = self._file.read(size)
        self._read += len(found)
        return found

    def octets(self) -> bytes:
        """All of it, in memory."""
        if self._file is None:
            return bytes(self._held)
        self._file.seek(0)
        return self._file.read()

    def replace(self, data: bytes) -> None:
        """This in its place."""
        self.close()
        self._held = bytearray(data)
        self.size = len(data)

    def close(self) -> None:
        """It is not needed any more."""
        if self._file is not None:
            self._file.close()
            self._file = None


class Pump:
    """Writes a kept body for as long as it is taken, and says when it is out."""

    __slots__ = ("_body", "_done", "_stalled", "_write")

    def __init__(self, body: KeptBody, write: Callable[[bytes], None], done: Callable[[], None]) -> None:
        body.rewind()
        self._body = body
        self._write = write
        self._done = done
        self._stalled = False

    def run(self) -> None:
        """Write until it is out, or nobody takes it: whoever is written to may call :meth:`pause` meanwhile."""
        while not self._stalled:
            piece = self._body.read()
            if not piece:
                done = self._done
                self.stop()
                done()
                return
            self._write(piece)

    def pause(self) -> None:
        """Whoever is written to takes no more."""
        self._stalled = True

    def resume(self) -> None:
        """It takes more."""
        if self._stalled and self._done is not _nothing:
            self._stalled = False
            self.run()

    def stop(self) -> None:
        """Write nothing further."""
        self._stalled = True
        self._done = _nothing


def _nothing() -> None:
    """What is done where nothing is left to do."""


class Copied:
    """The pieces of a body so far; None once there was too much."""

    __slots__ = ("left", "pieces")

    def __init__(self, most: int) -> None:
        self.left = most
        self.pieces: list[bytes] | None = []

    def add(self, data: bytes) -> None:
        """Some more of it."""
        if self.pieces is None:
            return
        self.left -= len(data)
        if self.left < 0:
            self.pieces = None
        else:
            self.pieces.append(data)
