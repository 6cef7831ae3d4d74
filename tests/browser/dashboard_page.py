"""The dashboard as tests use it: what it shows, by the words that people read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Route, expect

from tests.browser.watched_page import WatchedPage

NO_BREAK = "\u00a0"


class DashboardPage(WatchedPage):
    """The dashboard in a browser."""

    def open(self, monitoring_url: str, address: str = "") -> None:
        self.page.goto(f"{monitoring_url}/dashboard{address}")

    def wait_state(self, state: str) -> None:
        """Of the link to the server: loading, live, paused, lost or token."""
        expect(self.page.locator("#link")).to_have_attribute("data-state", state, timeout=15_000)

    def wait_refreshed(self) -> None:
        """Until another answer has come and is shown."""
        with self.page.expect_response("**/dashboard/data"):
            pass
        # What is done with an answer ends in one go; this waits behind it.
        self.page.wait_for_timeout(100)

    def text(self, name: str) -> str:
        """Of the element with that id, with ordinary spaces."""
        return self.page.locator(f"#{name}").inner_text().replace(NO_BREAK, " ")

    def facts(self, name: str) -> dict[str, str]:
        """A list of names and values, by name."""
        rows = self.page.locator(f"#{name} > div")
        return {
            row.locator("dt").inner_text(): row.locator("dd").inner_text().replace(NO_BREAK, " ")
            for row in rows.all()
        }

    def counts(self) -> dict[tuple[str, str], int]:
        """Errors, refusals and rejections by code and kind."""
        rows = self.page.locator("#counts tr").all()
        cells = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]
        return {(code, kind): int(count) for code, kind, count in cells}

    @property
    def session_names(self) -> list[str]:
        return self.page.locator("#sessions bdi").all_inner_texts()

    def session_row(self, session_id: str) -> dict[str, str]:
        """A row of the table of sessions, by the words at the head of its columns."""
        heads = self.page.locator("#sessions-table thead th").all_inner_texts()
        link = self.page.get_by_role("link", name=session_id, exact=True)
        row = self.page.locator("#sessions tr").filter(has=link)
        cells = [text.replace(NO_BREAK, " ") for text in row.locator("th, td").all_inner_texts()]
        return dict(zip(heads, cells, strict=True))

    def session_link(self, session_id: str) -> Locator:
        return self.page.locator("#sessions").get_by_role("link", name=session_id, exact=True)

    def open_session(self, session_id: str) -> Locator:
        """Open the drawer with that session; gives the drawer."""
        self.session_link(session_id).click()
        drawer = self.page.get_by_role("dialog", name=session_id)
        expect(drawer).to_be_visible()
        expect(drawer.locator("#session-state")).not_to_have_text("Loading")
        return drawer

    def change_data(self, change: Callable[[dict[str, Any]], None]) -> None:
        """From now on have `change` alter each answer of the server before the page sees it."""

        def alter(route: Route) -> None:
            answer = route.fetch()
            data = answer.json()
            change(data)
            route.fulfill(response=answer, body=json.dumps(data))

        self.page.route("**/dashboard/data", alter)

    def assert_accessible(self) -> None:
        found = Axe().run(self.page).response["violations"]
        assert found == [], json.dumps(found, indent=1)[:4_000]

    def assert_fits(self) -> None:
        """Nothing is wider than the window."""
        wide, window = self.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert wide <= window
