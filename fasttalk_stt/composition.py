"""Puts the parts of one server together; nothing runs yet. The one place that knows them all."""

from __future__ import annotations

from functools import partial

from fasttalk_stt.connection.connection import Connection
from fasttalk_stt.connection.registry import SessionRegistry
from fasttalk_stt.guard import GuardStatistics
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.models import resolve_model
from fasttalk_stt.inference.scheduler import Scheduler
from fasttalk_stt.inference.whisperx_engine import WhisperXEngine
from fasttalk_stt.service.connections import ConnectionManager
from fasttalk_stt.service.model_owner import own_model
from fasttalk_stt.service.readiness import Readiness
from fasttalk_stt.service.services import Composition, Services
from fasttalk_stt.settings import Settings


def compose(settings: Settings, engine: Engine, guard: GuardStatistics) -> Composition:
    """Connect `engine`, sessions and service; `guard` counts what the web server contains."""
    scheduler = Scheduler(engine, batch_size=settings.batch_size)
    services = Services(
        connections=ConnectionManager(max_connections=settings.websocket_max_connections),
        readiness=Readiness(),
        guard=guard,
        connect=partial(
            Connection, settings=settings, scheduler=scheduler, sessions=SessionRegistry()
        ),
        model_name=lambda: engine.model_name,
    )
    return Composition(
        services,
        partial(own_model, engine, scheduler, services.readiness, language=settings.language),
    )


def make_engine(settings: Settings) -> Engine:
    """Make the engine of the configured model, unloaded.

    Raises ModelNotFoundError when there is no such model.
    """
    model = resolve_model(
        settings.model, device=settings.device, cache_directory=settings.model_cache
    )
    return WhisperXEngine(
        model,
        device=settings.device,
        compute_type=settings.compute_type,
        cpu_threads=settings.cpu_threads,
    )
