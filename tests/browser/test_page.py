"""The page itself: who can use it, on what screen, and for how long."""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.browser.conftest import OpenDemo
from tests.browser.demo_page import DemoPage
from tests.browser.scripted import ScriptedServer
from tests.integration.conftest import RealServer

pytestmark = pytest.mark.browser

NARROW = {"width": 375, "height": 740}

HEAP_GROWTH_BYTES = 700_000
"""Of 340 utterances: they are 0.9 MB of messages, and the page keeps none of them."""

DROP = """async ([name, path]) => {
  const data = new DataTransfer();
  data.items.add(new File([await (await fetch(path)).blob()], name));
  document.getElementById("stage").dispatchEvent(
    new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
}"""

PAINTED_AS_SPEECH = """() => {
  const canvas = document.getElementById("waveform");
  // The wave itself does not reach the edge.
  const edge = new OffscreenCanvas(canvas.width, 1).getContext("2d");
  edge.drawImage(canvas, 0, 0);
  return edge.getImageData(0, 0, canvas.width, 1).data.some((value) => value > 0);
}"""

FOCUSABLE = "button, input, select, textarea, summary, [tabindex='0']"


@pytest.fixture
def scripted() -> ScriptedServer:
    return ScriptedServer()


def show_everything(demo: DemoPage, server: ScriptedServer) -> None:
    """Bring the page into a state in which each of its parts has something to show."""
    for name in ("Settings", "On the wire"):
        demo.page.get_by_role("heading", name=name).click()
    demo.start_microphone()
    demo.wait_heard(0.2)
    server.say("error", error={"code": "rate_limited", "message": "Too many messages: wait 1 s."})
    server.onset(1, 100)
    server.speech_ended(1, 100, 3_700)
    server.final(1, 100)
    server.onset(2, 4_000)
    server.rejected(2, 4_000, reason="backchannel", text="Mm-hm.")
    server.onset(3, 5_000)
    server.partial(3, 5_000, "And this is not", "And this")
    demo.page.locator(".partial:visible").wait_for()


def serious(page: Any) -> list[str]:
    """What axe finds that would keep somebody from using the page."""
    violations = Axe().run(page).response["violations"]
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in violations
        if each["impact"] in {"serious", "critical"}
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_people_with_impairments_are_not_kept_out(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer, scheme: str
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach, color_scheme=scheme)
    assert serious(demo.page) == []
    show_everything(demo, scripted)
    assert serious(demo.page) == []
    assert demo.page.locator("[aria-live=polite]").inner_text().startswith("Twelve words")
    demo.page.evaluate("document.getElementById('credential-box').showModal()")
    assert serious(demo.page) == []


def test_a_narrow_screen_shows_and_reaches_everything(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach, viewport=NARROW)
    starts = demo.page.locator("#stage button:visible")
    assert starts.count() == 3
    show_everything(demo, scripted)
    page = demo.page
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    controls = page.locator(FOCUSABLE).locator("visible=true")
    outside = [
        controls.nth(index).evaluate("element => element.outerHTML.slice(0, 80)")
        for index in range(controls.count())
        if (box := controls.nth(index).bounding_box()) is None
        or box["x"] < 0
        or box["x"] + box["width"] > NARROW["width"]
    ]
    assert outside == []
    # And without a pointer, tab by tab: once round, over the browser's own place at the end.
    enabled = page.locator(f":is({FOCUSABLE}):not(:disabled)").locator("visible=true").count()
    reached = set()
    for _ in range(enabled + 1):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            continue
        here = page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        assert page.evaluate("document.activeElement.matches(':focus-visible')"), here
        reached.add(here)
    assert len(reached) == enabled


