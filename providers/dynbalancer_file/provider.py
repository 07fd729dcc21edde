"""The file provider: routes from a YAML or TOML file, or from a directory of them, followed while they change.

It is also the example to write your own provider by. A provider has a name, starts and stops (it is a Twisted
Service), reads its source again when asked (``refresh``), and says what it found to its sink: ``publish`` all of it
each time, or ``lost`` with a sentence where the source can't be read. Deciding is kept out of here:
:mod:`dynbalancer_file.reading` turns contents into a Configuration without touching a file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from dynbalancer.core.model import Configuration
from dynbalancer.interfaces import IProvider
from dynbalancer_file import reading
from dynbalancer_file.certificates import CertificateFiles
from dynbalancer_file.files import Place, in_words, place_of
from dynbalancer_file.reading import Reading
from dynbalancer_file.watching import Watcher

#: Seconds for which new contents must stay the same before they are believed: a file is often emptied before it is
#: written again.
SETTLE = 0.05

GONE = b""


def make_provider(settings: Mapping[str, Any], sink: Any, reactor: Any) -> FileProvider:
    """What the list of plugins names. Raises ConfigurationError where the settings can't work; starts nothing."""
    dialect = settings.get("defaultrulesyntax", "") or "v3"
    return FileProvider(
        place_of(settings), sink, reactor, watch=bool(settings.get("watch", True)), dialect=dialect
    )


@implementer(IProvider)
class FileProvider(Service):
    """Reads, compares with what it knows, publishes what changed."""

    name = "file"

    def __init__(
        self, place: Place, sink: Any, reactor: Any, *, watch: bool = True, dialect: str = "v3"
    ) -> None:
        self._dialect = dialect
        self.place = place
        self.sink = sink
        self.watch = watch
        self.watcher = Watcher(reactor, self._directories, self._look)
        self._readings: dict[str, Reading] = {}
        self._digests: dict[str, bytes] = {}
        # The certificates that each file names; they are in files of their own, and followed too.
        self._certificates: dict[str, CertificateFiles] = {}
        # New contents that wait to be seen a second time.
        self._unsettled: dict[str, bytes] = {}
        self._published: Configuration | None = None
        self._loss = ""

    def startService(self) -> None:
        super().startService()
        if self.watch:
            self.watcher.start()
        self._look(at_once=True)

    def stopService(self) -> None:
        self.watcher.stop()
        super().stopService()

    def refresh(self) -> Deferred[None]:
        """Read everything again now, as on SIGHUP."""
        self._look(at_once=True)
        return succeed(None)

    def _look(self, *, at_once: bool = False) -> None:
        """Read the files and publish what changed, at once or when it has settled."""
        try:
            contents = self.place.read()
        except FileNotFoundError as error:
            if self.place.is_directory or self._published is None:
                self._say_lost(error)
                return
            # The file was there and was taken away: so are its routes.
            contents = {}
        except OSError as error:
            self._say_lost(error)
            return
        digests = {name: self._digest(name, content) for name, content in contents.items()}
        changed = [name for name in (digests | self._digests) if digests.get(name) != self._digests.get(name)]
        if not at_once:
            changed = self._settled(changed, digests)
        for name in changed:
            self._take(name, contents)
        self._publish(changed)

    def _settled(self, changed: Collection[str], digests: Mapping[str, bytes]) -> list[str]:
        """Those of the changed files that look as they did a moment ago; the others are looked at again soon."""
        writing = self.watcher.being_written
        ready = [name for name in changed if not writing or self.place.path_of(name) not in writing]
        settled = [name for name in ready if self._unsettled.get(name) == digests.get(name, GONE)]
        self._unsettled = {name: digests.get(name, GONE) for name in ready if name not in settled}
        if self._unsettled:
            self.watcher.look_in(SETTLE)
        return settled

    def _take(self, name: str, contents: Mapping[str, bytes | OSError]) -> None:
        if name not in contents:
            del self._readings[name], self._digests[name], self._certificates[name]
            return
        content = contents[name]
        readable = in_words(content) if isinstance(content, OSError) else content
        certificates = self._certificates.setdefault(name, CertificateFiles(self.place.directory_of(name)))
        certificates.begin()
        self._readings[name] = reading.read(
            name,
            readable,
            self._readings.get(name),
            certificates.read,
            certificates.pem,
            self._dialect,
            os.environ,
        )
        self._digests[name] = _digest(content) + certificates.signature_when_read()
        if certificates.paths and self.watch:
            # Their directories may be new to the watcher.
            self.watcher.look_in(SETTLE)

    def _digest(self, name: str, content: bytes | OSError) -> bytes:
        certificates = self._certificates.get(name)
        return _digest(content) + (certificates.signature() if certificates else b"")

    def _directories(self) -> set[str]:
        """Where something must happen for anything that was read to change."""
        return self.place.directories().union(
            *(certificates.directories() for certificates in self._certificates.values())
        )

    def _publish(self, changed: Collection[str]) -> None:
        found = reading.together(self._readings[name] for name in sorted(self._readings))
        if not self._readings and not self.place.is_directory:
            found = replace(found, problems=(reading.gone(self.place.path),))
        if found == self._published and not self._loss:
            return
        cause = "files read again" if self._loss or not changed else self._cause(changed)
        self._published, self._loss = found, ""
        self.sink.publish(found, cause)

    def _cause(self, changed: Collection[str]) -> str:
        if len(changed) > 1:
            return f"{len(changed)} files {'changed' if self._published else 'read'}"
        (name,) = changed
        if name not in self._readings:
            return f"file {name} is gone"
        return f"file {name} {'changed' if self._published else 'read'}"

    def _say_lost(self, error: OSError) -> None:
        reason = f"can't read {self.place.path}: {in_words(error)}"
        if reason != self._loss:
            self._loss = reason
            self.sink.lost(reason)


def _digest(content: bytes | OSError) -> bytes:
    return hashlib.sha256(content if isinstance(content, bytes) else repr(content).encode()).digest()
