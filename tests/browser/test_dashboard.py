"""The operators' dashboard before a server with the scripted engine: that it shows what is so."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.browser.dashboard_fixtures import Opener, Starter
from tests.browser.dashboard_page import DashboardPage
from tests.browser.fake_server import FakeServer

pytestmark = pytest.mark.browser

HOSTILE = '<img src=x onerror="window.broken=1">'


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
    # The browser tells of the drawer's end a moment after it is hidden.
    expect(page.page).not_to_have_url(re.compile("#"))


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
    expect(page.page).to_have_url(re.compile("#session/"))
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
    in_step = page.page.get_by_role("slider", name="Memory, along the time")
    expect(in_step).not_to_have_attribute("aria-valuetext", re.compile("^latest"))
    plot.blur()
    expect(in_step).to_have_attribute("aria-valuetext", re.compile("^latest"))


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
