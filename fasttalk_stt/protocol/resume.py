"""Going on with a session whose connection was lost: what the client says of it, and what that may be."""

from __future__ import annotations

from typing import Annotated, Any

import attrs
from attrs import frozen

from fasttalk_stt.protocol.quantities import MAX_COUNT
from fasttalk_stt.protocol.values import (
    MAX_ID_CHARS,
    VALUE,
    Identifier,
    Integer,
    Nullable,
    Text,
    holds,
    nullable,
)

_MAX_RESUME_CHARS = 16_384
"""Of one utterance: a quarter of an hour without a pause. With more, a message could not hold it."""
_MAX_RESUME_WORDS = 200
"""Half a minute of hurried speech."""
_MAX_CONTEXT_MS = 30_000
"""Of audio that is settled already: 2 s are of use, and it is not bounded by MAX_PENDING_SECONDS."""
_MAX_UNANSWERED = 1000
"""Onsets without an answer: more than MAX_PENDING_SECONDS of the shortest utterances."""

_COUNT = Integer(0, MAX_COUNT)
_POSITION = Integer(0, MAX_COUNT, "milliseconds")
_WORD = Text(128)


@frozen
class _Reported:
    """No onset, that of the utterance, or up to which utterance."""

    allowed = "true, false or the last utterance whose onset was reported"

    def read(self, value: object) -> bool | int:
        return value if isinstance(value, bool) else _COUNT.read(value)

    def schema(self) -> dict[str, Any]:
        return {**_COUNT.schema(), "type": ["boolean", "integer"]}


@frozen
class ResumeWord:
    """A word that was transcribed, with its times on the session's clock."""

    word: Annotated[str, "as it came, with its marks"]
    start_ms: Annotated[int, "where it begins"]
    end_ms: Annotated[int, "where it ends, behind its beginning"]


@frozen
class _ResumeWords:
    """A list of words in the order of their times, none of them blank or without length."""

    allowed = f"a list of up to {_MAX_RESUME_WORDS} objects of word, start_ms and end_ms"

    def read(self, value: object) -> tuple[ResumeWord, ...]:
        if not isinstance(value, list) or len(value) > _MAX_RESUME_WORDS:
            raise ValueError
        words: list[ResumeWord] = []
        for given in value:
            if not isinstance(given, dict):
                raise ValueError
            word = ResumeWord(
                _WORD.read(given.get("word")),
                _POSITION.read(given.get("start_ms")),
                _POSITION.read(given.get("end_ms")),
            )
            latest_ms = words[-1].start_ms if words else 0
            if not (word.word.strip() and latest_ms <= word.start_ms < word.end_ms):
                raise ValueError
            words.append(word)
        return tuple(words)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "maxItems": _MAX_RESUME_WORDS,
            "items": {
                "type": "object",
                "required": ["word", "start_ms", "end_ms"],
                "properties": {
                    "word": {**_WORD.schema(), "minLength": 1},
                    "start_ms": _POSITION.schema(),
                    "end_ms": _POSITION.schema(),
                },
            },
        }


@frozen
class Resume:
    """Where a session whose connection was lost goes on: what the client knows of it."""

    session_id: Annotated[
        str,
        "the session that goes on. Where its old connection is still open, that is closed with 1008",
    ] = holds(Identifier(MAX_ID_CHARS))
    committed_ms: Annotated[
        int,
        "the highest `audio_committed_ms` that came: the session's clock goes on from here, and audio "
        "before it is context for the voice detector, never text again",
    ] = holds(_POSITION)
    audio_from_ms: Annotated[
        int,
        "where the audio begins that is sent now: up to 30 s before `committed_ms` (2 s are of use), not "
        "after it; the sample is floor(ms x rate / 1000)",
    ] = holds(_POSITION)
    seq: Annotated[int, "of the last message that came; the next one has `seq` + 1"] = holds(_COUNT)
    utterance: Annotated[
        int,
        "the oldest utterance that is under way: its onset was reported, or text of it came, and "
        "neither its last text nor a rejection; with none under way, the last that is over (0: there was "
        "none)",
    ] = holds(_COUNT)
    onset_reported: Annotated[
        bool | int,
        "the last utterance whose onset was reported, or true for `utterance`; false with none under "
        "way. None up to there is reported again",
    ] = holds(_Reported())
    onset_ms: Annotated[
        int | None,
        "`audio_start_ms` of that onset, if it is known: one that is not heard again within a second "
        "of it is rejected",
    ] = holds(Nullable(_POSITION), None)
    text: Annotated[
        str, "what of `utterance` was transcribed already: it goes on where it was cut"
    ] = holds(Text(_MAX_RESUME_CHARS), "")
    words: Annotated[
        tuple[ResumeWord, ...],
        "the latest words that came, each with `word`, `start_ms` and `end_ms`: what is said next is heard "
        "as going on from those between `audio_from_ms` and `committed_ms`, with fewer mistakes",
    ] = holds(_ResumeWords(), ())

    @property
    def is_under_way(self) -> bool:
        """Whether the utterance goes on, rather than the next one begins."""
        return self.onset_reported is not False

    @property
    def is_open(self) -> bool:
        """Whether the utterance goes on at `committed_ms`, rather than begins behind it."""
        began_before = (
            self.onset_ms is not None
            and self.onset_ms < self.committed_ms
            and self.reported_through == self.utterance
        )
        return self.is_under_way and (bool(self.text) or began_before)

    @property
    def reported_through(self) -> int:
        """The last utterance whose onset is not to be reported again."""
        if isinstance(self.onset_reported, bool):
            return self.utterance
        return max(self.onset_reported, self.utterance)


def _read_resume(value: object) -> Resume:
    if not isinstance(value, dict):
        raise ValueError
    fields = {}
    for each in attrs.fields(Resume):
        if each.name in value:
            fields[each.name] = each.metadata[VALUE].read(value[each.name])
        elif each.default is attrs.NOTHING:
            raise ValueError
    resume = Resume(**fields)
    if not 0 <= resume.committed_ms - resume.audio_from_ms <= _MAX_CONTEXT_MS:
        raise ValueError
    if resume.is_under_way and resume.utterance < 1:
        raise ValueError
    if resume.reported_through - resume.utterance > _MAX_UNANSWERED:
        raise ValueError
    return resume


@frozen
class MaybeResume:
    """A `Resume` or null; its fields are in its class."""

    allowed = (
        "null, or an object of session_id, committed_ms, audio_from_ms (up to "
        f"{_MAX_CONTEXT_MS // 1000} s before and not after committed_ms), seq, utterance and "
        f"onset_reported ({_Reported.allowed}), and perhaps onset_ms, text and words"
    )

    def read(self, value: object) -> Resume | None:
        return None if value is None else _read_resume(value)

    def schema(self) -> dict[str, Any]:
        return nullable({"$ref": "#/components/schemas/Resume"})
