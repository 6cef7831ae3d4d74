"""What the page says when it is not let in, or not any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import sha256

import psutil
import pytest

from tests.browser.conftest import ELSEWHERE, OpenDemo
from tests.browser.demo_page import DemoPage

pytestmark = pytest.mark.browser

KEY = "ftk_a-key-of-this-test-alone-0123456789"

StartServer = Callable[..., tuple[str, psutil.Process]]


@pytest.fixture
def start_server() -> Iterator[StartServer]:
    """Starts a server with a scripted engine and such settings; gives its address and its process."""
    with ExitStack() as stack:

        def start(**settings: str) -> tuple[str, psutil.Process]:
            command = [sys.executable, "-m", "tools.serve_fake", "--port", "0"]
            process = stack.enter_context(
                subprocess.Popen(
                    [*command, "--monitoring-port", "0"],
                    env=os.environ | {"CONNECTION_RATE_LIMIT": "0"} | settings,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            return f"http://127.0.0.1:{ports['websocket_port']}", psutil.Process(process.pid)

        yield start


def play_sample(demo: DemoPage) -> None:
    demo.expects_errors = True  # Chromium itself notes each refused connection
    demo.page.get_by_role("button", name="Play the sample").click()


def test_a_key_is_asked_for_and_used(open_demo: OpenDemo, start_server: StartServer) -> None:
    http_url, _ = start_server(API_KEYS=f"browser:{sha256(KEY.encode()).hexdigest()}")
    demo = open_demo(http_url)
    box = demo.page.get_by_role("dialog", name="Key or token")
    play_sample(demo)
    box.wait_for()
    assert "needs a key or a token" in box.inner_text()
    for wrong in ("wrong", "not a token/"):
        box.get_by_label("API key or token").fill(wrong)
        box.get_by_role("button", name="Connect").click()
        box.get_by_text("does not know" if wrong == "wrong" else "letters, digits").wait_for()
    box.get_by_label("API key or token").fill(KEY)
    box.get_by_label("API key or token").press("Enter")
    demo.wait_live()
    assert KEY not in demo.page.content()
    demo.stop()


def test_a_full_server_says_so(open_demo: OpenDemo, start_server: StartServer) -> None:
    http_url, _ = start_server(WEBSOCKET_MAX_CONNECTIONS="1")
    first = open_demo(http_url)
    play_sample(first)
    first.wait_live()
    second = open_demo(http_url)
    play_sample(second)
    assert second.wait_notice() == "The server is full (1 of 1 connections). Try again in a moment."
    first.stop()
    second.page.get_by_role("button", name="Try again").press("Enter")
    second.wait_live()
    assert second.page.locator("#stop").evaluate("stop => stop === document.activeElement")
    assert second.notice == ""


def test_a_server_that_stops_or_is_gone_says_so(
    open_demo: OpenDemo, start_server: StartServer
) -> None:
    http_url, process = start_server()
    demo = open_demo(http_url)
    play_sample(demo)
    demo.wait_live()
    process.terminate()
    assert "shutting down" in demo.wait_notice()
    demo.wait_idle(5)
    process.wait(20)
    demo.page.get_by_role("button", name="Try again").click()
    assert "cannot be reached" in demo.wait_notice()
    demo.wait_idle(5)


def test_a_lost_connection_is_told(open_demo: OpenDemo, start_server: StartServer) -> None:
    http_url, process = start_server()
    demo = open_demo(http_url)
    play_sample(demo)
    demo.wait_live()
    process.kill()
    assert demo.wait_notice() == "The connection to the server was lost."
    assert demo.page.get_by_role("button", name="Try again").is_visible()


def test_a_network_that_does_not_keep_up_ends_the_session(
    open_demo: OpenDemo, start_server: StartServer
) -> None:
    http_url, _ = start_server()
    stuck = "Object.defineProperty(WebSocket.prototype, 'bufferedAmount', { get: () => 3e6 })"
    demo = open_demo(http_url, prepare=lambda page: page.add_init_script(stuck))
    play_sample(demo)
    assert "too slow" in demo.wait_notice()
    demo.wait_idle(5)


def test_a_refused_microphone_is_told(open_demo: OpenDemo, start_server: StartServer) -> None:
    http_url, _ = start_server()
    demo = open_demo(http_url, allows=False)
    demo.page.get_by_role("button", name="Start the microphone").click()
    assert "not allowed" in demo.wait_notice()
    demo.wait_idle(5)


def test_a_page_that_may_not_use_audio_says_where_it_may(
    open_demo: OpenDemo, start_server: StartServer
) -> None:
    http_url, _ = start_server()
    demo = open_demo(http_url.replace("127.0.0.1", ELSEWHERE))
    demo.expects_errors = True  # Chromium notes which headers it ignores there
    for name in ("Start the microphone", "Play the sample"):
        demo.page.get_by_role("button", name=name).click()
        assert "only over HTTPS or on localhost" in demo.wait_notice()
        demo.wait_idle(5)
        demo.page.get_by_role("button", name="Close this message").press("Enter")
        start = demo.page.get_by_role("button", name="Start the microphone")
        assert start.evaluate("start => start === document.activeElement")
    demo.page.get_by_role("heading", name="On the wire").click()
    demo.page.get_by_role("button", name="Copy").click()
    assert "does not let this page copy" in demo.wait_notice()
