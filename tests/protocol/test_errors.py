"""The error table against the protocol's own."""

from __future__ import annotations

import pytest

from fasttalk_stt.protocol.errors import ERROR_KINDS, Fault, ProtocolError

TABLE = {
    "invalid_json": ("connection", "low", True, None),
    "unknown_message_type": ("connection", "low", True, None),
    "invalid_message": ("connection", "low", True, None),
    "invalid_config": ("connection", "low", True, None),
    "session_not_started": ("connection", "low", True, None),
    "session_already_started": ("connection", "low", True, None),
    "audio_processing_error": ("audio_format", "low", True, None),
    "unsupported_audio_format": ("audio_format", "low", True, None),
    "transcription_failed": ("processing", "medium", True, 1.0),
    "transcription_timeout": ("timeout", "medium", True, 1.0),
    "gpu_memory_exhaustion": ("gpu", "high", True, 1.0),
    "gpu_error": ("gpu", "high", True, 1.0),
    "service_unavailable": ("processing", "high", True, 5.0),
    "server_full": ("resource", "medium", True, 5.0),
    "rate_limited": ("resource", "medium", True, 1.0),
    "session_too_long": ("resource", "medium", True, 0.0),
    "too_many_errors": ("connection", "critical", False, None),
    "unauthorized": ("connection", "critical", False, None),
    "forbidden_origin": ("connection", "critical", False, None),
    "internal_error": ("processing", "critical", False, None),
    "server_draining": ("resource", "medium", True, 1.0),
}


def test_the_codes_are_those_of_the_protocol() -> None:
    assert set(ERROR_KINDS) == set(TABLE)


@pytest.mark.parametrize("code", TABLE)
def test_each_code_has_its_category_severity_and_retry(code: str) -> None:
    kind = ERROR_KINDS[code]
    shown = (kind.category.value, kind.severity.value, kind.recoverable, kind.retry_after_s)
    assert shown == TABLE[code]


def test_only_what_is_not_recoverable_or_ours_to_end_closes_the_connection() -> None:
    closing = {code: kind.close_code for code, kind in ERROR_KINDS.items() if kind.close_code}
    assert closing == {
        "too_many_errors": 1008, "unauthorized": 1008, "forbidden_origin": 1008,
        "internal_error": 1011, "server_draining": 1001, "server_full": 1013,
    }  # fmt: skip


def test_a_client_is_never_blamed_for_what_is_not_its_fault() -> None:
    blameless = {
        "transcription_failed", "transcription_timeout", "gpu_memory_exhaustion", "gpu_error",
        "service_unavailable", "server_full", "session_too_long", "rate_limited",
        "internal_error", "server_draining",
    }  # fmt: skip
    assert {c for c, k in ERROR_KINDS.items() if k.fault is not Fault.CLIENT} == blameless


def test_an_occurrence_may_name_its_own_wait() -> None:
    assert ProtocolError(ERROR_KINDS["gpu_error"], "why", retry_after_s=42.0).retry_after_s == 42.0
