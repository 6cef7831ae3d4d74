"""Which files are played, and what is said in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.playlist import Item, deal, items_from_files, items_from_manifest


@pytest.fixture
def corpus(tmp_path):
    entries = [
        {"id": "en_1", "kind": "speech", "lang": "en", "text": "One."},
        {"id": "en_made", "kind": "speech", "lang": "en", "text": "Made.", "synthetic": True},
        {"id": "fr_1", "kind": "speech", "lang": "fr", "text": "Un."},
        {"id": "noise_1", "kind": "noise", "lang": None, "text": None},
    ]
    lines = [json.dumps(entry | {"file": f"{entry['id']}.wav", "seconds": 1}) for entry in entries]
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("which", "names"),
    [
        ("english", ["en_1"]),
        ("all", ["en_1", "en_made", "fr_1", "noise_1"]),
        ("en_*", ["en_1", "en_made"]),
        ("nothing", []),
    ],
)
def test_filters(corpus, which, names):
    assert [item.name for item in items_from_manifest(corpus, which)] == names


def test_an_item_knows_whether_anybody_speaks(corpus):
    items = {item.name: item for item in items_from_manifest(corpus, "all")}
    assert items["en_1"].reference == "One."
    assert items["noise_1"].reference is None
    assert not items["noise_1"].is_speech


def test_no_manifest_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        items_from_manifest(tmp_path, "all")


def test_a_file_finds_its_reference_in_the_manifest_beside_it(corpus):
    (item,) = items_from_files([corpus / "fr_1.wav"])
    assert (item.name, item.reference) == ("fr_1", "Un.")


def test_a_text_file_beside_it_comes_first(corpus):
    (corpus / "fr_1.txt").write_text("Deux.\n", encoding="utf-8")
    (item,) = items_from_files([corpus / "fr_1.wav"])
    assert item.reference == "Deux."


def test_a_file_nobody_wrote_about_has_no_reference(tmp_path):
    assert items_from_files([tmp_path / "a.wav"]) == [
        Item(name="a.wav", path=tmp_path / "a.wav", reference=None)
    ]


def test_files_are_dealt_round_robin():
    items = [Item(name=str(number), path=Path("x"), reference=None) for number in range(5)]
    hands = [[item.name for item in hand] for hand in deal(items, 3)]
    assert hands == [["0", "3"], ["1", "4"], ["2"]]
