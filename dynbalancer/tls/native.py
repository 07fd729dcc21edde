"""What OpenSSL can be told only by itself, not by Python's ``ssl``: by ``ctypes``, as keys of tickets are."""

from __future__ import annotations

import ctypes
import platform
import ssl
import sys
from typing import Any

#: From openssl/ssl.h.
_SET_GROUPS_LIST = 92

#: The first and the last version of CPython that this was tried with.
_KNOWN = ((3, 11), (3, 13))


def library() -> Any:
    """The OpenSSL that Python itself uses. None where it can't be had."""
    if platform.python_implementation() != "CPython" or not _KNOWN[0] <= sys.version_info[:2] <= _KNOWN[1]:
        return None
    import _ssl

    try:
        found = ctypes.CDLL(_ssl.__file__)
        # Where Python was linked with OpenSSL inside, it keeps its names to itself.
        found.SSL_CTX_ctrl, found.SSL_CTX_set_cert_verify_callback  # noqa: B018
    except (AttributeError, OSError):
        return None
    return found


def context_of(context: ssl.SSLContext) -> ctypes.c_void_p:
    """OpenSSL's context, which is the first member of Python's."""
    return ctypes.c_void_p.from_address(id(context) + object.__basicsize__)


def control(found: Any) -> Any:
    """SSL_CTX_ctrl."""
    function = found.SSL_CTX_ctrl
    function.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p)
    function.restype = ctypes.c_long
    return function


def set_groups(context: ssl.SSLContext, names: tuple[str, ...]) -> bool:
    """Exchange keys by these groups only, the best first. False where that can't be done."""
    found = library()
    if found is None:
        return False
    text = ":".join(names).encode("ascii")
    return bool(control(found)(context_of(context), _SET_GROUPS_LIST, 0, text) == 1)


#: What OpenSSL calls in place of verifying a chain. That the client has its key is found out all the same.
_Verify = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_accept = _Verify(lambda store, argument: 1)


def accept_any_certificate(context: ssl.SSLContext) -> bool:
    """Ask for certificates as the context says, and verify none of them. False where that can't be done."""
    found = library()
    if found is None:
        return False
    function = found.SSL_CTX_set_cert_verify_callback
    function.argtypes = (ctypes.c_void_p, _Verify, ctypes.c_void_p)
    function.restype = None
    function(context_of(context), _accept, None)
    return True
