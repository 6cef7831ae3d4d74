"""A `start_session` becomes a session: its configuration checked, with what the server hears with."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import datetime

from fasttalk_stt.audio.timeline import pipeline_samples
from fasttalk_stt.connection.ears import Ears
from fasttalk_stt.connection.timed_detector import TimedDetector
from fasttalk_stt.conversation.segmenter import SegmenterLimits
from fasttalk_stt.conversation.session import Session
from fasttalk_stt.protocol.config import SessionConfig, primary_language, read_session_config
from fasttalk_stt.protocol.errors import INVALID_CONFIG, ProtocolError
from fasttalk_stt.settings import Settings
from fasttalk_stt.telemetry.telemetry import ConnectionTelemetry

LANGUAGES_TOLD = 8
"""In an error: models know up to a hundred."""


class SessionMaker:
    """Makes the sessions of one connection. `languages` are those that the model knows by now."""

    def __init__(
        self,
        settings: Settings,
        *,
        model: str,
        languages: Callable[[], frozenset[str]],
        ears: Ears,
        wall_clock: Callable[[], datetime],
        telemetry: ConnectionTelemetry,
    ) -> None:
        self._settings = settings
        self._model = model
        self._languages = languages
        self._ears = ears
        self._wall_clock = wall_clock
        self._telemetry = telemetry

    def read(self, raw: Mapping[str, object]) -> tuple[SessionConfig, tuple[str, ...]]:
        """Check a `session_config`; returns it with the names it does not know. Raises `invalid_config`."""
        config, ignored = read_session_config(raw, self._settings.session_defaults())
        self.check_language(config.language)
        return config, ignored

    def make(self, config: SessionConfig, ignored_fields: tuple[str, ...]) -> Session:
        """The session of a configuration. Raises `invalid_config` where it names two sessions."""
        settings = self._settings
        return Session(
            config,
            session_id=_session_id(config),
            ignored_fields=ignored_fields,
            limits=SegmenterLimits(
                min_audio_samples=pipeline_samples(settings.min_audio_length_s),
                max_silence_samples=pipeline_samples(settings.max_silence_duration_s),
                endpointer=self._ears.endpointer,
                speculates=settings.speculation,
            ),
            detector=TimedDetector(
                self._ears.make_detector(config.vad_sensitivity), self._telemetry
            ),
            backchannels=self._ears.backchannels,
            model=self._model,
            wall_clock=self._wall_clock,
        )

    def check_language(self, tag: str | None) -> None:
        """Raises `invalid_config` where the model does not know that language; None is any."""
        language = primary_language(tag)
        languages = self._languages()
        if language is None or language in languages:
            return
        some = ", ".join(sorted(languages)[:LANGUAGES_TOLD])
        more = " and more" if len(languages) > LANGUAGES_TOLD else ""
        raise ProtocolError(
            INVALID_CONFIG,
            f"language is {tag!r}; the model {self._model} knows {some}{more}. Ask for one of "
            "these, or null to have it detected.",
        )


def _session_id(config: SessionConfig) -> str:
    """The caller's own id or a new one; a session that goes on keeps its id."""
    if config.resume is None:
        return config.session_id or str(uuid.uuid4())
    if config.session_id not in (None, config.resume.session_id):
        raise ProtocolError(
            INVALID_CONFIG,
            f"session_id is {config.session_id!r}, but resume.session_id is "
            f"{config.resume.session_id!r}. Give the id of the session that goes on, or none.",
        )
    return config.resume.session_id
