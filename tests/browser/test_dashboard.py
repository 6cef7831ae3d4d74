"""The operators' dashboard before a server with the scripted engine: that it shows what is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.conftest import ARGUMENTS
from tests.browser.dashboard_page import DashboardPage
from tests.browser.fake_server import FakeServer, fake_server

pytestmark = pytest.mark.browser

TOKEN = "operators-only-4711"  # noqa: S105

HOSTILE = '<img src=x onerror="window.broken=1">'

Opener = Callable[..., DashboardPage]
Starter = Callable[..., FakeServer]


@pytest.fixture(scope="module")
def browser(playwright: Playwright, program: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=program, args=[*ARGUMENTS])
    yield browser
    browser.close()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Starter]:
    """Starts servers that live until the pages before them are closed; arguments as `fake_server`'s."""
    with ExitStack() as stack:

        def start(*arguments: str, **values: Any) -> FakeServer:
            log = tmp_path / f"{len(list(tmp_path.iterdir()))}.log"
            return stack.enter_context(fake_server(log, *arguments, **values))

        yield start


@pytest.fixture
def open_dashboard(browser: Browser, start_server: Starter) -> Iterator[Opener]:
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
            made = browser.new_context(**context)
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


def test_numbers_are_those_of_stats_and_metrics(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    page.wait_state("live")
    stats, health = busy.get_json("/stats"), busy.get_json("/health")
    assert page.text("connections") == str(stats["active_connections"]) == "2"
    assert page.text("connections-max").strip() == f"of {health['capacity']['max_connections']}"
    states = {name: count for name, count in stats["connections_by_state"].items() if count}
    assert page.text("connections-note") == " · ".join(
        f"{count} {name}" for name, count in states.items()
    )
    assert page.text("headroom") == str(health["capacity"]["headroom_streams"])
    assert page.text("readiness") == "Ready"
    assert page.facts("engine")["Model"] == health["model"]["name"]
    totals = page.facts("totals")
    assert totals["Connections"] == str(stats["total_connections"]) == "3"
    assert float(totals["Sessions"]) == busy.metric("sessions_started_total") == 3
    assert float(totals["Texts sent"]) == busy.metric("transcriptions_total") == 3
    audio_s = busy.metric("audio_received_seconds_total")
    assert totals["Audio heard"] == f"{audio_s:.1f} s"
    assert page.counts() == {("invalid json", "error"): 1}
    assert busy.metric("errors_total", code="invalid_json") == 1
    assert busy.metric("breaker_state", state="closed") == 2
    assert page.page.locator("#breakers .badge").all_inner_texts() == ["closed", "closed"]
    assert page.session_names == ["call-2", "call-1", "call-ended"]


def test_table_has_what_the_sessions_did(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    page.wait_state("live")
    heard = page.session_row("call-1")
    assert heard["State"].strip() == "live"
    assert (heard["Texts"], heard["Errors"]) == ("2", "1")
    assert heard["User, conversation"] == "ada"
    assert 0 < float(heard["p50"].replace(",", "")) <= float(heard["p95"].replace(",", ""))
    stats = busy.get_json("/stats")["processing_stats"]["call-1"]
    assert float(heard["RTF"]) == pytest.approx(stats["real_time_factor"], abs=0.006)
    assert page.session_row("call-2")["p50"] == "–"
    assert page.session_row("call-ended")["State"].startswith("ended")


def test_session_shows_its_events(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    drawer = page.open_session("call-1")
    events = drawer.locator("#events .badge").all_inner_texts()
    assert events.count("transcription") == 2
    assert events.count("error") == 1
    assert events[-1] == "started"
    row = drawer.locator("#events tr").filter(has_text="transcription").first
    assert "4 words" in row.inner_text()
    assert "ms" in row.locator("td").nth(4).inner_text()
    account = page.facts("account-key")
    assert set(account) >= {"transcribed", "silence"}
    # The words themselves are not in the data, unless the operator wants them there.
    assert "“" not in drawer.inner_text()
    page.page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()
    expect(page.session_link("call-1")).to_be_focused()
    assert "#" not in page.page.url


def test_open_session_follows_what_happens(server: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(server)
    with server.stream("call-3") as stream:
        drawer = page.open_session("call-3")
        expect(drawer.locator("#events tr")).to_have_count(1)
        stream.speak()
        expect(drawer.locator("#events")).to_contain_text("transcription")
    expect(drawer.locator("#session-state")).to_contain_text("ended")


def test_address_opens_a_session(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    page.open_session("call-1")
    again = open_dashboard(busy, page.page.url.partition("/dashboard")[2])
    expect(again.page.get_by_role("dialog", name="call-1")).to_be_visible()


def test_session_that_is_not_kept_is_said(quiet: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(quiet, "#session/unknown")
    page.expects_errors = True
    expect(page.page.locator("#session-trouble")).to_contain_text("keeps this session no longer")


def test_search_and_live_only(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    page.wait_state("live")
    page.page.get_by_label("live only").check()
    assert page.session_names == ["call-2", "call-1"]
    page.page.get_by_label("Find").fill("ADA")
    assert page.session_names == ["call-1"]
    page.page.get_by_label("Find").fill("nobody")
    expect(page.page.locator("#sessions-empty")).to_have_text("None of 3 sessions fits.")
    page.wait_refreshed()
    assert page.session_names == []


def test_hostile_names_are_text(server: FakeServer, open_dashboard: Opener) -> None:
    with server.stream(HOSTILE, user_id=HOSTILE, conversation_id="</td><script>broken=1</script>"):
        page = open_dashboard(server)
        drawer = page.open_session(HOSTILE)
        assert page.session_names == [HOSTILE]
        assert drawer.locator("h2").inner_text() == HOSTILE
        assert page.facts("session-facts")["User"] == HOSTILE
        assert page.page.locator("main img, main script, dialog img, dialog script").count() == 0
        assert page.page.evaluate("window.broken") is None


def test_nothing_in_the_data_becomes_html(busy: FakeServer, open_dashboard: Opener) -> None:
    def spoil(data: dict[str, Any]) -> None:
        def spoiled(value: Any) -> Any:
            if isinstance(value, dict):
                return {key: spoiled(each) for key, each in value.items()}
            if isinstance(value, list):
                return [spoiled(each) for each in value]
            return HOSTILE if isinstance(value, str) else value

        now, sessions = data["now"], data["sessions"]
        for name, value in data.items():
            data[name] = spoiled(value)
        data["now"] = now
        data["totals"]["errors"] = {HOSTILE: 1}
        data["connections"]["by_state"][HOSTILE] = 1
        data["reasons"] = [HOSTILE]
        for spoilt, session in zip(data["sessions"], sessions, strict=True):
            spoilt.update(key=session["key"], started_at=session["started_at"])

    page = open_dashboard(busy, before=lambda page: page.change_data(spoil))
    page.wait_state("live")
    assert HOSTILE in page.text("reasons")
    assert HOSTILE in page.text("connections-note")
    assert page.facts("engine")["Model"] == HOSTILE
    assert page.page.locator("main img, main script").count() == 0
    assert page.page.evaluate("window.broken") is None


def test_empty_server(quiet: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(quiet)
    page.wait_state("live")
    expect(page.page.locator("#sessions-empty")).to_contain_text("No session yet")
    assert page.text("connections-note") == "nobody is connected"
    assert page.text("latency") == "–"
    assert "Nothing in this time" in page.page.locator(".plot-empty").first.inner_text()
    expect(page.page.locator("#counts-empty")).to_be_visible()


def test_charts_are_told_and_walked_by_keyboard(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy)
    page.wait_state("live")
    plot = page.page.get_by_role("slider", name="Streams, along the time")
    # The history has its first step after 5 s.
    latest = re.compile("latest: connected 2, sessions 2, audio s/s ")
    expect(plot).to_have_attribute("aria-valuetext", latest, timeout=10_000)
    figure = page.page.locator("figure").filter(has=plot)
    expect(figure.locator("figcaption")).to_contain_text("Streams in the last 5 min: connected 2")
    errors = page.page.get_by_role("slider", name="Errors, along the time")
    expect(errors).to_have_attribute("aria-valuetext", "in all: errors told to clients 1")
    plot.focus()
    page.page.keyboard.press("Home")
    first = plot.get_attribute("aria-valuetext")
    assert first is not None
    assert not first.startswith("latest")
    page.wait_refreshed()
    expect(plot).to_be_focused()


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


def test_refresh_moves_neither_focus_nor_layout(busy: FakeServer, open_dashboard: Opener) -> None:
    page = open_dashboard(busy, viewport={"width": 1280, "height": 900})
    page.wait_state("live")
    page.session_link("call-1").focus()
    boxes = places(page)

    def turn(data: dict[str, Any]) -> None:
        data["sessions"].reverse()
        data["connections"]["active"] = 49
        data["engine"]["queue"] = dict.fromkeys(data["engine"]["queue"], 12)
        data["uptime_s"] = 1e6
        data["memory"]["process_bytes"] = 123_456_789_012

    page.change_data(turn)
    page.wait_refreshed()
    expect(page.page.locator("#connections")).to_have_text("49")
    assert page.session_names == ["call-ended", "call-1", "call-2"]
    expect(page.session_link("call-1")).to_be_focused()
    assert places(page) == boxes


def places(page: DashboardPage) -> list[Any]:
    parts = page.page.locator(".tile, .panel, .plot, #link, #pause")
    return [each.bounding_box() for each in parts.all()]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_page_fits_and_is_accessible(
    busy: FakeServer, open_dashboard: Opener, width: int, scheme: str
) -> None:
    page = open_dashboard(busy, viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.wait_state("live")
    page.assert_fits()
    page.assert_accessible()
    page.open_session("call-1")
    page.assert_fits()
    page.assert_accessible()


def test_policy_forbids_what_the_page_does_not_need(
    quiet: FakeServer, open_dashboard: Opener
) -> None:
    page = open_dashboard(quiet)
    page.expects_errors = True
    page.wait_state("live")
    refused = page.page.evaluate(
        """() => {
            try { document.body.innerHTML = "<b>x</b>"; return false; } catch { return true; }
        }"""
    )
    assert refused


def test_refusal_is_counted(start_server: Starter, open_dashboard: Opener) -> None:
    server = start_server(WEBSOCKET_MAX_CONNECTIONS="1")
    with server.stream("only"):
        with pytest.raises(InvalidStatus, match="503"):
            connect(f"ws://127.0.0.1:{server.websocket_port}/ws/transcribe", proxy=None)
        page = open_dashboard(server)
        page.wait_state("live")
        assert page.counts() == {("server full", "refusal"): 1}


def test_open_breaker_is_told_with_its_cause(start_server: Starter, open_dashboard: Opener) -> None:
    server = start_server("--faults", "gpu@1-99", GPU_FAILURE_THRESHOLD="1")
    with server.stream("unlucky") as stream:
        stream.say()
        stream.wait_for("error")
        page = open_dashboard(server)
        page.wait_state("live")
        assert page.text("readiness") == "Not ready"
        assert page.text("reasons").startswith("No new connection is taken: ")
        breaker = page.page.locator("#breakers li").filter(has_text="GPU")
        expect(breaker.locator(".badge")).to_have_text(re.compile(r"open, \d.*left"))
        expect(breaker.locator("small")).to_contain_text("last cause: ")
        assert page.session_row("unlucky")["Errors"] == "1"
