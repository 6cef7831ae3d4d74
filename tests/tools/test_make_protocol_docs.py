"""docs/protocol.md: made of the message classes, and made again when they change."""

from __future__ import annotations

import json
import re
from typing import get_args

import pytest

from fasttalk_stt.protocol.client_messages import ClientMessage
from fasttalk_stt.protocol.config import SessionConfig
from fasttalk_stt.protocol.errors import ERROR_KINDS
from fasttalk_stt.protocol.server_messages import ServerMessage
from tests.contract import check_received, check_sent
from tools.make_protocol_docs import PAGE, protocol_page

ON_DISK = PAGE.read_text(encoding="utf-8")
TYPES = [cls.type for cls in (*get_args(ClientMessage), *get_args(ServerMessage))]


def test_the_page_is_up_to_date() -> None:
    assert protocol_page() == ON_DISK, "run: python -m tools.make_protocol_docs"


@pytest.mark.parametrize("name", [*TYPES, "Audio"])
def test_every_message_has_its_section(name: str) -> None:
    assert f"\n### {name}\n" in ON_DISK


def test_fields_and_codes_are_in_it() -> None:
    for name in (*SessionConfig.__annotations__, *ERROR_KINDS, "data.timestamps[].confidence"):
        assert f"| `{name}` |" in ON_DISK


def test_its_links_lead_somewhere() -> None:
    headings = {
        line.lstrip("# ").lower().replace(" ", "-")
        for line in ON_DISK.splitlines()
        if line.startswith("#")
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", ON_DISK))
    assert links
    assert links <= headings


def test_its_examples_are_real() -> None:
    blocks = re.findall(r"```json\n(.*?)\n```", ON_DISK, flags=re.DOTALL)
    assert len(blocks) > len(TYPES)
    for block in blocks:
        check = check_sent if "metadata" in json.loads(block) else check_received
        check(block)


def test_tables_have_as_many_cells_in_every_line() -> None:
    for table in re.findall(r"(?:^\|.*\n)+", ON_DISK, flags=re.MULTILINE):
        cells = {len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table
