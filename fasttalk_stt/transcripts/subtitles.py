"""Subtitles from a transcript: words gathered into readable cues, written as SubRip or WebVTT.

Pure: segments in, text out. A cue has at most two lines and ends where a reader expects it to: at a
pause, else after a sentence or a clause, else where it is full. Cues never overlap, and every word
is in exactly one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from attrs import evolve, frozen

from fasttalk_stt.transcripts.transcript import Segment

LINE_CHARACTERS = 42
"""The usual limit of subtitle style guides for Latin script."""

LONGEST_CUE_MS = 7_000
"""Longer cues make a reader start again; the usual limit of style guides."""

SHORTEST_CUE_MS = 1_000
"""A shorter cue cannot be read: it stays this long where the next one leaves room."""

PAUSE_MS = 700
"""A pause in speech this long ends a cue. A guess: longer than a breath inside a sentence."""

SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")
CLAUSE_ENDS = (",", ";", ":", "、", "，")


@frozen
class Cue:
    """Lines shown from `start_ms` until `end_ms`."""

    start_ms: int
    end_ms: int
    lines: tuple[str, ...]


@frozen
class _Piece:
    """A word as it stands in the text, with the space or punctuation before it."""

    text: str
    start_ms: int
    end_ms: int

    @property
    def ends_sentence(self) -> bool:
        return self.text.rstrip("\"')”’»").endswith(SENTENCE_ENDS)

    @property
    def ends_clause(self) -> bool:
        return self.text.rstrip("\"')”’»").endswith(CLAUSE_ENDS)


def cues(segments: Iterable[Segment]) -> list[Cue]:
    """Gather the words of all segments, which come in order of time, into cues.

    A segment without word times has its words spread over its duration.
    """
    pieces = [piece for segment in segments for piece in _pieces(segment)]
    return _without_overlap([_cue(group) for group in _groups(pieces)])


def as_srt(cues: Iterable[Cue]) -> str:
    """A SubRip file; its times have a decimal comma, its cues are numbered from 1."""
    return "".join(
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n"
        # SubRip cannot escape its arrow.
        + "".join(f"{line.replace('-->', '→')}\n" for line in cue.lines)
        + "\n"
        for number, cue in enumerate(cues, start=1)
    )


def as_vtt(cues: Iterable[Cue]) -> str:
    """A WebVTT file; its times have a decimal point, `&`, `<` and `>` are escaped."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n"
        + "".join(f"{_escaped(line)}\n" for line in cue.lines)
        + "\n"
        for cue in cues
    )


def _pieces(segment: Segment) -> Iterator[_Piece]:
    text = " ".join(segment.text.split())
    if not segment.words:
        yield from _spread(text, segment)
        return
    cursor = 0
    shown: list[str] = []
    for word in segment.words:
        # Spaces are taken from the text, so that languages that write none get none.
        found = text.find(word.text, cursor)
        if found >= 0 and not any(map(str.isalnum, text[cursor:found])):
            end = found + len(word.text)
            shown.append(text[cursor:end])
            cursor = end
        else:
            shown.append(f" {word.text}")
    # Segments are joined by a space, whatever stands at their edges; what punctuation follows
    # the last word belongs to it.
    shown[0] = f" {shown[0].lstrip()}"
    if not any(map(str.isalnum, text[cursor:])):
        shown[-1] += text[cursor:]
    for piece, word in zip(shown, segment.words, strict=True):
        yield _Piece(text=piece, start_ms=word.start_ms, end_ms=word.end_ms)


def _spread(text: str, segment: Segment) -> Iterator[_Piece]:
    """Words without times: each gets its share of the segment by its letters."""
    words = text.split()
    letters = sum(len(word) for word in words)
    duration_ms = segment.end_ms - segment.start_ms
    before = 0
    for word in words:
        start_ms = segment.start_ms + duration_ms * before // letters
        before += len(word)
        end_ms = segment.start_ms + duration_ms * before // letters
        yield _Piece(text=f" {word}", start_ms=start_ms, end_ms=end_ms)


def _groups(pieces: Sequence[_Piece]) -> Iterator[list[_Piece]]:
    group: list[_Piece] = []
    for piece in pieces:
        if group and piece.start_ms - group[-1].end_ms >= PAUSE_MS:
            yield group
            group = []
        while group and not _fits([*group, piece]):
            cut = _best_cut(group)
            yield group[:cut]
            group = group[cut:]
        group.append(piece)
    if group:
        yield group


def _fits(group: Sequence[_Piece]) -> bool:
    return group[-1].end_ms - group[0].start_ms <= LONGEST_CUE_MS and _lines(group) is not None


def _best_cut(group: Sequence[_Piece]) -> int:
    """How many pieces of a full group to show now: up to the last sentence, else clause, in it.

    A cut in the first third is not worth a cue of its own.
    """
    earliest = len(group) // 3
    for ends in (
        [index for index, piece in enumerate(group, start=1) if piece.ends_sentence],
        [index for index, piece in enumerate(group, start=1) if piece.ends_clause],
    ):
        if ends and ends[-1] > earliest:
            return ends[-1]
    return len(group)


def _lines(group: Sequence[_Piece]) -> tuple[str, ...] | None:
    """The text on one or two lines, as even as possible; None where two are too few."""
    whole = _text(group)
    if len(whole) <= LINE_CHARACTERS or len(group) == 1:
        return (whole,)
    splits = [(_text(group[:index]), _text(group[index:])) for index in range(1, len(group))]
    fitting = [
        (max(len(first), len(second)), (first, second))
        for index, (first, second) in enumerate(splits, start=1)
        # A word longer than a line stands alone on its own, too long.
        if (len(first) <= LINE_CHARACTERS or index == 1)
        and (len(second) <= LINE_CHARACTERS or index == len(group) - 1)
    ]
    return min(fitting)[1] if fitting else None


def _text(group: Sequence[_Piece]) -> str:
    return "".join(piece.text for piece in group).strip()


def _cue(group: Sequence[_Piece]) -> Cue:
    lines = _lines(group)
    return Cue(
        start_ms=group[0].start_ms,
        end_ms=max(piece.end_ms for piece in group),
        lines=lines if lines is not None else (_text(group),),
    )


def _without_overlap(raw: Sequence[Cue]) -> list[Cue]:
    """Ends moved: short cues stay on longer where there is room, none reaches into the next."""
    placed: list[Cue] = []
    free_from_ms = 0
    for cue, following in pairwise([*raw, None]):
        if cue is None:
            break
        start_ms = max(cue.start_ms, free_from_ms)
        end_ms = max(cue.end_ms, start_ms + SHORTEST_CUE_MS)
        if following is not None:
            end_ms = min(end_ms, following.start_ms)
        # Words with the very same times would leave a cue without duration.
        end_ms = max(end_ms, start_ms + 1)
        placed.append(evolve(cue, start_ms=start_ms, end_ms=end_ms))
        free_from_ms = end_ms
    return placed


def _clock(position_ms: int, decimal_mark: str) -> str:
    seconds, milliseconds = divmod(position_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{decimal_mark}{milliseconds:03}"


def _escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
