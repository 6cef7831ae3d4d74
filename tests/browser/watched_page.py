"""A page of ours in a browser, and what it complained of on its console."""

from __future__ import annotations

from playwright.sync_api import ConsoleMessage, Page


class WatchedPage:
    """`errors` are those of the console and of scripts so far."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        self.expects_errors = False
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"{message.text} ({message.location.get('url')})")
