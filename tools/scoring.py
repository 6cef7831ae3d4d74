"""Word error rates and corpus manifests, shared by the measuring tools.

Both sides are normalised as the Whisper paper does for English, so a figure from here compares
with published ones. A total is over all words of a set, never a mean of per-file rates. Nothing
here knows of engines or sockets.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jiwer
from attrs import field, frozen
from whisper_normalizer.english import EnglishTextNormalizer


@frozen
class CorpusEntry:
    """One line of a corpus manifest.

    `path` is absolute. `text` is the reference (None for non-speech). `fields` is the whole line,
    for what only some entries have (`segments`, `turns`, `label` ...).
    """

    id: str
    path: Path
    seconds: float
    kind: str
    lang: str | None
    text: str | None
    fields: Mapping[str, Any] = field(eq=False, repr=False)

    @property
    def is_single_clip(self) -> bool:
        """True for a recording of its own: neither assembled from clips nor synthetic."""
        return not self.fields.get("segments") and not self.fields.get("synthetic")


@frozen
class WordErrors:
    """Errors of a hypothesis against its reference, in words after normalisation."""

    substitutions: int
    deletions: int
    insertions: int
    reference_words: int

    @property
    def errors(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Errors per reference word; with no reference words, 1.0 if anything was inserted."""
        if self.reference_words == 0:
            return 1.0 if self.insertions else 0.0
        return self.errors / self.reference_words


@cache
def _english_normaliser() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalise(text: str) -> str:
    """The text as Whisper's English normaliser spells it: lower case, no punctuation, digits."""
    return str(_english_normaliser()(text)).strip()


def word_errors(reference: str, hypothesis: str) -> WordErrors:
    """Count the errors of one hypothesis; both sides are normalised here."""
    reference_words = normalise(reference)
    hypothesis_words = normalise(hypothesis)
    if not reference_words:
        # jiwer refuses an empty reference.
        return WordErrors(0, 0, len(hypothesis_words.split()), 0)
    output = jiwer.process_words(reference_words, hypothesis_words)
    return WordErrors(
        substitutions=output.substitutions,
        deletions=output.deletions,
        insertions=output.insertions,
        reference_words=len(reference_words.split()),
    )


def total_errors(parts: Iterable[WordErrors]) -> WordErrors:
    """The sum over a set."""
    counted = list(parts)
    return WordErrors(
        substitutions=sum(part.substitutions for part in counted),
        deletions=sum(part.deletions for part in counted),
        insertions=sum(part.insertions for part in counted),
        reference_words=sum(part.reference_words for part in counted),
    )


def total_wer(parts: Iterable[WordErrors]) -> float:
    """The word error rate over a whole set (0.05 = 5 %)."""
    return total_errors(parts).wer


def read_manifest(directory: Path | str) -> list[CorpusEntry]:
    """Read `manifest.jsonl` of a corpus directory.

    Raises FileNotFoundError where there is none, ValueError naming the line that is no entry.
    """
    manifest = Path(directory).resolve() / "manifest.jsonl"
    entries = []
    with manifest.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                fields = json.loads(line)
                entries.append(
                    CorpusEntry(
                        id=fields["id"],
                        path=manifest.parent / fields["file"],
                        seconds=float(fields["seconds"]),
                        kind=fields["kind"],
                        lang=fields.get("lang"),
                        text=fields.get("text"),
                        fields=fields,
                    )
                )
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(
                    f"{manifest}, line {number}: not a corpus entry ({error!r})"
                ) from error
    return entries


def english_speech(entries: Iterable[CorpusEntry]) -> list[CorpusEntry]:
    """The entries that word error rates are measured on: single English clips of real speech."""
    return [
        entry
        for entry in entries
        if entry.kind == "speech" and entry.lang == "en" and entry.text and entry.is_single_clip
    ]
