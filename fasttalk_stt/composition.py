"""Puts the parts of one server together; nothing runs yet. The one place that knows them all."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

from fasttalk_stt.access.origins import Origins
from fasttalk_stt.audio.cascade import CascadeVad
from fasttalk_stt.audio.vad import VoiceDetector
from fasttalk_stt.audio.webrtc import WebRtcVad
from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.ears import Ears, JudgeTurn
from fasttalk_stt.connection.registry import SessionRegistry
from fasttalk_stt.conversation.backchannels import (
    Backchannels,
    BackchannelsError,
    default_backchannels,
    read_backchannels,
)
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.device import chosen_compute_type, chosen_device
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.fallback import FallbackEngine, FallbackStatistics
from fasttalk_stt.inference.gpu_memory import read_gpu_memory
from fasttalk_stt.inference.load import Crowd, Pressure, headroom_streams
from fasttalk_stt.inference.resilience import Resilience
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.inference.silero import SileroModel, SileroVad
from fasttalk_stt.inference.smart_turn import SmartTurn
from fasttalk_stt.inference.turn_judge import TurnJudge
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.credentials import load_monitoring_token, load_policy
from fasttalk_stt.service.dashboard import moment
from fasttalk_stt.service.engine_health import EngineHealth
from fasttalk_stt.service.gate import Gate, MonitoringGate
from fasttalk_stt.service.journal import Journal
from fasttalk_stt.service.model_owner import own_model
from fasttalk_stt.service.observation import Observation
from fasttalk_stt.service.readiness import Readiness
from fasttalk_stt.service.services import Composition, Hardware, Services
from fasttalk_stt.service.transcriptions import Transcriptions
from fasttalk_stt.settings import Settings, SettingsError
from fasttalk_stt.telemetry.telemetry import NO_TELEMETRY, Telemetry
from fasttalk_stt.transcripts.transcription import patient, unhurried

_GATE_SENSITIVITY = 0
"""The easiest: what the gate misses, nobody hears."""


def compose(settings: Settings, engine: Engine, guard: GuardStatistics) -> Composition:
    """Connect `engine`, sessions and service; `guard` counts what the web server contains.

    Raises SettingsError for credentials that cannot be used, and what `make_ears` raises.
    """
    # First, since their files are what an operator changes most.
    access, monitoring = make_gate(settings), MonitoringGate(load_monitoring_token(settings))
    fallback = engine if isinstance(engine, FallbackEngine) else None
    observation = Observation(
        transcripts=settings.dashboard_transcripts,
        others=[Journal(transcripts=settings.log_transcripts), *_traces(settings)],
    )
    scheduler = Scheduler(
        engine,
        batch_size=settings.batch_size,
        promised_s=settings.promised_latency_ms / 1000 or None,
        longest_call_s=settings.transcription_timeout_s,
        moving_s=(lambda: 0.0) if fallback is None else fallback.moving_s,
        telemetry=observation.telemetry,
    )

    resilience = make_resilience(settings, scheduler, observation.telemetry)

    health = EngineHealth(
        scheduler,
        resilience,
        stuck_limit_s=settings.engine_stuck_s,
        dead_limit_s=settings.engine_dead_s,
    )

    def has_compute(crowd: Crowd) -> bool:
        if not settings.promised_latency_ms:
            return True
        return headroom_streams(scheduler.load(), crowd, free_places=1) > 0

    ears = make_ears(settings)
    transcriptions = Transcriptions.of(
        settings,
        connect=partial(
            Connection,
            settings=unhurried(settings),
            resilience=resilience,
            ears=patient(ears),
            is_recording=True,
        ),
        languages=lambda: scheduler.supported_languages,
        has_compute=lambda: scheduler.load().pressure is not Pressure.FULL,
    )
    services = Services(
        connections=ConnectionManager(
            max_connections=settings.websocket_max_connections, has_compute=has_compute
        ),
        readiness=Readiness(health.trouble),
        guard=guard,
        connect=partial(
            Connection,
            settings=settings,
            resilience=resilience,
            ears=ears,
            sessions=SessionRegistry(),
            telemetry=observation.telemetry,
        ),
        engine=health,
        model_name=lambda: engine.model_name,
        preferred_model=lambda: engine.model_name if fallback is None else fallback.preferred_model,
        load=scheduler.load,
        access=access,
        monitoring=monitoring,
        observation=observation,
        fallbacks=lambda: FallbackStatistics() if fallback is None else fallback.statistics,
        hardware=cache(partial(_hardware, settings)),
        read_gpu_memory=None if settings.device == "cpu" else read_gpu_memory,
        session_defaults=settings.session_defaults(),
        transcriptions=transcriptions,
    )
    return Composition(
        services,
        partial(
            own_model,
            engine,
            scheduler,
            services.readiness,
            language=settings.language,
            beside=None if fallback is None else fallback.run,
        ),
        partial(observation.run, partial(moment, services), services.read_gpu_memory),
    )


def make_gate(settings: Settings) -> Gate:
    """Make what guards the main port. Raises SettingsError for credentials that cannot be used."""
    return Gate(
        load_policy(settings),
        origins=Origins(settings.allowed_origins),
        connections_per_minute=settings.connection_rate_limit,
    )


def make_resilience(
    settings: Settings, scheduler: Scheduler, telemetry: Telemetry = NO_TELEMETRY
) -> Resilience:
    """The retries and circuit breakers that all sessions of a server share."""
    return Resilience.of(
        scheduler,
        gpu_threshold=settings.gpu_failure_threshold,
        transcription_threshold=settings.transcription_failure_threshold,
        telemetry=telemetry,
    )


def _hardware(settings: Settings) -> Hardware:
    device = chosen_device(settings.device)
    return Hardware(device, chosen_compute_type(settings.compute_type, device))


def _traces(settings: Settings) -> list[Telemetry]:
    if settings.traces == "none":
        return []
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from fasttalk_stt.service.tracing import Traces  # noqa: PLC0415
    except ImportError as error:
        raise SettingsError(
            f"TRACES={settings.traces} needs the extra: pip install 'fasttalk-stt[tracing]' ({error})"
        ) from error
    return [Traces(BatchSpanProcessor(OTLPSpanExporter()))]


def make_ears(settings: Settings) -> Ears:
    """Load what sessions hear with: the voice detector, the word lists, the judge of turns.

    Blocks for some tenths of a second. Raises SettingsError for a list that cannot be used,
    ModelNotFoundError or EngineError for a small model that is missing or does not work.
    """
    return Ears(
        make_detector=_detector_maker(settings.vad),
        endpointer=settings.endpointer,
        backchannels=_backchannels(settings.backchannels_file),
        judge_turn=_turn_judge() if settings.endpointer == "smart" else None,
    )


def _detector_maker(kind: str) -> Callable[[int], VoiceDetector]:
    if kind == "webrtc":
        return WebRtcVad
    model = SileroModel()
    model.load()
    if kind == "silero":
        return partial(SileroVad, model)
    return lambda sensitivity: CascadeVad(
        WebRtcVad(_GATE_SENSITIVITY), SileroVad(model, sensitivity)
    )


def _backchannels(file: Path | None) -> Backchannels:
    if file is None:
        return default_backchannels()
    try:
        return read_backchannels(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, BackchannelsError) as error:
        raise SettingsError(f"BACKCHANNELS_FILE={file} cannot be used: {error}") from error


def _turn_judge() -> JudgeTurn:
    model = SmartTurn()
    model.load()
    return TurnJudge(model).probability
