"""`main` of a server: one Trio run whose top nursery owns the model and both web servers.

Composes the parts and decides how they live and die: ports first, then the model beside the
servers; the first signal drains, the second kills. What is served is in `app`.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import trio
from attrs import frozen
from hypercorn.config import Sockets
from hypercorn.trio.run import worker_serve
from hypercorn.utils import wrap_app
from quart_trio import QuartTrio

from fasttalk_stt.access.addresses import is_loopback
from fasttalk_stt.app import create_app, create_monitoring_app
from fasttalk_stt.composition import compose
from fasttalk_stt.engines import make_engine
from fasttalk_stt.guard import GuardStatistics, install_guard
from fasttalk_stt.hypercorn_settings import load_hypercorn_settings, make_config
from fasttalk_stt.inference.engine import Engine
from fasttalk_stt.inference.faulty import FaultPlan
from fasttalk_stt.listening import bind_port
from fasttalk_stt.protocol.errors import UNAUTHORIZED, ProtocolError
from fasttalk_stt.service.credentials import load_policy
from fasttalk_stt.service.logging import finish_logging
from fasttalk_stt.service.readiness import ReadinessState
from fasttalk_stt.service.services import Composition, Services
from fasttalk_stt.settings import Settings, SettingsError

logger = structlog.get_logger(__name__)


@frozen
class BoundPorts:
    """Where the servers really listen; differs from the settings where those say 0."""

    websocket_port: int
    monitoring_port: int


async def serve(
    settings: Settings,
    *,
    engine: Engine | None = None,
    faults: FaultPlan | None = None,
    hypercorn_file: Path | None = None,
    task_status: trio.TaskStatus[BoundPorts] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until a signal: the first SIGINT or SIGTERM drains, the second kills the process.

    Must run in the main thread, for the signals. `engine` defaults to the configured model's,
    which fails by `faults`.
    `task_status` reports the ports as soon as both servers answer, before the model is loaded.

    Raises what `serve_composition` raises, and ModelNotFoundError before the ports answer.
    """
    await serve_composition(
        settings,
        lambda guard: compose(settings, engine or make_engine(settings, faults=faults), guard),
        hypercorn_file=hypercorn_file,
        task_status=task_status,
    )


