"""What a page asks for, and what goes wrong in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Response

__all__ = ["PageWatch"]


class PageWatch:
    """To be called with a page before that is opened."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        #: requests that failed, answers from 400 on, errors that nobody caught, or in the console
        self.wrong: list[str] = []
        #: in the console
        self.warnings: list[str] = []

    def __call__(self, page: Page) -> None:
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.wrong.append(f"failed: {request.url}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(f"console: {message.text}")
        elif message.type == "warning":
            self.warnings.append(message.text)

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.wrong.append(f"{response.status}: {response.url}")

    def left(self, url: str) -> list[str]:
        """The requests that are not for this address, and what is below it."""
        ours = (url, url.replace("http", "ws"), "blob:", "data:")
        return [request[:100] for request in self.requests if not request.startswith(ours)]
