"""The keywords and variables of the reference that have another name or form here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from .._client.options import check_size, environment_int
from .._connection.policies import Fifo, Latest
from .._formatting import must_be
from .._hosting.origins import DEFAULT, parse_origin

__all__ = ["DEFAULT_DOMAIN", "DEFAULT_HOST", "DEFAULT_OUTBOX", "RENAMED", "translate"]

#: of who has chosen none; told from equal ones by identity
DEFAULT_HOST: Final = "".join(["local", "host"])
DEFAULT_OUTBOX: Final = Fifo(65_536)
DEFAULT_DOMAIN: Final = "https://vuer.ai"
_PORT = 8012
#: bytes: of one message, and of what comes with a request for a page
_MAX_SIZE, _REQUEST_MAX_SIZE = 1 << 24, 1 << 28
#: keyword of the reference: option here, for who mistypes it
RENAMED = {"cors_origins": "cors", "static": "static_root", "ssl": "cert"}
#: option: the variable that fills it in
_VARIABLES = {
    "domain": "VUER_DOMAIN",
    "cors": "VUER_CORS",
    "cert": "VUER_SSL_CERT",
    "key": "VUER_SSL_KEY",
    "ca_cert": "VUER_SSL_CA_CERT",
}
_TLS = ("cert", "key", "ca_cert")


def fill_in(given: Mapping[str, Any]) -> dict[str, Any]:
    """Take options that were not given from the environment. Raises ValueError."""
    options = dict(given)
    if options.get("host", DEFAULT_HOST) is DEFAULT_HOST:
        options["host"] = os.environ.get("VUER_HOST") or DEFAULT_HOST
    automatic = options.get("tls") is not None
    if automatic and options["host"] is DEFAULT_HOST:
        options["host"] = None  # it is for other devices
    # asks for no TLS, or for that alone, whatever the environment has
    plain = options.get("cert") == "" or automatic
    for name, variable in _VARIABLES.items():
        if options.get(name) is None and not (plain and name in _TLS):
            options[name] = os.environ.get(variable) or None
        elif options[name] == "":
            options[name] = None
    if options["domain"] is None:
        options["domain"] = DEFAULT_DOMAIN
    if options.get("port") is None:
        options["port"] = environment_int("VUER_PORT", _PORT)
    return options


def translate(given: Mapping[str, Any]) -> dict[str, Any]:
    """Translate the reference's options to ours. Raises TypeError and ValueError."""
    options = fill_in(given)
    options["max_size"] = _one_of(options, "max_size", "WEBSOCKET_MAX_SIZE")
    if options["max_size"] is None:
        options["max_size"] = environment_int("WEBSOCKET_MAX_SIZE", _MAX_SIZE)
    options["request_max_size"] = options.pop("REQUEST_MAX_SIZE", None)
    if options["request_max_size"] is None:
        options["request_max_size"] = environment_int("REQUEST_MAX_SIZE", _REQUEST_MAX_SIZE)
    length = _one_of(options, "queue_len", "queue_size")
    if length is not None:
        check_size("queue_len", length)
        if options.get("outbox", DEFAULT_OUTBOX) is not DEFAULT_OUTBOX:
            raise TypeError("queue_len= and outbox= say the same; use one of them")
        options["outbox"] = Latest(max_keys=length)
    options.pop("uri", None)  # the reference ignores it, too
    options["origins"] = _origins(options)
    return options


def _one_of(options: dict[str, Any], name: str, other: str) -> Any:
    """The value of an option that has two names."""
    values = [options.pop(name, None), options.pop(other, None)]
    if None not in values:
        raise TypeError(f"{name}= and {other}= say the same; use one of them")
    return next((value for value in values if value is not None), None)


def _origins(options: dict[str, Any]) -> Any:
    """``origins``, with the pages that the other options name."""
    origins = options.get("origins", DEFAULT)
    pages = _split(options.pop("cors"))
    if origins is None or "*" in pages:
        return None
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        return origins  # to be refused
    for page in (options.get("client_url"), options["domain"]):
        if isinstance(page, str) and page != DEFAULT_DOMAIN:
            parts = urlsplit(page.partition("{")[0])
            if parse_origin(origin := f"{parts.scheme}://{parts.netloc}") is not None:
                pages.append(origin)
    return (*origins, *pages)  # it is asked more than once


def _split(cors: Any) -> list[str]:
    """Raises TypeError and ValueError."""
    if cors is None:
        return []
    if isinstance(cors, str):
        cors = cors.split(",")
    elif not isinstance(cors, Iterable):
        raise TypeError(must_be("cors", "origins, separated by commas", cors, "use '*' for all"))
    pages = [str(page).strip().rstrip("/") for page in cors]
    for page in pages:
        if page not in ("", "*") and parse_origin(page) is None:
            what = "a scheme, a host and perhaps a port"
            raise ValueError(must_be("each of cors", what, page, "use 'https://example.com'"))
    return [page for page in pages if page]
