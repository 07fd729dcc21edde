"""One key for the session tickets of all workers, so that a client resumes with whichever it meets.

Python's ``ssl`` has no call to set that key, so each process would take its own tickets only. OpenSSL has one. Its
context is the first member of Python's context object; it is reached through ``ctypes``, in those versions of CPython
that this was tried with, and what was set is read back. Anywhere else nothing is touched: then a client that meets
another worker makes a full handshake, which always works.
"""

from __future__ import annotations

import ctypes
import ssl

from dynbalancer.core.certificates import TICKET_KEY_SIZE as KEY_SIZE
from dynbalancer.tls import native

# From openssl/ssl.h.
_GET_TICKET_KEYS, _SET_TICKET_KEYS = 58, 59


def set_key(context: ssl.SSLContext, key: bytes) -> bool:
    """Issue and take tickets under this key from now on. False where that can't be done here."""
    library = native.library()
    if library is None or len(key) != KEY_SIZE:
        return False
    control, address = native.control(library), native.context_of(context)
    control(address, _SET_TICKET_KEYS, KEY_SIZE, key)
    found = ctypes.create_string_buffer(KEY_SIZE)
    control(address, _GET_TICKET_KEYS, KEY_SIZE, found)
    return bool(found.raw == key)
