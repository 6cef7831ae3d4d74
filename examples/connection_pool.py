"""Connections that serve one session after another, so that a conversation starts at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fasttalk_stt.client import (
    ConnectionPool,
    PoolSettings,
    ServiceDiscovery,
    SessionOptions,
    Transcription,
)


class STTConnectionPool:
    """Use it as `async with`. Unhealthy connections are replaced by the pool."""

    def __init__(self, server: str | ServiceDiscovery, pool_size: int = 10) -> None:
        self._pool = ConnectionPool(server, pool=PoolSettings(max_idle=pool_size, wait_s=5.0))

    async def __aenter__(self) -> STTConnectionPool:
        await self._pool.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._pool.__aexit__(*error)

    async def transcribe(self, chunks: Iterable[Any], config: SessionOptions) -> str:
        """The text of some audio."""
        async with self._pool.session(config) as session:
            for chunk in chunks:
                await session.send_audio(chunk)
            await session.end()
            texts = [event.data.text async for event in session if isinstance(event, Transcription)]
        return " ".join(texts)
