"""Servers with the scripted engine, and the dashboard before them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.dashboard_page import DashboardPage
from tests.browser.fake_server import FakeServer, fake_server

Opener = Callable[..., DashboardPage]
Starter = Callable[..., FakeServer]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Starter]:
    """Starts servers that live until the pages before them are closed; arguments as `fake_server`'s."""
    with ExitStack() as stack:

        def start(*arguments: str, **values: Any) -> FakeServer:
            log = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            return stack.enter_context(fake_server(log, *arguments, **values))

        yield start


@pytest.fixture
def open_dashboard(browsers: Callable[..., Browser], start_server: Starter) -> Iterator[Opener]:
    """Opens it: `open_dashboard(server, address="", before=None, **context)`.

    `before` gets the page before it is loaded; `context` goes to Playwright (viewport ...).
    """
    del start_server  # only to be closed before them
    pages: list[DashboardPage] = []
    with ExitStack() as stack:

        def open_it(
            server: FakeServer,
            address: str = "",
            *,
            before: Callable[[DashboardPage], None] | None = None,
            **context: Any,
        ) -> DashboardPage:
            made = browsers(None, True).new_context(**context)
            stack.callback(made.close)
            page = DashboardPage(made.new_page())
            # An answer that is being altered at the end matters to nobody.
            stack.callback(page.page.unroute_all, behavior="ignoreErrors")
            pages.append(page)
            if before is not None:
                before(page)
            page.open(server.monitoring_url, address)
            return page

        yield open_it
    for page in pages:
        assert page.errors == [] or page.expects_errors


@pytest.fixture
def server(start_server: Starter) -> FakeServer:
    return start_server()


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """For tests that only look: a server that nobody has ever spoken to."""
    with fake_server(tmp_path_factory.mktemp("quiet") / "server.log") as server:
        yield server


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """For tests that only look: two live sessions, one of them heard, one that has ended, an error."""
    with fake_server(tmp_path_factory.mktemp("busy") / "server.log") as server:
        with server.stream("call-ended") as ended:
            ended.speak()
        with server.stream("call-1", user_id="ada") as first, server.stream("call-2"):
            first.speak()
            first.speak()
            first.socket.send("{")
            first.wait_for("error")
            yield server