def test_words_are_shaded_by_their_confidence(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    demo.start_microphone()
    demo.wait_heard(0.2)
    scripted.partial(1, 100, "Quite <b>sure", "Quite")
    demo.page.locator(".partial:visible .stable").get_by_text("Quite").wait_for()
    scripted.final(1, 100, "Quite <b>sure hm")  # 95, 70 and 30 %
    words = demo.page.locator("#utterances .word")
    words.nth(2).wait_for()
    assert words.all_inner_texts() == ["Quite", "<b>sure", "hm"]
    classes = [words.nth(index).get_attribute("class") for index in range(3)]
    assert classes == ["word", "word unsure", "word doubtful"]
    assert demo.page.locator(".partial:visible").count() == 0


def test_the_waveform_of_a_session_begins_empty(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    demo.start_microphone()
    demo.wait_heard(0.5)
    scripted.onset(1, 100)
    demo.page.locator("#vad[data-state=speech]").wait_for()
    demo.wait_heard(1.0)
    assert demo.page.evaluate(PAINTED_AS_SPEECH)
    demo.stop()
    demo.start_microphone()
    demo.wait_heard(0.5)
    assert not demo.page.evaluate(PAINTED_AS_SPEECH)


def test_a_recording_can_be_dropped(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    demo.page.evaluate(DROP, ["notes.txt", "index.html"])
    assert "notes.txt cannot be read as audio" in demo.wait_notice()
    demo.page.evaluate(DROP, ["dropped.flac", "bot.flac"])
    demo.page.get_by_text("Playing dropped.flac").wait_for()
    assert demo.notice == ""
    demo.stop()


def test_settings_reach_the_server_at_the_start_and_on_the_way(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    page = demo.page
    page.get_by_role("heading", name="Settings").click()
    page.get_by_label("Names and terms").fill("Katherine Schneider\n\n Kubernetes ")
    page.get_by_label("Audio format").select_option("f32le")
    demo.start_microphone()
    demo.wait_heard(0.2)
    config = scripted.of_type("start_session")[0]["session_config"]
    assert config["vocabulary"] == ["Katherine Schneider", "Kubernetes"]
    assert config["encoding"] == "f32le"
    assert config["sample_rate"] == demo.measurements["sampleRate"]
    assert config["fasttalk_mode"] is config["interim_results"] is True
    assert page.get_by_label("Audio format").is_disabled()
    page.get_by_label("Silence that ends an utterance").fill("800")
    page.get_by_label("Language").fill("de")
    page.get_by_label("The answer is expected to be").select_option("command")
    demo.stop()
    assert [each["config"] for each in scripted.of_type("configure")] == [
        {"endpoint_silence_ms": 800},
        {"language": "de"},
    ]
    assert scripted.of_type("context_update")[-1]["data"] == {"expected_response_type": "command"}


def test_the_servers_settings_hold_until_somebody_changes_them(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    scripted.config = {
        "language": "de",
        "endpoint_silence_ms": 730,
        "buffer_duration": 3.5,
        "vad_sensitivity": 1,
    }
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    page = demo.page
    page.get_by_role("heading", name="Settings").click()
    shown = page.locator("#settings output")
    assert shown.all_inner_texts() == ["as the server is set"] * 3
    language = page.get_by_label("Language")
    demo.start_microphone()
    assert language.input_value() == "de"
    assert shown.all_inner_texts() == ["730 ms", "3.5 s", "1 of 3"]
    language.fill("")
    page.get_by_label("Strictness").fill("3")
    demo.stop()
    demo.start_microphone()
    first, second = (each["session_config"] for each in scripted.of_type("start_session"))
    assert scripted.config.keys().isdisjoint(first)
    assert second == first | {"language": None, "vad_sensitivity": 3}
    assert shown.all_inner_texts() == ["730 ms", "3.5 s", "3 of 3"]
    demo.stop()


def test_a_long_session_takes_no_more_than_a_short_one(
    open_demo: OpenDemo, real_server: RealServer, scripted: ScriptedServer
) -> None:
    demo = open_demo(real_server.http_url, prepare=scripted.attach)
    demo.start_microphone()
    demo.wait_heard(0.2)
    debugger = demo.page.context.new_cdp_session(demo.page)
    debugger.send("Performance.enable")

    def speak(first: int, last: int) -> tuple[float, float]:
        for utterance in range(first, last + 1):
            start_ms = utterance * 4_000
            scripted.onset(utterance, start_ms)
            scripted.partial(utterance, start_ms, "Twelve words", "Twelve")
            scripted.speech_ended(utterance, start_ms, start_ms + 3_600)
            scripted.final(utterance, start_ms)
        demo.page.locator(f"#log li:has-text('\"utterance\":{last},')").last.wait_for(
            state="attached", timeout=30_000
        )
        found = [collected() for _ in range(3)]
        return min(nodes for nodes, _ in found), min(heap_bytes for _, heap_bytes in found)

    def collected() -> tuple[float, float]:
        # One collection leaves what is reachable only through what it is about to free.
        demo.page.wait_for_timeout(200)
        debugger.send("HeapProfiler.collectGarbage")
        figures = debugger.send("Performance.getMetrics")["metrics"]
        by_name = {each["name"]: each["value"] for each in figures}
        return by_name["Nodes"], by_name["JSHeapUsedSize"]

    nodes, heap_bytes = speak(1, 160)
    later_nodes, later_heap_bytes = speak(161, 500)
    print(
        f"nodes {nodes:.0f} -> {later_nodes:.0f}, heap {heap_bytes:.0f} -> {later_heap_bytes:.0f}"
    )
    assert demo.page.locator("#utterances > li").count() == 150
    assert demo.page.locator("#log > li").count() == 300
    assert later_nodes < 1.1 * nodes
    assert later_heap_bytes < heap_bytes + HEAP_GROWTH_BYTES
