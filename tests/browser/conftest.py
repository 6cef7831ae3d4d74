"""A real browser before a real server.

Chromium plays a WAV file as its microphone, so each recording has a browser of its own. A page must
end without an error on its console, unless a test expects one: see `DemoPage.expects_errors`.
Playwright's synchronous API has an event loop of its own in this thread: no test here is async.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, sync_playwright

from tests.browser.demo_page import DemoPage
from tests.integration.conftest import real_server, samples

__all__ = ["real_server", "samples"]

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")

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


@pytest.fixture
def open_demo(playwright: Playwright, program: str) -> Iterator[OpenDemo]:
    """Opens the demo of a server in a browser of its own.

    `microphone` is a WAV file, played once from the moment the page opens the device; `allows` whether
    people would allow it; `prepare` is called with the page before it loads; `context` goes to
    Playwright (viewport, color_scheme ...).
    """
    pages: list[DemoPage] = []
    with ExitStack() as stack:

        def open_it(
            http_url: str,
            *,
            microphone: Path | None = None,
            allows: bool = True,
            prepare: Callable[[Page], object] = lambda page: None,
            **context: Any,
        ) -> DemoPage:
            asked = "--use-fake-ui-for-media-stream" if allows else "--deny-permission-prompts"
            # Without %noloop Chromium plays a recording again and again.
            file = f"--use-file-for-fake-audio-capture={microphone}%noloop"
            browser = playwright.chromium.launch(
                executable_path=program,
                args=[*ARGUMENTS, asked, *([file] if microphone else [])],
            )
            stack.callback(browser.close)
            page = DemoPage(browser.new_context(**context).new_page())
            prepare(page.page)
            pages.append(page)
            page.open(http_url)
            return page

        yield open_it
    for page in pages:
        assert page.errors == [] or page.expects_errors
