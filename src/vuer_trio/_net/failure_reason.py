"""Why a dial failed: what happened, and what to do about it."""

from __future__ import annotations

import errno
import os
import ssl
from socket import gaierror

from .._failures import describe
from .._formatting import shown
from .rejection import SILENT

__all__ = ["NO_ROOM", "TRUST", "ProxyFailed", "say_why", "tls_error"]

#: the system has no room for another socket just now
NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
#: how a program comes to trust a certificate; of a client that has the options
TRUST = (
    "trust it with ssl_context=ssl.create_default_context(cafile=...), or go without the check "
    "with ssl_verify=False"
)
_UNREACHABLE = {errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN}
_FORBIDDEN = {errno.EACCES, errno.EPERM}

#: OpenSSL's numbers for what is wrong with a certificate (x509_vfy.h)
_NOT_YET, _EXPIRED = 9, 10
_UNKNOWN_AUTHORITY = {
    18: "the certificate is self-signed",
    19: "the certificate is signed by an authority of the server's own",
    20: "the certificate is signed by an authority that this machine does not know",
    21: "the certificate came without the authority that has signed it",
}
_OTHER_NAME = (62, 64)
_OWN = "Give an ssl_context= with load_cert_chain(...)"
#: parts of OpenSSL's reasons, in the order in which they are looked for, and what they mean
_REASONS = (
    (
        "WRONG_VERSION_NUMBER RECORD_LAYER_FAILURE HTTP_REQUEST UNKNOWN_PROTOCOL "
        "PACKET_LENGTH_TOO_LONG UNEXPECTED_MESSAGE BAD_RECORD_TYPE",
        "what answers there does not speak TLS; is it a plain port, with ws:// or http://?",
    ),
    (
        "CERTIFICATE_REQUIRED HANDSHAKE_FAILURE BAD_CERTIFICATE ALERT_UNKNOWN_CA ALERT_CERTIFICATE",
        f"the server has refused the handshake; does it want a certificate of the client's? {_OWN}",
    ),
    (
        "UNRECOGNIZED_NAME",
        "the server does not know the host by this name; write its own, or server_hostname=",
    ),
    (
        "PROTOCOL_VERSION UNSUPPORTED_PROTOCOL NO_PROTOCOLS VERSION_TOO",
        "the server speaks other versions of TLS than this side",
    ),
)


class ProxyFailed(ConnectionError):
    """A proxy could not be reached; the message names it, without its password."""


def tls_error(exc: BaseException) -> ssl.SSLError | None:
    """The TLS error that an exception is, or that caused it."""
    return next((e for e in (exc, exc.__cause__) if isinstance(e, ssl.SSLError)), None)


def say_why(
    exc: BaseException, what: str = "it", trust: str = TRUST, *, secure: bool = False
) -> str:
    """The reason for an error of a dial, then what to do.

    ``what`` should have answered, such as "a Vuer server"; ``trust`` says how to trust a
    certificate; ``secure``: TLS was expected, and a server may hang up instead of saying why.
    """
    if isinstance(exc, ProxyFailed):
        return str(exc)
    tls = tls_error(exc)
    if tls is not None:
        return _say_tls(tls, trust)
    said = describe(exc)
    hung_up = said == SILENT or isinstance(exc, ConnectionResetError | BrokenPipeError)
    if hung_up and secure:
        return f"{said}; does it want a certificate of the client's? {_OWN}"
    if not isinstance(exc, OSError) or isinstance(exc, TimeoutError):
        return said
    found = _most_telling(exc)
    if found.errno == errno.EBUSY:
        found = _lack_of_descriptors() or found
    # In the system's words: libraries add the address, which is there already.
    known = found.errno is not None and found.errno > 0
    reason = os.strerror(found.errno or 0) if known else shown(found.strerror or found).rstrip(".")
    if isinstance(found, gaierror):
        return f"{reason}; is the name of the host right?"
    if found.errno in NO_ROOM:
        more = "raise the limit of open files (ulimit -n), or close what is not needed"
        return f"{reason} in this process or system; {more}"
    if found.errno in _UNREACHABLE:
        return f"{reason}; is the host on, and in a network that this machine reaches?"
    if found.errno in _FORBIDDEN:
        return f"{reason}; this machine's system or firewall does not allow it"
    return f"{reason}; is {what} running there?"


def _most_telling(exc: BaseException) -> OSError:
    """Of an error that stands for one for each address of a host: the one that tells most."""
    leaves = [leaf for leaf in _leaves(exc) if isinstance(leaf, OSError)]
    scarce = (leaf for leaf in leaves if leaf.errno in NO_ROOM)
    own = exc if isinstance(exc, OSError) else OSError(str(exc))
    return next(scarce, leaves[0] if leaves else own)


def _lack_of_descriptors() -> OSError | None:
    """The resolver says of some systems that it is busy, when it cannot open its files."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as lack:
        return lack
    return None


def _leaves(exc: BaseException) -> list[BaseException]:
    inside = exc if isinstance(exc, BaseExceptionGroup) else exc.__cause__
    if isinstance(inside, BaseExceptionGroup):
        return [leaf for one in inside.exceptions for leaf in _leaves(one)]
    if isinstance(exc, OSError) and exc.errno is None and isinstance(inside, OSError):
        return _leaves(inside)
    return [exc]


def _say_tls(exc: ssl.SSLError, trust: str) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _say_certificate(exc, trust)
    if isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return (
            "the stream ended in the TLS handshake; does this port speak TLS, and does the server "
            "want a certificate of the client's?"
        )
    reason = getattr(exc, "reason", None) or str(exc)
    for parts, meaning in _REASONS:
        if any(part in reason for part in parts.split()):
            return f"{meaning} ({shown(reason)})"
    return f"TLS failed: {shown(exc)}"


def _say_certificate(exc: ssl.SSLCertVerificationError, trust: str) -> str:
    # Who raises one himself, as a stream of the user's may, leaves these out.
    code, told = getattr(exc, "verify_code", None), shown(getattr(exc, "verify_message", exc))
    if code in _UNKNOWN_AUTHORITY:
        return f"{_UNKNOWN_AUTHORITY[code]}; {_missing_authorities() or trust}"
    if code in _OTHER_NAME:
        return f"the certificate is for another host name: {told}; write the name that is in it"
    if code == _EXPIRED:
        return (
            "the certificate has expired; renew it at the server, or look at this machine's clock"
        )
    if code == _NOT_YET:
        return "the certificate is not valid yet; compare the clocks of both machines"
    return f"the certificate is not accepted: {told}"


def _missing_authorities() -> str:
    """OpenSSL passes over a file of authorities that is not there, without a word."""
    for name, there in (("SSL_CERT_FILE", os.path.isfile), ("SSL_CERT_DIR", os.path.isdir)):
        path = os.environ.get(name)
        if path and not any(there(part) for part in path.split(os.pathsep)):
            return f"{name}={shown(path)!r} in the environment is not there: no authority is known"
    return ""
