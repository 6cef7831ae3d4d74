"""A session's configuration: its fields, what each may hold, and which may change on the way.

`read_session_config` turns the client's JSON object into a checked `SessionConfig` and names the
fields it does not know; `change_session_config` applies a `configure`. A bad value raises
`invalid_config` with the field, the value and what is allowed. What a field may hold is said once,
by its `values`: the checks, the sentences and the published schemas all come from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import attrs
from attrs import field, frozen

from fasttalk_stt.protocol.errors import INVALID_CONFIG, ProtocolError
from fasttalk_stt.protocol.quantities import MAX_COUNT
from fasttalk_stt.protocol.values import (
    Boolean,
    Choice,
    Identifier,
    Integer,
    LanguageTag,
    Nullable,
    Number,
    Phrases,
    Text,
    Value,
    nullable,
)

Encoding = Literal["f32le", "s16le"]

VALUE = "value"
"""Field metadata: the `Value` that the field may hold."""

CONFIGURABLE = "configurable"
"""Field metadata: whether `configure` may change the field inside a session."""

_MAX_ID_CHARS = 128
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

_WHISPER_NAMES = {"fil": "tl", "iw": "he", "jv": "jw", "nb": "no"}
"""Languages whose registered code is not the one Whisper uses."""


def _holds(value: Value, default: Any = attrs.NOTHING, *, configurable: bool = False) -> Any:
    return field(default=default, metadata={VALUE: value, CONFIGURABLE: configurable})


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
    ] = _holds(Identifier(_MAX_ID_CHARS))
    committed_ms: Annotated[
        int,
        "the highest `audio_committed_ms` that came: the session's clock goes on from here, and audio "
        "before it is context for the voice detector, never text again",
    ] = _holds(_POSITION)
    audio_from_ms: Annotated[
        int,
        "where the audio begins that is sent now: up to 30 s before `committed_ms` (2 s are of use), not "
        "after it; the sample is floor(ms x rate / 1000)",
    ] = _holds(_POSITION)
    seq: Annotated[int, "of the last message that came; the next one has `seq` + 1"] = _holds(
        _COUNT
    )
    utterance: Annotated[
        int,
        "the oldest utterance that is under way: its onset was reported, or text of it came, and "
        "neither its last text nor a rejection; with none under way, the last that is over (0: there was "
        "none)",
    ] = _holds(_COUNT)
    onset_reported: Annotated[
        bool | int,
        "the last utterance whose onset was reported, or true for `utterance`; false with none under "
        "way. None up to there is reported again",
    ] = _holds(_Reported())
    onset_ms: Annotated[
        int | None,
        "`audio_start_ms` of that onset, if it is known: one that is not heard again within a second "
        "of it is rejected",
    ] = _holds(Nullable(_POSITION), None)
    text: Annotated[
        str, "what of `utterance` was transcribed already: it goes on where it was cut"
    ] = _holds(Text(_MAX_RESUME_CHARS), "")
    words: Annotated[
        tuple[ResumeWord, ...],
        "the latest words that came, each with `word`, `start_ms` and `end_ms`: what is said next is heard "
        "as going on from those between `audio_from_ms` and `committed_ms`, with fewer mistakes",
    ] = _holds(_ResumeWords(), ())

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
class _Resumed:
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


@frozen
class SessionConfig:
    """The effective configuration of one session, as `session_started` and `configured` show it."""

    language: Annotated[
        str | None,
        "ISO 639-1 or BCP 47, such as `en` or `en-US`; what the model does not know is refused. null detects "
        "it, which makes short utterances slower, and each text names its own",
    ] = _holds(Nullable(LanguageTag()), None, configurable=True)
    enable_timestamps: Annotated[bool, "times and confidences of words in each text"] = _holds(
        Boolean(), True, configurable=True
    )
    enable_vad: Annotated[
        bool, "whether to look for speech; without, audio is cut by `buffer_duration` alone"
    ] = _holds(Boolean(), True)
    buffer_duration: Annotated[
        float,
        "in continuous speech, finished words are committed once so much waits, mostly within 1.5 s after "
        "that",
    ] = _holds(Number(0.5, 20.0, "seconds"), 2.0, configurable=True)
    interim_results: Annotated[bool, "`partial_transcription` while somebody speaks"] = _holds(
        Boolean(), False, configurable=True
    )
    fasttalk_mode: Annotated[
        bool, "reports onsets and endpoints: `voice_activity_detected`, `speech_ended` and so on"
    ] = _holds(Boolean(), False)
    barge_in_enabled: Annotated[
        bool,
        "an onset while the bot thinks or speaks withholds what is stale; left out, it is as "
        "`fasttalk_mode` is",
    ] = _holds(Boolean(), False, configurable=True)
    endpoint_silence_ms: Annotated[
        int,
        "the silence that ends an utterance that seems finished. `ENDPOINTER` may wait up to 3 times as "
        "long after unfinished words, `expected_response_type` scales it by 0.7 to 1.5; it is never "
        "longer than the server's `MAX_SILENCE_DURATION`, whatever is shown here",
    ] = _holds(Integer(100, 5000, "milliseconds"), 500, configurable=True)
    vad_sensitivity: Annotated[
        int, "how sure it must be that somebody speaks: 0 easily triggered ... 3 strict"
    ] = _holds(Integer(0, 3, senses=("easily triggered", "strict")), 2, configurable=True)
    encoding: Annotated[Encoding, "the sample format of audio frames"] = _holds(
        Choice(get_args(Encoding)), "f32le"
    )
    sample_rate: Annotated[int, "of the audio; other rates than 16000 are resampled"] = _holds(
        Integer(8_000, 48_000, "hertz"), 16_000
    )
    vocabulary: Annotated[
        tuple[str, ...],
        "names and terms to favour; each request then costs the model's full window of 30 s, so short "
        "utterances are much slower on a CPU",
    ] = _holds(Phrases(max_entries=64, max_chars=128), (), configurable=True)
    eager_results: Annotated[
        bool, "`eager_transcription` at a pause, before it is known to be the endpoint"
    ] = _holds(Boolean(), False, configurable=True)
    resume: Annotated[Resume | None, "goes on with a session whose connection was lost"] = _holds(
        _Resumed(), None
    )
    session_id: Annotated[
        str | None,
        "the caller's own name for the session, by default a UUID. One that is live is taken over by "
        "the same key, token subject or (without credentials) address; to anybody else it is an "
        "`invalid_config`",
    ] = _holds(Nullable(Identifier(_MAX_ID_CHARS)), None)
    user_id: Annotated[str | None, "echoed in `metadata` and in logs"] = _holds(
        Nullable(Text(_MAX_ID_CHARS)), None
    )
    conversation_id: Annotated[str | None, "echoed in `metadata` and in logs"] = _holds(
        Nullable(Text(_MAX_ID_CHARS)), None
    )

    @property
    def language_code(self) -> str | None:
        """The primary language subtag in lower case, or None where it is to be detected."""
        return primary_language(self.language)


def primary_language(tag: str | None) -> str | None:
    """The primary subtag of a BCP 47 tag, "en" of "en-US", as Whisper names it; None of None."""
    if tag is None:
        return None
    primary = tag.split("-", 1)[0].lower()
    return _WHISPER_NAMES.get(primary, primary)


_FIELDS = attrs.fields_dict(SessionConfig)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _checked(name: str, value: object) -> Any:
    allowed: Value = _FIELDS[name].metadata[VALUE]
    try:
        return allowed.read(value)
    except ValueError:
        raise ProtocolError(
            INVALID_CONFIG,
            f"{name} is {_shown(value)}; allowed is {allowed.allowed}. Correct it and send the "
            "message again.",
        ) from None


def read_session_config(
    raw: Mapping[str, object], defaults: SessionConfig
) -> tuple[SessionConfig, tuple[str, ...]]:
    """Check a `start_session`'s `session_config`; returns it with the names it does not know.

    Fields that `raw` leaves out come from `defaults`, but `barge_in_enabled` follows
    `fasttalk_mode`. Raises `invalid_config` for the first bad value.
    """
    changes = {name: _checked(name, value) for name, value in raw.items() if name in _FIELDS}
    changes.setdefault("barge_in_enabled", changes.get("fasttalk_mode", defaults.fasttalk_mode))
    ignored = tuple(name for name in raw if name not in _FIELDS)
    return attrs.evolve(defaults, **changes), ignored


def change_session_config(config: SessionConfig, raw: Mapping[str, object]) -> SessionConfig:
    """Apply a `configure`; unknown fields are ignored.

    Raises `invalid_config` for a bad value, and for a known field that only `start_session` sets.
    """
    changes: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in _FIELDS:
            continue
        if not _FIELDS[name].metadata[CONFIGURABLE]:
            raise ProtocolError(
                INVALID_CONFIG,
                f"{name} cannot change inside a session. End the session and start one with the "
                "new value.",
            )
        changes[name] = _checked(name, value)
    return attrs.evolve(config, **changes)


def known_fields(raw: Mapping[str, object]) -> dict[str, object]:
    """The fields of a client's object that mean something here; the rest need not be kept."""
    return {name: value for name, value in raw.items() if name in _FIELDS}
