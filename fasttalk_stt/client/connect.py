"""`connect`: one session, for as long as its block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from fasttalk_stt.client.address import OpenStream
from fasttalk_stt.client.connector import Connector, Dialer, SingleConnector
from fasttalk_stt.client.credentials import Credentials
from fasttalk_stt.client.discovery import DiscoveryConnector, ServiceDiscovery
from fasttalk_stt.client.error_groups import single_errors
from fasttalk_stt.client.exchange import Exchange
from fasttalk_stt.client.options import ClientSettings, SessionOptions
from fasttalk_stt.client.runner import Callbacks, OnError, OnOnset, OnRejected, Runner
from fasttalk_stt.client.session import Session


@asynccontextmanager
async def connect(
    server: str | ServiceDiscovery,
    *,
    credentials: Credentials = None,
    config: SessionOptions | None = None,
    settings: ClientSettings | None = None,
    on_speech_onset: OnOnset | None = None,
    on_onset_rejected: OnRejected | None = None,
    on_error: OnError | None = None,
    open_stream: OpenStream | None = None,
) -> AsyncIterator[Session]:
    """Connect, start a session, and keep it going over lost connections until the block ends.

    `server`: ws://HOST:8000/ws/transcribe (or wss, or a base URL), or a `ServiceDiscovery`.
    `credentials`: an API key or token, or a function that returns one, asked for each connection.
    Leaving the block without `end()` hangs up: what has no text yet gets none.

    The callbacks, plain or async functions, are called one at a time in the order of the messages:
    `on_speech_onset` (stop or duck the bot), `on_onset_rejected` (it may go on), `on_error` (an `error`
    message as an exception, or a lost connection, `websocket_disconnected`, before it is resumed).
    Nobody gets the event of a call, or a later one, before the call has begun: a plain function has
    returned by then, an async one has come to its first wait. A slow one keeps the next one waiting,
    and with it the events from there on. What one raises ends the block.

    Raises ConnectError or RefusedError where no server takes us (busy ones are waited for),
    CredentialsError where the function for the credentials goes on failing,
    SessionRefusedError where none starts the session, ValueError for a bad URL or configuration.
    """
    settings = settings or ClientSettings()
    dialer = Dialer(credentials=credentials, settings=settings, open_stream=open_stream)
    connector: Connector
    if isinstance(server, ServiceDiscovery):
        connector = DiscoveryConnector(server, dialer)
    else:
        connector = SingleConnector(server, dialer)
    callbacks = Callbacks(
        on_speech_onset=on_speech_onset, on_onset_rejected=on_onset_rejected, on_error=on_error
    )
    async with run_session(connector, config=config, settings=settings, callbacks=callbacks) as it:
        yield it


@asynccontextmanager
async def run_session(
    connector: Connector,
    *,
    config: SessionOptions | None,
    settings: ClientSettings,
    callbacks: Callbacks,
) -> AsyncIterator[Session]:
    """A session over whatever connections the connector gives."""
    options = config or SessionOptions()
    exchange = Exchange(options)
    session = Session(exchange, options, settings)
    runner = Runner(session, exchange, connector, settings=settings, callbacks=callbacks)
    try:
        await runner.start()
        with single_errors():
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runner.run)
                yield session
                tasks.cancel_scope.cancel()
    finally:
        session.finish(None)
        await runner.aclose()
