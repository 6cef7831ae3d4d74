"""The session configuration: defaults, ranges, and what a bad value is told."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fasttalk_stt.protocol.config import (
    SessionConfig,
    change_session_config,
    read_session_config,
)
from fasttalk_stt.protocol.errors import ProtocolError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [field.name for field in attrs.fields(SessionConfig)]


def read(**raw: object) -> SessionConfig:
    return read_session_config(raw, SessionConfig())[0]


def test_what_is_left_out_comes_from_the_defaults() -> None:
    defaults = SessionConfig(buffer_duration=3.0, language="de")
    config, ignored = read_session_config({"enable_timestamps": False}, defaults)
    assert (config.buffer_duration, config.language, config.enable_timestamps) == (3.0, "de", False)
    assert ignored == ()


def test_unknown_fields_are_named_not_refused() -> None:
    config, ignored = read_session_config({"speed": 2, "fasttalk_mode": True}, SessionConfig())
    assert ignored == ("speed",)
    assert config.fasttalk_mode


@pytest.mark.parametrize(
    ("raw", "barge_in"),
    [
        ({}, False),
        ({"fasttalk_mode": True}, True),
        ({"fasttalk_mode": True, "barge_in_enabled": False}, False),
        ({"fasttalk_mode": False, "barge_in_enabled": True}, True),
    ],
)
def test_barge_in_follows_fasttalk_mode_unless_said(raw: dict[str, object], barge_in: bool) -> None:
    assert read(**raw).barge_in_enabled is barge_in


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("buffer_duration", 0.4, "from 0.5 to 20"),
        ("buffer_duration", "2", "from 0.5 to 20"),
        ("buffer_duration", True, "from 0.5 to 20"),
        ("buffer_duration", float("nan"), "from 0.5 to 20"),
        ("endpoint_silence_ms", 5001, "from 100 to 5000"),
        ("endpoint_silence_ms", 100.5, "whole number"),
        ("vad_sensitivity", 4, "0 .easily triggered. to 3"),
        ("sample_rate", 7999, "from 8000 to 48000"),
        ("encoding", "mp3", "'f32le' or 's16le'"),
        ("enable_vad", 1, "true or false"),
        ("language", "engl", "ISO 639-1"),
        ("language", "", "ISO 639-1"),
        ("vocabulary", ["x"] * 65, "up to 64"),
        ("vocabulary", "word", "a list"),
        ("vocabulary", [" "], "of 1 to 128"),
        ("vocabulary", ["a\x00"], "of 1 to 128"),
        ("user_id", "line\nbreak", "up to 128"),
        ("buffer_duration", 10**400, "from 0.5 to 20"),
        ("sample_rate", 10**400, "from 8000 to 48000"),
        ("session_id", "x" * 129, "1 to 128 printable"),
        ("session_id", "line\nbreak", "1 to 128 printable"),
        ("resume", {"session_id": "a"}, "session_id, committed_ms"),
    ],
)
def test_a_bad_value_names_field_value_and_what_is_allowed(
    name: str, value: object, allowed: str
) -> None:
    with pytest.raises(ProtocolError, match=allowed) as caught:
        read(**{name: value})
    assert caught.value.kind.code == "invalid_config"
    assert caught.value.message.startswith(f"{name} is ")


def test_resume_must_not_skip_audio() -> None:
    resume = {
        "session_id": "s", "committed_ms": 100, "audio_from_ms": 101, "seq": 1, "utterance": 1,
        "onset_reported": False,
    }  # fmt: skip
    with pytest.raises(ProtocolError, match="not after committed_ms"):
        read(resume=resume)
    config = read(resume={**resume, "audio_from_ms": 100})
    assert config.resume is not None
    assert config.resume.seq == 1


RESUME = {"session_id": "s", "committed_ms": 100, "audio_from_ms": 0, "seq": 9, "utterance": 3}


@pytest.mark.parametrize(
    ("reported", "is_under_way", "through"),
    [(False, False, 3), (True, True, 3), (3, True, 3), (5, True, 5)],
)
def test_a_resume_tells_which_onsets_were_reported(
    reported: bool | int, is_under_way: bool, through: int
) -> None:
    resume = read(resume={**RESUME, "onset_reported": reported}).resume
    assert resume is not None
    assert (resume.is_under_way, resume.reported_through) == (is_under_way, through)
    assert (resume.text, resume.onset_ms) == ("", None)


@pytest.mark.parametrize(
    "changes",
    [
        {"onset_reported": None},
        {"onset_reported": "yes"},
        {"onset_reported": True, "utterance": 0},
        {"onset_reported": 2000},
        {"onset_reported": False, "committed_ms": 30_001},
        {"onset_reported": True, "text": 7},
        {"onset_reported": True, "onset_ms": -1},
    ],
)
def test_a_resume_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match="resume is "):
        read(resume={**RESUME, **changes})


@pytest.mark.parametrize(
    ("tag", "code"),
    [("en", "en"), ("en-US", "en"), ("nb-NO", "no"), ("ZH-Hant-TW", "zh"), (None, None)],
)
def test_the_engine_is_asked_for_the_primary_language(tag: str | None, code: str | None) -> None:
    assert read(language=tag).language_code == code


@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(), JSON, max_size=6))
def test_any_object_is_either_a_config_or_a_protocol_error(raw: dict[str, object]) -> None:
    try:
        config, ignored = read_session_config(raw, SessionConfig())
    except ProtocolError as error:
        assert error.kind.code == "invalid_config"
    else:
        assert set(ignored) == set(raw) - set(FIELDS)
        assert 0.5 <= config.buffer_duration <= 20


def test_configure_changes_what_may_change() -> None:
    changed = change_session_config(SessionConfig(), {"buffer_duration": 1.5, "unknown": 1})
    assert changed == SessionConfig(buffer_duration=1.5)


@pytest.mark.parametrize(
    "name", ["enable_vad", "fasttalk_mode", "encoding", "sample_rate", "session_id", "resume"]
)
def test_configure_refuses_what_only_a_start_sets(name: str) -> None:
    with pytest.raises(ProtocolError, match=f"{name} cannot change inside a session"):
        change_session_config(SessionConfig(), {name: None})


def test_names_of_any_script_are_taken() -> None:
    terms = ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "caf\u00e9\u00a0noir"]
    assert read(vocabulary=terms).vocabulary == tuple(terms)
