"""One key for the session tickets of all workers, so that a client resumes with whichever it meets.

Python's ``ssl`` has no call to set that key, so each process would take its own tickets only. OpenSSL has one. Its
context is the first member of Python's context object; it is reached through ``ctypes``, in those versions of CPython
that this was tried with, and what was set is read back. Anywhere else nothing is touched: then a client that meets
another worker makes a full handshake, which always works.
"""

from __future__ import annotations

import ctypes
import platform
import ssl
import sys
from typing import Any

from dynbalancer.core.certificates import TICKET_KEY_SIZE as KEY_SIZE

# From openssl/ssl.h.
_GET_TICKET_KEYS, _SET_TICKET_KEYS = 58, 59

#: The first and the last version of CPython that this was tried with.
_KNOWN = ((3, 11), (3, 13))


def set_key(context: ssl.SSLContext, key: bytes) -> bool:
    """Issue and take tickets under this key from now on. False where that can't be done here."""
    control = _control()
    if control is None or len(key) != KEY_SIZE:
        return False
    native = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    control(native, _SET_TICKET_KEYS, KEY_SIZE, key)
    found = ctypes.create_string_buffer(KEY_SIZE)
    control(native, _GET_TICKET_KEYS, KEY_SIZE, found)
    return bool(found.raw == key)


def _control() -> Any:
    """OpenSSL's SSL_CTX_ctrl, from the library that Python itself uses. None where it can't be had."""
    if platform.python_implementation() != "CPython" or not _KNOWN[0] <= sys.version_info[:2] <= _KNOWN[1]:
        return None
    import _ssl

    try:
        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (AttributeError, OSError):
        # Python was linked with OpenSSL inside, and keeps its names to itself.
        return None
    control.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    control.restype = ctypes.c_long
    return control
