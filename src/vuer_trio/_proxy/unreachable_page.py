"""What a client gets if the server behind a proxy does not answer."""

from __future__ import annotations

import html

from .._net.http_request import HttpRequest

__all__ = ["unreachable"]

#: seconds until a browser tries again
_AGAIN = 2
_PAGE = """<!doctype html>
<meta charset="utf-8">
<meta http-equiv="refresh" content="{again}">
<title>502: no server behind the proxy</title>
<h1>There is no server behind this proxy</h1>
<p>{why}</p>
<p>Start the server, or start the proxy with its right address. This page tries again by itself,
every {again} seconds.</p>
"""
_TEXT = """\
there is no server behind this proxy: {why}
Start the server, or start the proxy with its right address, and try again.
"""


def unreachable(request: HttpRequest, why: str) -> tuple[list[tuple[str, str]], bytes]:
    """Headers and body of a reply with status 502: a page for a browser, else plain text."""
    fields = [("retry-after", str(_AGAIN)), ("cache-control", "no-store")]
    wants_page = "text/html" in (request.header("accept") or "").lower()
    if wants_page and request.method in ("GET", "HEAD"):
        page = _PAGE.format(why=html.escape(why), again=_AGAIN)
        return [("content-type", "text/html; charset=utf-8"), *fields], page.encode()
    text = _TEXT.format(why=why)
    return [("content-type", "text/plain; charset=utf-8"), *fields], text.encode()
