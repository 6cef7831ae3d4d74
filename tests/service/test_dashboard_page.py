"""The dashboard as it is served: open and complete itself, its data behind the operators' token."""

from __future__ import annotations

import re

import pytest
from attrs import evolve

from fasttalk_stt.app import create_monitoring_app
from fasttalk_stt.service.gate import MonitoringGate
from fasttalk_stt.service.services import Services

TOKEN = "operators-only-4711"  # noqa: S105


@pytest.fixture
def guarded(services: Services) -> Services:
    return evolve(services, monitoring=MonitoringGate(TOKEN))


async def test_page_and_all_it_names_are_open(guarded: Services) -> None:
    client = create_monitoring_app(guarded).test_client()
    page = await client.get("/dashboard/")
    assert page.status_code == 200
    named = re.findall(r'(?:src|href)="([^"#.][^"]+)"', await page.get_data(as_text=True))
    assert {"main.js", "vendor/uplot/uPlot.min.css"} <= set(named)
    seen: set[str] = set()
    while named:
        name = named.pop()
        if name in seen:
            continue
        seen.add(name)
        answer = await client.get(f"/dashboard/{name}")
        assert answer.status_code == 200, name
        if name.endswith(".js"):
            text = await answer.get_data(as_text=True)
            named += re.findall(r'^import .* from "\./([^"]+)";$', text, re.MULTILINE)
    assert "vendor/uplot/uPlot.esm.js" in seen


@pytest.mark.parametrize("path", ["/dashboard/data", "/dashboard/sessions/some-key"])
async def test_data_needs_the_token(guarded: Services, path: str) -> None:
    client = create_monitoring_app(guarded).test_client()
    assert (await client.get(path)).status_code == 401
    answer = await client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == (200 if path.endswith("data") else 404)
    assert answer.is_json


async def test_notes_of_vendored_files_are_not_served(services: Services) -> None:
    client = create_monitoring_app(services).test_client()
    for name in ("README.md", "SHA256SUMS", "LICENSE"):
        assert (await client.get(f"/dashboard/vendor/uplot/{name}")).status_code == 404