async def serve_composition(
    settings: Settings,
    compose_with: Callable[[GuardStatistics], Composition],
    *,
    hypercorn_file: Path | None = None,
    task_status: trio.TaskStatus[BoundPorts] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve what `compose_with` puts together, once the ports are ours. See `serve`.

    Raises SettingsError or ListenError before anything else is done, and, as an exception group,
    what killed the model or a server later.
    """
    hypercorn = load_hypercorn_settings(hypercorn_file)
    with ExitStack() as stack:
        main_socket, monitoring_socket = (
            stack.enter_context(bind_port(settings.websocket_host, port, variable=variable))
            for port, variable in (
                (settings.websocket_port, "WEBSOCKET_PORT"),
                (settings.monitoring_port, "MONITORING_PORT"),
            )
        )
        parts = compose_with(install_guard())
        stack.enter_context(parts.services.loop.watching())
        _warn_if_open(parts.services, settings.websocket_host)
        stop = trio.Event()
        async with trio.open_nursery() as nursery:
            await nursery.start(_watch_signals, stop)
            await nursery.start(_reload_on_hangup, settings, parts.services)
            nursery.start_soon(parts.own_model)
            nursery.start_soon(parts.observe)
            await nursery.start(
                partial(
                    _serve_app,
                    create_monitoring_app(parts.services),
                    hypercorn,
                    monitoring_socket,
                    # Until the top nursery ends: operators watch the drain to its end.
                    shutdown_trigger=trio.sleep_forever,
                )
            )
            await nursery.start(
                partial(
                    _serve_main,
                    create_app(parts.services),
                    hypercorn,
                    main_socket,
                    shutdown_trigger=partial(
                        _drain_after, stop, parts.services, settings.drain_timeout_s
                    ),
                    everything=nursery.cancel_scope,
                )
            )
            ports = BoundPorts(main_socket.getsockname()[1], monitoring_socket.getsockname()[1])
            logger.info(
                "serving",
                demo=f"http://localhost:{ports.websocket_port}/demo",
                dashboard=f"http://localhost:{ports.monitoring_port}/dashboard",
            )
            task_status.started(ports)


def make_hosted_app(settings: Settings, engine: Engine) -> QuartTrio:
    """Make the application for a Hypercorn that somebody else starts; installs the guard.

    Its model is a task of the application's own. When that dies, `/health` says so and upgrades
    are refused, but the process lives on: an application cannot stop its server.
    """
    parts = compose(settings, engine, install_guard())
    # Where it will listen is its server's affair: taken for public.
    _warn_if_open(parts.services, None)
    app = create_app(parts.services)

    async def own_model() -> None:
        # An error that left the application's nursery would end only the nursery, silently.
        try:
            await parts.own_model()
        except* Exception as group:
            logger.critical("model_failed", exc_info=group)

    @app.before_serving
    async def start_model() -> None:
        app.nursery.start_soon(own_model)
        app.nursery.start_soon(parts.observe)

    return app


async def _serve_main(
    app: QuartTrio,
    hypercorn: dict[str, Any],
    listening: socket.socket,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    everything: trio.CancelScope,
    task_status: trio.TaskStatus[list[str]],
) -> None:
    """Serve the main application; when it has stopped, so does everything else."""
    await _serve_app(
        app, hypercorn, listening, shutdown_trigger=shutdown_trigger, task_status=task_status
    )
    logger.info("stopped")
    everything.cancel()


async def _serve_app(
    app: QuartTrio,
    hypercorn: dict[str, Any],
    listening: socket.socket,
    *,
    shutdown_trigger: Callable[[], Awaitable[None]],
    task_status: trio.TaskStatus[list[str]],
) -> None:
    config = make_config(hypercorn)
    sockets = Sockets([listening], [], []) if config.ssl_enabled else Sockets([], [listening], [])
    # `hypercorn.trio.serve` takes addresses only; this is the function under it.
    await worker_serve(
        wrap_app(app, config.wsgi_max_body_size, "asgi"),
        config,
        sockets=sockets,
        shutdown_trigger=shutdown_trigger,
        task_status=task_status,
    )


async def _drain_after(stop: trio.Event, services: Services, drain_timeout_s: float) -> None:
    """Wait for `stop`, then for the sessions to end; Hypercorn still answers meanwhile."""
    await stop.wait()
    services.readiness.move(ReadinessState.DRAINING)
    with trio.move_on_after(drain_timeout_s) as limit:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(services.connections.drain)
            if services.transcriptions is not None:
                nursery.start_soon(services.transcriptions.drain)
    if limit.cancelled_caught:
        desk = services.transcriptions
        logger.warning(
            "drain_timed_out",
            after_s=drain_timeout_s,
            active_connections=services.connections.active_connections,
            active_recordings=0 if desk is None else desk.active,
        )
        if desk is not None:
            desk.stop()


async def _watch_signals(stop: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            if stop.is_set():
                # Not an exception: that would wait for worker threads and shielded writes.
                finish_logging()
                signal.signal(number, signal.SIG_DFL)
                signal.raise_signal(number)
            logger.info("stopping", signal=signal.Signals(number).name)
            stop.set()


async def _reload_on_hangup(
    settings: Settings, services: Services, *, task_status: trio.TaskStatus[None]
) -> None:
    """At each SIGHUP read the credentials' files again, and part with whoever has lost theirs."""
    with trio.open_signal_receiver(signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            try:
                # In a thread: a file may lie on a disk that is far away.
                policy = await trio.to_thread.run_sync(load_policy, settings)
            except SettingsError as error:
                logger.error("credentials_not_reloaded", problem=str(error), advice="old ones hold")
                continue
            services.access.replace(policy)
            n_parted = services.connections.part_invalid(
                services.access.is_valid,
                ProtocolError(UNAUTHORIZED, "The credential of this connection has been revoked."),
            )
            services.connections.renew(services.access.seconds_left)
            logger.info("credentials_reloaded", connections_closed=n_parted)


def _warn_if_open(services: Services, host: str | None) -> None:
    """Tell the operator, loudly and once for each port, that anybody who reaches it gets in."""
    if host is not None and is_loopback(host):
        return
    if services.access.is_open:
        logger.warning(
            "open_to_everyone",
            host=host,
            advice="set API_KEYS_FILE or JWT_*, or keep the port behind a gateway; see docs/security.md",
        )
    if services.monitoring.is_open and host is not None:
        logger.warning(
            "monitoring_open_to_everyone",
            host=host,
            advice="set MONITORING_TOKEN, or keep MONITORING_PORT behind a firewall",
        )
