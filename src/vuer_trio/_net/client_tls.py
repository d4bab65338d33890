"""TLS of clients: the context that those without one of their own share, and resumed sessions."""

from __future__ import annotations

import os
import ssl
from time import monotonic
from typing import Any, NamedTuple

__all__ = ["TLSSessions", "made_context", "make_context", "new_context"]

#: seconds after which a context is made anew, whatever it was made from: not every change shows
_FRESH = 3600.0
#: servers whose sessions one client keeps: its own, and those that it was redirected to
_SERVERS = 8


class _Made(NamedTuple):
    context: ssl.SSLContext
    source: object
    at: float


#: by whether the server's certificate is checked. No user gets hold of them, so nobody can change
#: one, and what clients with different options trust is never the same object
_made: dict[bool, _Made] = {}


def made_context(verify: bool) -> ssl.SSLContext | None:
    """The context that `make_context` made last, if what it was made from has not changed."""
    made = _made.get(verify)
    if made is None or made.source != _source() or monotonic() - made.at > _FRESH:
        return None
    return made.context


def make_context(verify: bool) -> ssl.SSLContext:
    """A context that trusts what this machine trusts, or everybody.

    This takes 30 ms or more, most of it without the interpreter's lock: call it in a thread.
    """
    source, context = _source(), new_context(verify)
    _made[verify] = _Made(context, source, monotonic())
    return context


def new_context(verify: bool) -> ssl.SSLContext:
    """The same, for one user alone."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _source() -> object:
    """What a default context is made from, as far as that shows."""
    paths = ssl.get_default_verify_paths()  # it looks at SSL_CERT_FILE and SSL_CERT_DIR each time
    stamps = [_stamp(path) for path in (paths.cafile, paths.capath)]
    return paths, stamps, os.environ.get("SSLKEYLOGFILE")


def _stamp(path: str | None) -> object:
    try:
        found = os.stat(path or "")
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


class TLSSessions:
    """What one client's next connection may resume (RFC 8446 §2.2), so that no certificate is sent
    and checked again. A server that does not resume makes a full handshake.

    The certificate was checked when the session began. A session is therefore used only for the
    same server, name, context and way of checking; and only once, so that nobody on the line can
    recognise a client by it (RFC 8446 §C.4).
    """

    def __init__(self) -> None:
        self._kept: dict[object, ssl.SSLSession] = {}

    def take(self, context: ssl.SSLContext, server: object) -> ssl.SSLSession | None:
        """A session with ``server``, which says where it is and what its certificate is for."""
        return self._kept.pop(_key(context, server), None)

    def keep(self, context: ssl.SSLContext, server: object, session: Any) -> None:
        """The session of a connection that has ended, or None."""
        if session is None or not session.has_ticket:
            return
        self._kept[_key(context, server)] = session
        if len(self._kept) > _SERVERS:
            del self._kept[next(iter(self._kept))]


def _key(context: ssl.SSLContext, server: object) -> object:
    # The context itself, and not only its id: it cannot be replaced by another one meanwhile.
    return context, context.verify_mode, context.check_hostname, context.verify_flags, server
