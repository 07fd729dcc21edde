"""SSL contexts for servers, by TLS options: what Python's ``ssl`` can say, and by ``ctypes`` what it can't.

OpenSSL knows more than Python lets it be told: several curves, and clients' certificates that nobody verifies. That is
told to OpenSSL itself, where :mod:`dynbalancer.tls.native` finds it; where it doesn't, options with such a wish are
refused as a whole.
"""

from __future__ import annotations

import hashlib
import ssl
import warnings
from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache

from dynbalancer.core.certificates import TICKET_KEY_SIZE
from dynbalancer.core.model import VERIFYING, TLSOptions
from dynbalancer.core.tlschoice import BUILT_IN
from dynbalancer.tls import native

#: What may be spoken inside, the best first.
PROTOCOLS = ("http/1.1",)

#: What the proxy doesn't speak with clients: it is not agreed on, even where options name it.
NOT_SPOKEN = ("h2", "acme-tls/1")

#: For TLS 1.2: what encrypts and signs at once, with keys that are gone afterwards. TLS 1.3 has nothing else. As Go's,
#: AES-128 comes first: it is as good, and SHA-256 makes a resumed handshake cheaper than SHA-384.
CIPHERS = "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20"

#: What there was before, for those who ask for TLS 1.0 or 1.1, and OpenSSL's leave to use it.
OLD_CIPHERS, OLD_LEVEL = "ECDHE+AES", "@SECLEVEL=0"

_VERSIONS: Mapping[str, ssl.TLSVersion] = {
    "VersionTLS10": ssl.TLSVersion.TLSv1,
    "VersionTLS11": ssl.TLSVersion.TLSv1_1,
    "VersionTLS12": ssl.TLSVersion.TLSv1_2,
    "VersionTLS13": ssl.TLSVersion.TLSv1_3,
}
_OLDEST = "VersionTLS12"
#: Of curves, what older versions of OpenSSL don't have, and what Python calls some of them.
_NEW_CURVES = ("X25519MLKEM768",)
_PYTHON_CURVES = {"P-256": "prime256v1", "P-384": "secp384r1", "P-521": "secp521r1"}


class UnsupportedError(Exception):
    """What options ask for can't be had here, and why."""


def new_answer(options: TLSOptions = BUILT_IN) -> ssl.SSLContext:
    """A server's context without a certificate. Raises UnsupportedError where the options can't be obeyed."""
    answer = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    answer.minimum_version = ssl.TLSVersion.TLSv1_2
    # Renegotiation is a way to make a server work for nothing.
    answer.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if options == BUILT_IN:
        answer.set_ciphers(CIPHERS)
        answer.set_alpn_protocols(list(PROTOCOLS))
        return answer
    if options.broken:
        raise UnsupportedError(options.broken)
    try:
        _obey(answer, options)
    except (ssl.SSLError, ValueError) as error:
        raise UnsupportedError(f"OpenSSL refuses it: {error}") from None
    return answer


def _obey(answer: ssl.SSLContext, options: TLSOptions) -> None:
    oldest = options.min_version or _OLDEST
    with warnings.catch_warnings():
        # Whoever asks for TLS 1.0 was told already, by everybody.
        warnings.simplefilter("ignore", DeprecationWarning)
        answer.minimum_version = _VERSIONS[oldest]
        if options.max_version:
            answer.maximum_version = _VERSIONS[options.max_version]
    ciphers = [*options.cipher_suites] or [CIPHERS]
    if oldest < _OLDEST:
        ciphers += [OLD_LEVEL] if options.cipher_suites else [OLD_CIPHERS, OLD_LEVEL]
    answer.set_ciphers(":".join(ciphers))
    protocols = PROTOCOLS if options.protocols is None else options.protocols
    spoken = [protocol for protocol in protocols if protocol not in NOT_SPOKEN]
    if spoken:
        answer.set_alpn_protocols(spoken)
    if not options.tickets:
        answer.options |= ssl.OP_NO_TICKET
    if options.curves:
        _choose_curves(answer, options.curves)
    _ask_for_certificates(answer, options)


def _choose_curves(answer: ssl.SSLContext, curves: tuple[str, ...]) -> None:
    older = tuple(curve for curve in curves if curve not in _NEW_CURVES)
    for wanted in dict.fromkeys((curves, older)):
        if wanted and native.set_groups(answer, wanted):
            return
    if len(older) == 1:
        # All that Python can say.
        answer.set_ecdh_curve(_PYTHON_CURVES.get(older[0], older[0]))
        return
    raise UnsupportedError(
        f"curvePreferences {', '.join(curves)} can't be chosen with this Python and OpenSSL"
    )


def _ask_for_certificates(answer: ssl.SSLContext, options: TLSOptions) -> None:
    wanted = options.client_auth
    if wanted == "NoClientCert":
        return
    for authority in options.client_cas:
        answer.load_verify_locations(cadata=authority)
    # As Go's: whoever is in the file is trusted, whoever signed that.
    answer.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    answer.verify_mode = ssl.CERT_REQUIRED if wanted.startswith("Require") else ssl.CERT_OPTIONAL
    if wanted not in VERIFYING and not native.accept_any_certificate(answer):
        raise UnsupportedError(
            f"clientAuthType {wanted} can't be had with this Python, which asks for no certificate that it does not"
            " verify; write RequireAndVerifyClientCert or VerifyClientCertIfGiven, with caFiles"
        )


@lru_cache(maxsize=64)
def objection(options: TLSOptions) -> str:
    """Why these options can't be obeyed here; empty where they can."""
    try:
        new_answer(options)
    except UnsupportedError as error:
        return str(error)
    return ""


def ticket_key(key: bytes, options: TLSOptions) -> bytes:
    """The key for the session tickets of connections by these options, made of the one that all workers share.

    Each set of options has its own, and another one after each change, so that nobody resumes a session past the
    certificates that are asked for now.
    """
    if options == BUILT_IN or not key:
        return key
    said = repr([getattr(options, one.name) for one in fields(options)])
    return hashlib.shake_256(key + said.encode("utf-8", "backslashreplace")).digest(TICKET_KEY_SIZE)
