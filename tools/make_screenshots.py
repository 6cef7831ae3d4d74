"""Takes the pictures of docs/images: the demo while it hears the sample, the dashboard while clients speak.

    python -m tools.make_screenshots [--model tiny.en]

Starts a server of its own. Needs Chromium (CHROMIUM names another program) and the `dev` extra.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from tools.demo import HOST, REPOSITORY, free_port
from tools.hearing.servers import ServerError, real_server, temporary_log

FOLDER = REPOSITORY / "docs" / "images"
SAMPLE = REPOSITORY / "samples" / "conversation.flac"
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
SIZES = {"wide": (1280, 900), "phone": (375, 812)}
SCHEMES = ("light", "dark")
HEARD_S = 16.0
"""Of the sample: some turns, and words on their way."""
CLIENTS = 2
BUSY_S = 25.0


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser. Raises ServerError where there is none."""
    program = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if program is None:
        raise ServerError("Chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


def take_demo(browser: Browser, http_url: str, folder: Path) -> None:
    """The sample in one window, seen in each size and scheme."""
    page = _page(browser, *SIZES["wide"])
    page.goto(f"{http_url}/demo")
    page.get_by_role("button", name="Play the sample").click()
    page.wait_for_timeout(HEARD_S * 1000)
    _take(page, "demo", folder)


def take_dashboard(browser: Browser, monitoring_url: str, ws_url: str, folder: Path) -> None:
    """Some clients that speak at once, then the page."""
    command = [sys.executable, "-m", "tools.replay", "--quiet", "--url", ws_url]
    command += ["--clients", str(CLIENTS), "--config", "language=en", *[str(SAMPLE)] * CLIENTS]
    speaking = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    try:
        page = _page(browser, *SIZES["wide"])
        page.goto(f"{monitoring_url}/dashboard")
        page.wait_for_timeout(BUSY_S * 1000)
        _take(page, "dashboard", folder)
    finally:
        speaking.terminate()
        speaking.wait()


def _page(browser: Browser, width: int, height: int) -> Page:
    return browser.new_context(viewport={"width": width, "height": height}).new_page()


def _take(page: Page, name: str, folder: Path) -> None:
    for size, (width, height) in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            kind: Any = scheme
            page.emulate_media(color_scheme=kind)
            page.wait_for_timeout(300)
            page.screenshot(path=folder / f"{name}-{size}-{scheme}.png")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    monitoring_port = free_port()
    settings = {"MODEL": args.model, "MONITORING_PORT": str(monitoring_port)}
    try:
        with temporary_log() as log, real_server(settings, log) as server, chromium() as browser:
            http_url = server.url.replace("ws://", "http://").removesuffix("/ws/transcribe")
            take_demo(browser, http_url, args.folder)
            take_dashboard(browser, f"http://{HOST}:{monitoring_port}", server.url, args.folder)
    except ServerError as error:
        print(f"make_screenshots: {error}", file=sys.stderr)
        return 2
    for file in sorted(args.folder.glob("*.png")):
        print(file)
    return 0


if __name__ == "__main__":
    sys.exit(main())
