"""The web pages as they are served: types, caching, policy, and nothing beyond the folder."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import pytest
from quart_trio import QuartTrio

from fasttalk_stt.service.pages import CONTENT_SECURITY_POLICY, add_pages, is_page, read_files

DEMO = files("fasttalk_stt") / "web" / "demo"


@pytest.fixture
def app() -> QuartTrio:
    app = QuartTrio("pages", static_folder=None)
    add_pages(app, "demo", "/demo")
    return app


async def test_the_page_names_its_files_relative_to_itself(app: QuartTrio) -> None:
    client = app.test_client()
    response = await client.get("/demo")
    # Relative, so that it holds behind a proxy with another host, scheme or path.
    assert (response.status_code, response.headers["Location"]) == (307, "demo/")
    page = await client.get("/demo/")
    assert page.status_code == 200
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    text = await page.get_data(as_text=True)
    named = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert "demo.js" in named
    for name in named:
        assert (await client.get(f"/demo/{name}")).status_code == 200, name


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("demo.css", "text/css; charset=utf-8"),
        ("demo.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("bot.flac", "audio/flac"),
    ],
)
async def test_a_file_is_sent_once_and_then_only_confirmed(
    app: QuartTrio, name: str, media_type: str
) -> None:
    client = app.test_client()
    first = await client.get(f"/demo/{name}")
    assert first.headers["Content-Type"] == media_type
    assert await first.get_data() == (DEMO / name).read_bytes()
    assert first.headers["Cache-Control"] == "no-cache"
    again = await client.get(f"/demo/{name}", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304
    assert await again.get_data() == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    other = await client.get(f"/demo/{name}", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200
    head = await client.head(f"/demo/{name}")
    assert int(head.headers["Content-Length"]) == len(await first.get_data())


@pytest.mark.parametrize(
    "path",
    [
        "/demo/nothing.js",
        "/demo/../app.py",
        "/demo/../../app.py",
        "/demo/%2e%2e/%2e%2e/app.py",
        "/demo/..%2f..%2fapp.py",
        "/demo/..%5c..%5capp.py",
        "/demo/%2fetc%2fpasswd",
        "/demo//etc/passwd",
        "/demo/./demo.js",
        "/demo/demo.js%00.css",
        "/demo/demo.js/",
    ],
)
async def test_no_path_leads_out_of_the_folder(app: QuartTrio, path: str) -> None:
    assert (await app.test_client().get(path)).status_code in {308, 404}


async def test_pages_are_read_only(app: QuartTrio) -> None:
    for method in ("POST", "PUT", "DELETE"):
        response = await app.test_client().open("/demo/demo.js", method=method)
        assert response.status_code == 405


def test_only_routes_of_pages_are_pages(app: QuartTrio) -> None:
    @app.get("/other", endpoint="other")
    async def other() -> str:
        return ""

    endpoints = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert {each for each in endpoints if not is_page(each)} == {"other"}
    assert not is_page(None)


def test_a_folder_that_cannot_be_served_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no index\.html"):
        read_files(tmp_path)
    (tmp_path / "index.html").write_text("")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.js").write_text("")
    assert read_files(tmp_path).keys() == {"index.html", "deep/a.js"}
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ValueError, match="no media type"):
        read_files(tmp_path)


def test_pages_need_nothing_that_their_policy_forbids() -> None:
    for name, file in read_files(DEMO).items():
        if not file.media_type.startswith("text/"):
            continue
        text = file.body.decode()
        assert re.findall(r"https?://(?!www\.w3\.org)", text) == [], name
        if name.endswith(".html"):
            assert re.findall(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text) == []
