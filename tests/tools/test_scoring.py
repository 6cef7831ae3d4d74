"""Word error rates: both sides normalised, totals over words, manifests read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.scoring import (
    WordErrors,
    english_speech,
    normalise,
    read_manifest,
    total_wer,
    word_errors,
)


def test_spelling_and_punctuation_do_not_count() -> None:
    assert word_errors("It's Mr. Smith, twenty one!", "it is mister smith 21").errors == 0
    assert normalise("  Hello, WORLD! ") == "hello world"


def test_errors_by_kind() -> None:
    assert word_errors("one cat sat here", "one dog sat") == WordErrors(1, 1, 0, 4)
    assert word_errors("hello", "hello you there") == WordErrors(0, 0, 2, 1)


def test_nothing_said() -> None:
    assert word_errors("", "") == WordErrors(0, 0, 0, 0)
    assert word_errors("", "thank you") == WordErrors(0, 0, 2, 0)
    assert word_errors("", "thank you").wer == 1.0
    assert word_errors("hello", "").wer == 1.0


def test_total_is_over_words_not_files() -> None:
    assert total_wer([WordErrors(1, 0, 0, 1), WordErrors(0, 0, 0, 9)]) == pytest.approx(0.1)
    assert total_wer([]) == 0.0


def write_manifest(folder: Path, *lines: str) -> Path:
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def line(**fields: object) -> str:
    entry = {"id": "a", "file": "a.flac", "seconds": 1.5, "kind": "speech", "lang": "en"}
    return json.dumps(entry | {"text": "hello"} | fields)


def test_manifest_and_selection(tmp_path: Path) -> None:
    folder = write_manifest(
        tmp_path,
        line(),
        "",
        line(id="french", lang="fr"),
        line(id="noise", kind="noise", lang=None, text=None),
        line(id="assembled", segments=[{"clip": "a"}]),
        line(id="made", synthetic=True),
    )
    entries = read_manifest(folder)
    assert [entry.id for entry in entries] == ["a", "french", "noise", "assembled", "made"]
    assert entries[0].path == tmp_path / "a.flac"
    assert [entry.id for entry in english_speech(entries)] == ["a"]


@pytest.mark.parametrize("broken", ["{", "[]", '{"id": "a"}', '"text"'])
def test_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    folder = write_manifest(tmp_path, line(), broken)
    with pytest.raises(ValueError, match="line 2"):
        read_manifest(folder)
