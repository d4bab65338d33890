"""The doctor's diagnosis: what a failure means, and what to do.

No I/O: each function takes facts, and returns an explanation and advice.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .._formatting import shown_path, shown_uri
from .._net.address import Address
from .json_text import NAME, printable

__all__ = [
    "Found",
    "Reply",
    "closed",
    "dns_failed",
    "handshake_failed",
    "no_vuer",
    "port_failed",
    "silent_after_init",
    "tls_failed",
    "with_address",
]

#: the default port of Vuer servers
VUER_PORT = 8012

_DISTRUST = (
    "If it is yours: trust it with --ca-cert FILE (in a program: ssl_context=), or do without the "
    "check with --insecure (ssl_verify=False)."
)
_ELSEWHERE = "Wrong port? Another program uses this one. Look up the one that the server printed."


@dataclass(frozen=True, slots=True)
class Found:
    """A short description of the failure, and advice."""

    what: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's answer to a WebSocket handshake.

    If ``status`` is None it is not HTTP: then ``raw`` is its beginning, empty if the server hung
    up. The names in ``headers`` are in lower case.
    """

    status: int | None
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: bytes = b""


def with_address(
    address: Address, *, secure: bool | None = None, port: int | None = None, resource: str = ""
) -> str:
    """Return the URI with some parts changed, without secrets."""
    secure = address.secure if secure is None else secure
    port = address.port if port is None else port
    host = f"[{address.host}]" if ":" in address.host else address.host
    resource = resource or address.resource
    shown = "" if resource == "/" else resource
    return shown_uri(f"{'wss' if secure else 'ws'}://{host}:{port}{shown}")


# ---- DNS, TCP


def dns_failed(address: Address, why: str) -> Found:
    """The host name was not resolved."""
    advice = "Is the name spelled right? Try the address in digits: ws://192.168.0.10:8012."
    if address.host.endswith(".local"):
        advice += " Names in .local need mDNS (avahi, Bonjour) here, and at that machine."
    elif "." not in address.host:
        advice += " A short name needs an entry in /etc/hosts or a search domain."
    return Found(f"no address for {address.host!r}: {why}", advice)


def port_failed(address: Address, why: str, refused: bool, vuer_port_open: bool) -> Found:
    """The host name was resolved, but the port refused or ignored the connection."""
    what = f"port {address.port}: {why}"
    if vuer_port_open:
        here = with_address(address, port=VUER_PORT)
        return Found(
            what, f"Wrong port? Port {VUER_PORT}, Vuer's usual one, is open there: try {here}"
        )
    if refused:
        advice = (
            f"The machine is there, but nothing listens at port {address.port}. Is the server "
            "running, and is this the port that it printed? A server that listens on localhost "
            "only cannot be reached from another machine: start it with host=None (`vuer-trio "
            "serve --host 0.0.0.0`)."
        )
    else:
        advice = (
            "Nothing came back: is the machine on, in the same network, and does its firewall let "
            f"port {address.port} through?"
        )
    if f":{address.port}" not in address.uri:
        scheme = "wss" if address.secure else "ws"
        advice += f" The URI names no port, and {scheme}:// alone means {address.port}."
    return Found(what, advice)


# ---- TLS

_CERTIFICATES = {
    9: ("the certificate is not valid yet", "Compare the clocks of both machines."),
    10: (
        "the certificate has expired",
        "Renew it at the server; if it is new, compare the clocks of both machines.",
    ),
    18: ("the certificate is self-signed: nobody else vouches for it", _DISTRUST),
    19: ("the certificate is signed by an authority of the server's own", _DISTRUST),
    20: ("the certificate is signed by an authority that this machine does not know", _DISTRUST),
    21: ("the authority that signed the certificate did not come with it", _DISTRUST),
}
_OTHER_NAME = (62, 64)


