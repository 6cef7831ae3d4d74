"""What a replay plays: files by name or a corpus manifest, with reference texts where there are.

Pure but for reading manifests and reference files; `replay` decides what to do with the items.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from attrs import frozen

from tools.scoring import CorpusEntry, english_speech, read_manifest


@frozen
class Item:
    """One recording to play; `reference` is None where nobody wrote down what is said.

    `turn` tells apart the playings of a file that is named more than once.
    """

    name: str
    path: Path
    reference: str | None
    is_speech: bool = True
    turn: int = 0


def items_from_manifest(directory: Path, which: str) -> list[Item]:
    """The entries of a corpus: "english" (those WER is measured on), "all", or a glob over ids.

    Raises FileNotFoundError where there is no manifest, ValueError for a broken one.
    """
    entries = read_manifest(directory)
    if which == "english":
        chosen = english_speech(entries)
    elif which == "all":
        chosen = entries
    else:
        chosen = [entry for entry in entries if fnmatchcase(entry.id, which)]
    return [_item(entry) for entry in chosen]


def items_from_files(paths: Sequence[Path]) -> list[Item]:
    """Files by name; the reference comes from `NAME.txt` or a `manifest.jsonl` beside the file."""
    manifests: dict[Path, dict[Path, CorpusEntry]] = {}
    items = []
    for path in paths:
        directory = path.resolve().parent
        if directory not in manifests:
            manifests[directory] = _entries_by_path(directory)
        entry = manifests[directory].get(path.resolve())
        sidecar = path.with_suffix(".txt")
        if sidecar.is_file():
            reference = sidecar.read_text(encoding="utf-8").strip()
            items.append(Item(name=path.name, path=path, reference=reference))
        elif entry is not None:
            items.append(_item(entry))
        else:
            items.append(Item(name=path.name, path=path, reference=None))
    return items


def deal(items: Sequence[Item], hands: int) -> list[list[Item]]:
    """Deal items round-robin: the first to the first hand, the second to the second ..."""
    return [list(items[hand::hands]) for hand in range(hands)]


def _entries_by_path(directory: Path) -> dict[Path, CorpusEntry]:
    if not (directory / "manifest.jsonl").is_file():
        return {}
    return {entry.path.resolve(): entry for entry in read_manifest(directory)}


def _item(entry: CorpusEntry) -> Item:
    return Item(
        name=entry.id,
        path=entry.path,
        reference=entry.text,
        is_speech=entry.kind == "speech",
    )
