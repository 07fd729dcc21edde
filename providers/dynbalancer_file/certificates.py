"""The certificates that a document names: read from their files, remembered, and looked at again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from dynbalancer import pem
from dynbalancer.core.model import Certificate
from dynbalancer.errors import ConfigurationError, Problem
from dynbalancer_file.files import in_words, read_file

#: How much of a path is shown. A key whose first line was lost looks like a long one.
LONGEST_SHOWN = 100

#: What is said of a file that can't be looked at, in place of its times and size.
MISSING = (-1,)


@dataclass(frozen=True, slots=True, repr=False)
class _Good:
    """A pair that could be used, and what its files looked like then."""

    certificate: Certificate
    signatures: tuple[object, ...]


@dataclass(slots=True, repr=False)
class CertificateFiles:
    """Reads pairs of files, named as seen from ``directory``.

    A pair that was good and is wrong now is kept as it was: while it is renewed, its two files don't fit for a moment.
    ``paths`` are the files that were read since :meth:`begin`.
    """

    directory: str
    now: Callable[[], float] = time.time
    paths: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _good: dict[tuple[str, str], _Good] = field(default_factory=dict)
    _before: dict[tuple[str, str], _Good] = field(default_factory=dict)

    def begin(self) -> None:
        """A document is read anew: forget the pairs that it does not name any more."""
        self.paths = {}
        self._before, self._good = self._good, {}

    def read(self, chain: str, key: str) -> tuple[Certificate | None, tuple[Problem, ...]]:
        """The certificate of two files or PEM texts, if it can be used, and what there is to say about it."""
        # First, so that a change while they are read is seen later.
        signatures = self._look_at(chain), self._look_at(key)
        good = self._before.get((chain, key))
        if good is None or good.signatures != signatures:
            try:
                read = pem.read_certificate(self._text(chain), self._text(key))
            except ConfigurationError as error:
                return self._kept(chain, key, error)
            good = _Good(read, signatures)
        self._good[chain, key] = good
        found = good.certificate
        if found.expires > self.now():
            return found, ()
        day = time.strftime("%Y-%m-%d", time.gmtime(found.expires))
        hint = "renew it; until then it is left out"
        return None, (Problem("", f"the certificate for {found.name} expired on {day}", hint, "warning"),)

    def pem(self, given: str) -> str:
        """What a file of certificates, or their PEM text, says. Raises ConfigurationError where that is none."""
        self._look_at(given)
        found = self._text(given)
        try:
            pem.check_authorities(found)
        except ConfigurationError as error:
            raise ConfigurationError(
                "", f"{_shown(given)}: {error.why}", "it must be in PEM format"
            ) from None
        return found

    def signature(self) -> bytes:
        """Something that differs as soon as one of the files that were read does."""
        return repr([_signature(path) for path in self.paths]).encode() if self.paths else b""

    def signature_when_read(self) -> bytes:
        """What :meth:`signature` was when they were read."""
        return repr(list(self.paths.values())).encode() if self.paths else b""

    def directories(self) -> set[str]:
        """Where something must happen for one of the files to change."""
        there = [path for path, signature in self.paths.items() if signature != MISSING]
        found = {os.path.dirname(path) for path in self.paths}
        return found | {os.path.dirname(os.path.realpath(path)) for path in there}

    def _kept(
        self, chain: str, key: str, error: ConfigurationError
    ) -> tuple[Certificate | None, tuple[Problem, ...]]:
        good = self._before.get((chain, key))
        if good is None or good.certificate.expires <= self.now():
            return None, (error.as_problem(),)
        self._good[chain, key] = good
        before = good.certificate
        why = f"{error.why}; the certificate for {before.name} that was read before stays"
        return before, (Problem("", why, error.hint, "warning"),)

    def _look_at(self, given: str) -> object:
        if pem.MARK in given:
            return given
        path = os.path.join(self.directory, given)
        self.paths[path] = signature = _signature(path)
        return signature

    def _text(self, given: str) -> str:
        if pem.MARK in given:
            return given
        path = os.path.join(self.directory, given)
        shown = _shown(given)
        try:
            return read_file(path).decode("ascii")
        except UnicodeDecodeError:
            raise ConfigurationError("", f"{shown} is not in PEM format", "convert it from DER") from None
        except (OSError, ValueError) as error:
            why = in_words(error) if isinstance(error, OSError) else "no path"
            raise ConfigurationError("", f"{shown} can't be read: {why}") from None


def _shown(given: str) -> str:
    return given if len(given) <= LONGEST_SHOWN and given.isprintable() else f"{given[:20]!r}…"


def _signature(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return MISSING
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev
