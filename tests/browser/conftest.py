"""A real browser before a real server.

Chromium plays a WAV file as its microphone, so each such file has a browser of its own. A page must
end without an error on its console, unless a test expects one: see `DemoPage.expects_errors`.
Playwright's synchronous API has an event loop of its own in this thread: no test here is async.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.browser.dashboard_fixtures import (
    busy,
    open_dashboard,
    quiet,
    server,
    start_server,
)
from tests.browser.demo_page import DemoPage
from tests.integration.conftest import real_server, samples

__all__ = [
    "busy",
    "open_dashboard",
    "quiet",
    "real_server",
    "samples",
    "server",
    "start_server",
]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

ELSEWHERE = "stt.test"
"""This machine by a name that is not localhost: over HTTP browsers do not trust it."""

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1",
)

OpenDemo = Callable[..., DemoPage]


@pytest.fixture(scope="session")
def program() -> str:
    """Where Chromium is; CHROMIUM names another one."""
    named = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else []
    for name in [*named, *PROGRAMS]:
        if found := shutil.which(name):
            return found
    pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")


@pytest.fixture(scope="session")
def playwright(program: str) -> Iterator[Playwright]:
    del program  # without it there is nothing to play with
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="session")
def browsers(playwright: Playwright, program: str) -> Iterator[Callable[..., Browser]]:
    """Browsers by their microphone and whether people allow it: a start takes a second or more."""
    started: dict[tuple[Path | None, bool], Browser] = {}

    def browser(microphone: Path | None, allows: bool) -> Browser:
        if (microphone, allows) not in started:
            asked = "--use-fake-ui-for-media-stream" if allows else "--deny-permission-prompts"
            # Without %noloop Chromium plays a recording again and again.
            file = f"--use-file-for-fake-audio-capture={microphone}%noloop"
            started[microphone, allows] = playwright.chromium.launch(
                executable_path=program,
                args=[*ARGUMENTS, asked, *([file] if microphone else [])],
            )
        return started[microphone, allows]

    try:
        yield browser
    finally:
        for each in started.values():
            each.close()


@pytest.fixture
def open_demo(browsers: Callable[..., Browser]) -> Iterator[OpenDemo]:
    """Opens the demo of a server.

    `microphone` is a WAV file, played once from the moment the page opens the device; `allows` whether
    people would allow it; `prepare` is called with the page before it loads; `context` goes to
    Playwright (viewport, color_scheme ...).
    """
    pages: list[DemoPage] = []

    def open_it(
        http_url: str,
        *,
        microphone: Path | None = None,
        allows: bool = True,
        prepare: Callable[[Page], object] = lambda page: None,
        **context: Any,
    ) -> DemoPage:
        demo = DemoPage(browsers(microphone, allows).new_context(**context).new_page())
        pages.append(demo)
        prepare(demo.page)
        demo.open(http_url)
        return demo

    try:
        yield open_it
    finally:
        for demo in pages:
            demo.page.context.close()
    for demo in pages:
        assert demo.errors == [] or demo.expects_errors
