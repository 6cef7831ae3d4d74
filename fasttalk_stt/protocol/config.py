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
from attrs import frozen

from fasttalk_stt.protocol.errors import INVALID_CONFIG, ProtocolError
from fasttalk_stt.protocol.resume import MaybeResume, Resume
from fasttalk_stt.protocol.values import (
    CONFIGURABLE,
    MAX_ID_CHARS,
    VALUE,
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
    holds,
)

Encoding = Literal["f32le", "s16le"]

_WHISPER_NAMES = {"fil": "tl", "iw": "he", "jv": "jw", "nb": "no"}
"""Languages whose registered code is not the one Whisper uses."""


@frozen
class SessionConfig:
    """The effective configuration of one session, as `session_started` and `configured` show it."""

    language: Annotated[
        str | None,
        "ISO 639-1 or BCP 47, such as `en` or `en-US`; what the model does not know is refused. null detects "
        "it, which makes short utterances slower, and each text names its own",
    ] = holds(Nullable(LanguageTag()), None, configurable=True)
    enable_timestamps: Annotated[bool, "times and confidences of words in each text"] = holds(
        Boolean(), True, configurable=True
    )
    enable_vad: Annotated[
        bool, "whether to look for speech; without, audio is cut by `buffer_duration` alone"
    ] = holds(Boolean(), True)
    buffer_duration: Annotated[
        float,
        "in continuous speech, finished words are committed once so much waits, mostly within 1.5 s after "
        "that",
    ] = holds(Number(0.5, 20.0, "seconds"), 2.0, configurable=True)
    interim_results: Annotated[bool, "`partial_transcription` while somebody speaks"] = holds(
        Boolean(), False, configurable=True
    )
    fasttalk_mode: Annotated[
        bool, "reports onsets and endpoints: `voice_activity_detected`, `speech_ended` and so on"
    ] = holds(Boolean(), False)
    barge_in_enabled: Annotated[
        bool,
        "an onset while the bot thinks or speaks withholds what is stale; left out, it is as "
        "`fasttalk_mode` is",
    ] = holds(Boolean(), False, configurable=True)
    endpoint_silence_ms: Annotated[
        int,
        "the silence that ends an utterance that seems finished. `ENDPOINTER` may wait up to 3 times as "
        "long after unfinished words, `expected_response_type` scales it by 0.7 to 1.5; it is never "
        "longer than the server's `MAX_SILENCE_DURATION`, whatever is shown here",
    ] = holds(Integer(100, 5000, "milliseconds"), 500, configurable=True)
    vad_sensitivity: Annotated[
        int, "how sure it must be that somebody speaks: 0 easily triggered ... 3 strict"
    ] = holds(Integer(0, 3, senses=("easily triggered", "strict")), 2, configurable=True)
    encoding: Annotated[Encoding, "the sample format of audio frames"] = holds(
        Choice(get_args(Encoding)), "f32le"
    )
    sample_rate: Annotated[int, "of the audio; other rates than 16000 are resampled"] = holds(
        Integer(8_000, 48_000, "hertz"), 16_000
    )
    vocabulary: Annotated[
        tuple[str, ...],
        "names and terms to favour; each request then costs the model's full window of 30 s, so short "
        "utterances are much slower on a CPU",
    ] = holds(Phrases(max_entries=64, max_chars=128), (), configurable=True)
    eager_results: Annotated[
        bool, "`eager_transcription` at a pause, before it is known to be the endpoint"
    ] = holds(Boolean(), False, configurable=True)
    resume: Annotated[Resume | None, "goes on with a session whose connection was lost"] = holds(
        MaybeResume(), None
    )
    session_id: Annotated[
        str | None,
        "the caller's own name for the session, by default a UUID. One that is live is taken over by "
        "the same key, token subject or (without credentials) address; to anybody else it is an "
        "`invalid_config`",
    ] = holds(Nullable(Identifier(MAX_ID_CHARS)), None)
    user_id: Annotated[str | None, "echoed in `metadata` and in logs"] = holds(
        Nullable(Text(MAX_ID_CHARS)), None
    )
    conversation_id: Annotated[str | None, "echoed in `metadata` and in logs"] = holds(
        Nullable(Text(MAX_ID_CHARS)), None
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
