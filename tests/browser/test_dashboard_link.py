"""The dashboard and its server: the token, a server that is gone or of no use, a page nobody looks at."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.dashboard_fixtures import Opener, Starter
from tests.browser.dashboard_page import DashboardPage
from tests.browser.fake_server import FakeServer

pytestmark = pytest.mark.browser

TOKEN = "operators-only-4711"  # noqa: S105


def test_token_is_asked_for_and_kept_in_the_tab(
    start_server: Starter, open_dashboard: Opener
) -> None:
    server = start_server(MONITORING_TOKEN=TOKEN)
    page = open_dashboard(server)
    page.expects_errors = True  # the browser notes each 401
    page.wait_state("token")
    field = page.page.get_by_label("Monitoring token")
    expect(field).to_be_focused()
    assert not page.page.locator("#numbers").is_visible()
    page.assert_accessible()
    field.fill("wrong")
    field.press("Enter")
    expect(page.page.locator("#token-error")).to_contain_text("does not take that token")
    field.fill(TOKEN)
    field.press("Enter")
    page.wait_state("live")
    assert page.text("readiness") == "Ready"
    page.page.reload()
    page.wait_state("live")
    assert TOKEN not in page.page.url
    assert page.page.evaluate("JSON.stringify({...localStorage}) + document.cookie") == "{}"
    open_dashboard(server, before=expect_errors).wait_state("token")


def test_token_is_asked_for_over_an_open_session(
    server: FakeServer, open_dashboard: Opener
) -> None:
    with server.stream("call-1"):
        page = open_dashboard(server)
        page.expects_errors = True
        drawer = page.open_session("call-1")
        page.page.route("**/dashboard/data", lambda route: route.fulfill(status=401, body="{}"))
        expect(page.page.get_by_label("Monitoring token")).to_be_focused()
        expect(drawer).to_be_hidden()


def expect_errors(page: DashboardPage) -> None:
    page.expects_errors = True


def test_lost_server_is_told_and_its_return_noticed(
    start_server: Starter, open_dashboard: Opener
) -> None:
    server = start_server()
    page = open_dashboard(server)
    page.expects_errors = True
    page.wait_state("live")
    shown = page.text("memory")
    server.stop()
    page.wait_state("lost")
    expect(page.page.locator("#lost")).to_contain_text("it cannot be reached")
    expect(page.page.locator("#lost")).to_contain_text("s old")
    expect(page.page.locator("#announcer")).to_contain_text("No answer")
    assert page.text("readiness") == "Unknown"
    assert page.text("memory") == shown
    expect(page.page.locator("body")).to_have_class("stale")
    page.assert_accessible()
    start_server(port=server.websocket_port, monitoring_port=server.monitoring_port)
    page.wait_state("live")
    expect(page.page.locator("#lost")).to_be_hidden()
    assert page.text("readiness") == "Ready"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ({"status": 500, "body": "{}"}, "it answers with status 500"),
        ({"status": 200, "body": "<html>"}, "its answer cannot be read"),
        ({"status": 200, "body": "{}"}, "its answer cannot be shown"),
    ],
)
def test_useless_answer_is_told(
    quiet: FakeServer, open_dashboard: Opener, answer: dict[str, Any], told: str
) -> None:
    def spoil(page: DashboardPage) -> None:
        page.expects_errors = True
        page.page.route("**/dashboard/data", lambda route: route.fulfill(**answer))

    page = open_dashboard(quiet, before=spoil)
    page.wait_state("lost")
    assert told in page.text("lost")
    assert "Nothing is known of it yet" in page.text("lost")
    page.page.unroute("**/dashboard/data")
    page.wait_state("live")


def test_server_that_hangs_is_told(quiet: FakeServer, open_dashboard: Opener) -> None:
    def never(page: DashboardPage) -> None:
        page.page.route("**/dashboard/data", lambda route: None)

    page = open_dashboard(quiet, before=never)
    page.wait_state("loading")
    assert page.text("sessions-empty") == "Waiting for the server"
    page.wait_state("lost")
    assert "it does not answer" in page.text("lost")


def test_hidden_tab_does_not_ask(quiet: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(quiet)
    page.wait_state("live")
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    hide(page, hidden=True)
    page.page.wait_for_timeout(2_600)
    # One may have been about to leave.
    assert len(asked) <= 1
    asked.clear()
    hide(page, hidden=False)
    page.page.wait_for_timeout(300)
    assert len(asked) == 1


def hide(page: DashboardPage, *, hidden: bool) -> None:
    page.page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_pause_keeps_what_is_shown(server: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(server)
    page.wait_state("live")
    page.page.get_by_role("button", name="Pause").click()
    page.wait_state("paused")
    with server.stream("call-late"):
        page.page.wait_for_timeout(2_600)
        assert page.session_names == []
        assert "old" in page.text("link-text")
        page.page.get_by_role("button", name="Pause").click()
        page.wait_state("live")
        expect(page.session_link("call-late")).to_be_visible()
