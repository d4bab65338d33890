"""The certificate files of a server."""

from __future__ import annotations

import os
import ssl

__all__ = ["new_context", "server_context"]

#: bytes of a file that are read to find out what it is
_MOST = 1 << 20
Path_ = str | os.PathLike[str]


def server_context(cert: Path_, key: Path_, ca_cert: Path_ | None) -> ssl.SSLContext:
    """A TLS context for a server. The file ``cert`` holds a certificate chain, ``key`` its private
    key. With ``ca_cert``, clients must present a certificate that it has signed.

    Raises OSError and ssl.SSLError, which say what is wrong with which file.
    """
    for name, path in (("cert", cert), ("key", key)):
        _check_readable(name, path)
    context = new_context(ca_cert)
    try:
        context.load_cert_chain(cert, key)
    except ssl.SSLError as exc:
        raise ssl.SSLError(exc.errno, _say_why(exc, cert, key)) from exc
    return context


def new_context(ca_cert: Path_ | None) -> ssl.SSLContext:
    """A TLS context for a server, still without a certificate. As `server_context`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if ca_cert is not None:
        _check_readable("ca_cert", ca_cert)
        try:
            context.load_verify_locations(ca_cert)
        except ssl.SSLError as exc:
            what = f"ca_cert={os.fspath(ca_cert)!r} holds no certificate in PEM"
            raise ssl.SSLError(exc.errno, what) from exc
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _check_readable(name: str, path: Path_) -> None:
    """Raise an OSError that names the file; that of OpenSSL does not."""
    try:
        with open(path, "rb"):
            pass
    except OSError as exc:
        shown = f"{name}={os.fspath(path)!r}"
        raise type(exc)(exc.errno, f"{shown} cannot be read: {exc.strerror}") from None


def _say_why(exc: ssl.SSLError, cert: Path_, key: Path_) -> str:
    for name, path, what in (("cert", cert, "CERTIFICATE"), ("key", key, "PRIVATE KEY")):
        with open(path, "rb") as file:
            if f"{what}-----".encode() not in file.read(_MOST):
                return f"{name}={os.fspath(path)!r} holds no {what.lower()} in PEM"
    files = f"cert={os.fspath(cert)!r}, key={os.fspath(key)!r}"
    if exc.reason == "KEY_VALUES_MISMATCH":
        return f"{files}: the key does not belong to the certificate"
    return f"{files}: {exc.reason or exc}"