def tls_failed(address: Address, error: BaseException | None, plain: Reply | None) -> Found:
    """There is a connection, but no TLS in it. ``plain``: what came to a request without TLS.

    ``error`` None: nothing came.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return Found(
                f"the certificate is for another name than {address.host}",
                "Use the name that is in it, in a program server_hostname=, or --insecure.",
            )
        what, advice = _CERTIFICATES.get(
            error.verify_code,
            (f"the certificate is not accepted: {error.verify_message}", _DISTRUST),
        )
        return Found(what, advice)
    if plain is not None and plain.status is not None:
        here = with_address(address, secure=False)
        return Found(
            "the server speaks no TLS at this port",
            f"Wrong scheme: without TLS it answers HTTP; try {here}",
        )
    if plain is not None and plain.raw:
        return Found(f"what answers speaks no TLS: {_beginning(plain)}", _ELSEWHERE)
    if error is None:
        return Found(
            "the server took the connection, and says nothing",
            "A program that hangs, or one that speaks something else than TLS. Look at the server.",
        )
    reason = getattr(error, "reason", None) or str(error) or type(error).__name__
    what = f"the TLS handshake failed: {printable(str(reason))}"
    if "CERTIFICATE_REQUIRED" in what or "ALERT_HANDSHAKE_FAILURE" in what:
        return Found(what, "The server may want a certificate of the client's: ssl_context=.")
    return Found(what, "Does this port speak TLS? If not, the URI begins with ws://.")


# ---- the opening handshake


def handshake_failed(
    address: Address, failure: str, reply: Reply | None, tls: bool, at_root: bool
) -> Found:
    """The stream is open, but the WebSocket handshake failed.

    ``failure``: the client's error. ``reply``: the answer to another request, None without one.
    ``tls``: the port of a ws:// URI speaks TLS. ``at_root``: there is a WebSocket at the path /.
    """
    if tls:
        here = with_address(address, secure=True)
        return Found(
            "the server speaks TLS at this port", f"Wrong scheme: ws:// is without TLS; try {here}"
        )
    if reply is None:
        return Found(
            "the server took the connection, and says nothing",
            "It listens, but does not answer: a program that hangs or is stopped in a debugger, "
            "one that does not speak HTTP, or a proxy whose server is down. Check the server, and "
            "restart it.",
        )
    if reply.status is None:
        if not reply.raw:
            return Found(
                f"the server hung up: {printable(failure)}",
                "It does not speak HTTP at this port, or has failed; look at its output.",
            )
        return Found(f"what answers is not an HTTP server: {_beginning(reply)}", _ELSEWHERE)
    if at_root:
        here = with_address(address, resource="/")
        return Found(
            f"no WebSocket at the path {shown_path(address.resource)}",
            f"Wrong path: there is one at /; try {here}",
        )
    return _refused(address, reply)


def _beginning(reply: Reply) -> str:
    return repr(reply.raw[:40].decode("latin-1").split("\n")[0].strip())


def _refused(address: Address, reply: Reply) -> Found:
    status = reply.status
    assert status is not None
    server = printable(reply.headers.get("server", ""), NAME)
    by = f" ({server})" if server else ""
    what = f"the server answered HTTP {status}{by}, and no WebSocket"
    match status:
        case 101:
            return Found(
                "the server's answer is not a WebSocket's, or is only sometimes one",
                "Try again; a proxy in between may have changed it.",
            )
        case 301 | 302 | 303 | 307 | 308:
            where = shown_uri(reply.headers.get("location", "somewhere else"))
            return Found(
                what, f"It redirects clients to {where}: use that address, with ws or wss."
            )
        case 401 | 407:
            return Found(what, "It needs authentication: --header 'Authorization: Bearer ...'")
        case 403:
            return Found(
                what,
                "It rejects this client: a missing token, or an Origin that it does not allow "
                "(origins= and hosts= of a vuer-trio server).",
            )
        case 404 if address.resource != "/":
            return Found(
                what,
                f"Neither {shown_path(address.resource)} nor / has a WebSocket: an HTTP server "
                "that is not a Vuer server, or another path. A Vuer server's is /.",
            )
        case 429:
            return Found(what, "It has received too many requests: wait, then try again.")
        case 502 | 504:
            return Found(what, "A proxy answers, but the server behind it is down: start it.")
        case 503:
            return Found(
                what, "It is shutting down, or has reached its limit of sessions (max_sessions)."
            )
        case _ if status >= 500 and status != 501:
            return Found(what, "The server has failed; its output says why.")
    return Found(
        what,
        "An HTTP server, but not a WebSocket server: another program has this port, or a proxy "
        "does not pass WebSockets on. Look up the port that the Vuer server printed.",
    )


# ---- Vuer

_CODES = {
    1001: "the server is shutting down or restarting",
    1002: "it received something that it considers invalid",
    1003: "it does not accept binary messages: it is not a Vuer server",
    1006: "the connection broke without a close frame: the server failed, or a proxy cut it",
    1007: "it considers INIT invalid: it is not a Vuer server",
    1008: "it does not allow this client",
    1009: "INIT is too large for it: it is not a Vuer server",
    1011: "the server has failed; its output says why",
    1012: "it is restarting",
    1013: "it is overloaded",
}


def closed(code: int, reason: str) -> Found:
    """The server closed the connection after INIT."""
    told = f": {printable(reason)}" if reason else ""
    what = f"the server closed the connection with {code}{told}"
    if code in (1000, 1005):
        return Found(
            what,
            "Its function for this client has returned. A server's `main(session)` ends with "
            "`await session.forever()`.",
        )
    meaning = _CODES.get(code, "the application's own code")
    return Found(what, f"{meaning[0].upper()}{meaning[1:]}.")


def silent_after_init(seconds: float) -> Found:
    """The server does not answer a ping."""
    return Found(
        f"the server received INIT, but has not answered a ping for {seconds:g} s",
        "Its event loop is blocked (time.sleep, a long computation), or it does not read; check "
        "what the server's program is doing.",
    )


def no_vuer(what: str) -> Found:
    """It is a WebSocket server, but does not speak the Vuer protocol."""
    return Found(what, "This is a WebSocket server, but not a Vuer server. Wrong port or path?")


def no_event(seconds: float, names: Sequence[str] = ("spawn", "bind")) -> Found:
    """The connection works, but no event came, which may be intended."""
    said = " or ".join(f"@app.{name}" for name in names)
    return Found(
        f"none within {seconds:g} s",
        f"That may be right: a server sends what its {said} function does. If you expected a "
        "scene: does it have one, and do its filters match a Python client?",
    )
