"""Passwords kept as hashes, in the three manners that htpasswd writes and Traefik reads: bcrypt, apr1-MD5, SHA-1."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import md5, sha1
from hmac import compare_digest

import bcrypt

from dynbalancer.core.schema import WrongValueError

#: Longest password that is looked at.
LONGEST = 1024
#: bcrypt takes 2ⁿ rounds: a quarter of a second with 12, which is usual, and sixteen times as long with this.
MOST_ROUNDS = 16

_bcrypt = re.compile(r"\$2[abxy]\$([0-9]{2})\$[./A-Za-z0-9]{53}", re.ASCII).fullmatch
_md5 = re.compile(r"\$(apr1|1)\$([^$]{0,8})\$[./A-Za-z0-9]{22}", re.ASCII).fullmatch
_sha1 = re.compile(r"\{SHA\}[A-Za-z0-9+/]{27}=", re.ASCII).fullmatch


@dataclass(frozen=True, slots=True)
class Stored:
    """A password's hash. ``effort`` says how much work a check is, compared with that of others."""

    effort: int
    _check: Callable[[bytes], bool]

    @classmethod
    def of(cls, written: str) -> Stored:
        """From its text. Raises WrongValueError where it is none; the text is not in its message."""
        text = written.encode()
        if found := _bcrypt(written):
            rounds = int(found.group(1))
            if not 4 <= rounds <= MOST_ROUNDS:
                raise WrongValueError(f"a bcrypt hash with a cost from 4 to {MOST_ROUNDS}")
            return cls(2 + rounds, lambda password: _fits_bcrypt(password, text))
        if found := _md5(written):
            magic, salt = b"$%b$" % found.group(1).encode(), found.group(2).encode()
            return cls(1, lambda password: compare_digest(md5_crypt(password, salt, magic), text))
        if _sha1(written):
            return cls(0, lambda password: compare_digest(_sha1_of(password), text))
        raise WrongValueError("a hash of bcrypt ($2y$…), MD5 ($apr1$…) or SHA-1 ({SHA}…)", _hint(written))

    def fits(self, password: bytes) -> bool:
        """Whether it is the hash of this password. Slow: bcrypt's is meant to be."""
        return len(password) <= LONGEST and self._check(password)


def _hint(written: str) -> str:
    if "$$" in written:
        return "write each $ once: twice is for compose files, which make one of them"
    if "$" in written:
        return "in a compose file write each $ as $$: a single one is taken for a variable and eaten"
    return "make one with htpasswd -nB USER; in a compose file write each $ of it as $$"


def _fits_bcrypt(password: bytes, text: bytes) -> bool:
    # The 72 bytes that bcrypt looks at; the library refuses more, and NUL, where others cut.
    return b"\0" not in password and bcrypt.checkpw(password[:72], text)


def _sha1_of(password: bytes) -> bytes:
    return b"{SHA}" + base64.b64encode(sha1(password, usedforsecurity=False).digest())


# The order in which the digest's octets are written, three at a time (Poul-Henning Kamp's crypt of 1994).
_ORDER = ((0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5))
_DIGITS = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def md5_crypt(password: bytes, salt: bytes, magic: bytes = b"$apr1$") -> bytes:
    """The hash of Apache's ``$apr1$`` and of the ``$1$`` it comes from, with its magic and salt."""
    turned = md5(password + salt + password, usedforsecurity=False).digest()
    start = password + magic + salt + (turned * (len(password) // 16 + 1))[: len(password)]
    left = len(password)
    while left:
        start += b"\0" if left & 1 else password[:1]
        left >>= 1
    final = md5(start, usedforsecurity=False).digest()
    for turn in range(1000):
        odd = turn & 1
        mixed = (password if odd else final) + (salt if turn % 3 else b"") + (password if turn % 7 else b"")
        final = md5(mixed + (final if odd else password), usedforsecurity=False).digest()
    return magic + salt + b"$" + _written(final)


def _written(digest: bytes) -> bytes:
    found = bytearray()
    for high, middle, low in _ORDER:
        found += _digits(digest[high] << 16 | digest[middle] << 8 | digest[low], 4)
    return bytes(found + _digits(digest[11], 2))


def _digits(number: int, count: int) -> bytes:
    return bytes(_DIGITS[number >> 6 * place & 63] for place in range(count))
