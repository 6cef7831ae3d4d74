"""A session's configuration: its fields, what each may hold, and which may change on the way.

`read_session_config` turns the client's JSON object into a checked `SessionConfig` and names the
fields it does not know; `change_session_config` applies a `configure`. A bad value raises
`invalid_config` with the field, the value and what is allowed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs
from attrs import field, frozen

from fasttalk_stt.protocol.errors import INVALID_CONFIG, ProtocolError

Encoding = Literal["f32le", "s16le"]

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
_MAX_VOCABULARY_ENTRIES = 64
_MAX_ID_CHARS = 128
_MAX_VOCABULARY_ENTRY_CHARS = 128
_MAX_COUNT = 2**53
"""The largest whole number that every JSON library keeps."""
_MAX_RESUME_CHARS = 16_384
"""Of one utterance: a quarter of an hour without a pause. With more, a message could not hold it."""
_MAX_CONTEXT_MS = 30_000
"""Of audio that is settled already: 2 s are of use, and it is not bounded by MAX_PENDING_SECONDS."""
_MAX_UNANSWERED = 1000
"""Onsets without an answer: more than MAX_PENDING_SECONDS of the shortest utterances."""


_WHISPER_NAMES = {"fil": "tl", "iw": "he", "jv": "jw", "nb": "no"}
"""Languages whose registered code is not the one Whisper uses."""


@frozen
class _Rule:
    """How one field is checked: `read` returns the value or raises ValueError; `allowed` says what
    would have been right."""

    read: Callable[[object], Any]
    allowed: str
    configurable: bool


def _rule(
    default: Any, read: Callable[[object], Any], allowed: str, *, configurable: bool = False
) -> Any:
    return field(default=default, metadata={"rule": _Rule(read, allowed, configurable)})


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _number(low: float, high: float) -> Callable[[object], float]:
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError
        # Compared as it is: an integer of hundreds of digits does not fit a float.
        if not low <= value <= high:
            raise ValueError
        return float(value)

    return read


def _integer(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        number = _number(low, high)(value)
        if number != int(number):
            raise ValueError
        return int(number)

    return read


def _optional(read: Callable[[object], Any]) -> Callable[[object], Any]:
    return lambda value: None if value is None else read(value)


def _text(max_chars: int) -> Callable[[object], str]:
    """Any text of a language; only control characters and broken surrogates are refused."""

    def read(value: object) -> str:
        if not isinstance(value, str) or len(value) > max_chars:
            raise ValueError
        if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
            raise ValueError
        return value

    return read


def _identifier(value: object) -> str:
    text = _text(_MAX_ID_CHARS)(value)
    if not text or not text.isprintable():
        raise ValueError
    return text


def _choice(*choices: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError
        return value

    return read


def is_language_tag(value: str) -> bool:
    """Whether the text has the form of an ISO 639-1 or BCP 47 code."""
    return _LANGUAGE.fullmatch(value) is not None


def _language(value: object) -> str:
    if not isinstance(value, str) or not is_language_tag(value):
        raise ValueError
    return value


def _vocabulary(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > _MAX_VOCABULARY_ENTRIES:
        raise ValueError
    entries = tuple(_text(_MAX_VOCABULARY_ENTRY_CHARS)(entry) for entry in value)
    if not all(entry.strip() for entry in entries):
        raise ValueError
    return entries


@frozen
class Resume:
    """Where a session whose connection was lost goes on; see the resume section of the protocol.

    `utterance` is the oldest that is under way: its onset was reported, or text of it came, and neither
    its last text nor a rejection. `text` is what of it was transcribed. `onset_reported` is the last
    utterance whose onset was reported, `onset_ms` where that was. With none under way, `utterance` is
    the last that is over, and `onset_reported` false.
    """

    session_id: str
    committed_ms: int
    audio_from_ms: int
    seq: int
    utterance: int
    onset_reported: bool | int
    onset_ms: int | None = None
    text: str = ""

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


def _resume(value: object) -> Resume:
    if not isinstance(value, dict):
        raise ValueError
    count = _integer(0, _MAX_COUNT)
    reported = value.get("onset_reported")
    try:
        resume = Resume(
            session_id=_identifier(value["session_id"]),
            committed_ms=count(value["committed_ms"]),
            audio_from_ms=count(value["audio_from_ms"]),
            seq=count(value["seq"]),
            utterance=count(value["utterance"]),
            onset_reported=reported if isinstance(reported, bool) else count(reported),
            onset_ms=_optional(count)(value.get("onset_ms")),
            text=_text(_MAX_RESUME_CHARS)(value.get("text", "")),
        )
    except KeyError as error:
        raise ValueError from error
    if not 0 <= resume.committed_ms - resume.audio_from_ms <= _MAX_CONTEXT_MS:
        raise ValueError
    if resume.is_under_way and resume.utterance < 1:
        raise ValueError
    if resume.reported_through - resume.utterance > _MAX_UNANSWERED:
        raise ValueError
    return resume


@frozen
class SessionConfig:
    """The effective configuration of one session, as `session_started` and `configured` show it.

    `language` may carry a region ("en-US"); `language_code` is what an engine is asked for.
    """

    language: str | None = _rule(
        None,
        _optional(_language),
        "an ISO 639-1 or BCP 47 code such as 'en' or 'en-US', or null",
        configurable=True,
    )
    enable_timestamps: bool = _rule(True, _boolean, "true or false", configurable=True)
    enable_vad: bool = _rule(True, _boolean, "true or false")
    buffer_duration: float = _rule(
        2.0, _number(0.5, 20.0), "a number of seconds from 0.5 to 20", configurable=True
    )
    interim_results: bool = _rule(False, _boolean, "true or false", configurable=True)
    fasttalk_mode: bool = _rule(False, _boolean, "true or false")
    barge_in_enabled: bool = _rule(False, _boolean, "true or false", configurable=True)
    endpoint_silence_ms: int = _rule(
        500,
        _integer(100, 5000),
        "a whole number of milliseconds from 100 to 5000",
        configurable=True,
    )
    vad_sensitivity: int = _rule(
        2,
        _integer(0, 3),
        "a whole number from 0 (easily triggered) to 3 (strict)",
        configurable=True,
    )
    encoding: Encoding = _rule("f32le", _choice("f32le", "s16le"), "'f32le' or 's16le'")
    sample_rate: int = _rule(
        16_000, _integer(8_000, 48_000), "a whole number of hertz from 8000 to 48000"
    )
    vocabulary: tuple[str, ...] = _rule(
        (),
        _vocabulary,
        f"a list of up to {_MAX_VOCABULARY_ENTRIES} strings of 1 to "
        f"{_MAX_VOCABULARY_ENTRY_CHARS} characters",
        configurable=True,
    )
    eager_results: bool = _rule(False, _boolean, "true or false", configurable=True)
    resume: Resume | None = _rule(
        None,
        _optional(_resume),
        "null, or an object of session_id, committed_ms, audio_from_ms (up to 30 s "
        "before and not after committed_ms), "
        "seq, utterance and onset_reported (true, false or the last utterance "
        "whose onset was reported), and perhaps onset_ms and text",
    )
    session_id: str | None = _rule(
        None, _optional(_identifier), "1 to 128 printable characters, or null"
    )
    user_id: str | None = _rule(
        None, _optional(_text(_MAX_ID_CHARS)), "up to 128 characters, or null"
    )
    conversation_id: str | None = _rule(
        None, _optional(_text(_MAX_ID_CHARS)), "up to 128 characters, or null"
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


_RULES: dict[str, _Rule] = {a.name: a.metadata["rule"] for a in attrs.fields(SessionConfig)}


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _checked(name: str, value: object) -> Any:
    rule = _RULES[name]
    try:
        return rule.read(value)
    except ValueError:
        raise ProtocolError(
            INVALID_CONFIG,
            f"{name} is {_shown(value)}; allowed is {rule.allowed}. Correct it and send the "
            "message again.",
        ) from None


def read_session_config(
    raw: Mapping[str, object], defaults: SessionConfig
) -> tuple[SessionConfig, tuple[str, ...]]:
    """Check a `start_session`'s `session_config`; returns it with the names it does not know.

    Fields that `raw` leaves out come from `defaults`, but `barge_in_enabled` follows
    `fasttalk_mode`. Raises `invalid_config` for the first bad value.
    """
    changes = {name: _checked(name, value) for name, value in raw.items() if name in _RULES}
    changes.setdefault("barge_in_enabled", changes.get("fasttalk_mode", defaults.fasttalk_mode))
    ignored = tuple(name for name in raw if name not in _RULES)
    return attrs.evolve(defaults, **changes), ignored


def change_session_config(config: SessionConfig, raw: Mapping[str, object]) -> SessionConfig:
    """Apply a `configure`; unknown fields are ignored.

    Raises `invalid_config` for a bad value, and for a known field that only `start_session` sets.
    """
    changes: dict[str, Any] = {}
    for name, value in raw.items():
        if name not in _RULES:
            continue
        if not _RULES[name].configurable:
            raise ProtocolError(
                INVALID_CONFIG,
                f"{name} cannot change inside a session. End the session and start one with the "
                "new value.",
            )
        changes[name] = _checked(name, value)
    return attrs.evolve(config, **changes)


def known_fields(raw: Mapping[str, object]) -> dict[str, object]:
    """The fields of a client's object that mean something here; the rest need not be kept."""
    return {name: value for name, value in raw.items() if name in _RULES}
