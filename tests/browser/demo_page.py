"""The demo page as tests use it: its buttons, what it shows, and what it measured."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from tests.browser.watched_page import WatchedPage

FRAME_S = 0.032
START_LIMIT_S = 20.0
POLL_MS = 100


class DemoPage(WatchedPage):
    """The demo in a browser."""

    def open(self, http_url: str) -> None:
        self.page.goto(f"{http_url}/demo")
        self.wait_idle(START_LIMIT_S)

    def start_microphone(self) -> None:
        self.page.get_by_role("button", name="Start the microphone").click()
        self.wait_live()

    def pick(self, recording: Path) -> None:
        with self.page.expect_file_chooser() as chooser:
            self.page.get_by_role("button", name="Choose a recording").click()
        chooser.value.set_files(recording)
        self.wait_live()

    def wait_live(self) -> None:
        self._wait_state("live", START_LIMIT_S)

    def wait_idle(self, within_s: float) -> None:
        self._wait_state("idle", within_s)

    def _wait_state(self, state: str, within_s: float) -> None:
        # An attribute: waiting for a JavaScript condition is an eval, which the page's policy forbids.
        self.page.locator(f"#status[data-state={state}]").wait_for(timeout=within_s * 1000)

    def stop(self, within_s: float = 20) -> None:
        self.page.get_by_role("button", name="Stop").click()
        self.wait_idle(within_s)

    def wait_heard(self, seconds: float) -> None:
        """Until so much audio has been sent."""
        deadline_s = time.monotonic() + seconds + START_LIMIT_S
        while self.measurements["framesSent"] * FRAME_S < seconds:
            assert time.monotonic() < deadline_s, f"{self.measurements['framesSent']} frames"
            self.page.wait_for_timeout(POLL_MS)

    @property
    def measurements(self) -> dict[str, Any]:
        """As measurements.js has them: seconds of the page's audio clock."""
        found: dict[str, Any] = self.page.evaluate("window.fasttalkDemo.measurements")
        return found

    @property
    def text(self) -> str:
        """All final words that are shown, without rejections."""
        lines = self.page.locator("#utterances li:not(.rejected) .words").all_inner_texts()
        return " ".join(lines)

    @property
    def notice(self) -> str:
        """What the page complains of, "" where it does not."""
        notice = self.page.locator("#notice")
        return self.page.locator("#notice-text").inner_text() if notice.is_visible() else ""

    def wait_notice(self, within_s: float = 20) -> str:
        self.page.locator("#notice").wait_for(timeout=within_s * 1000)
        return self.notice
