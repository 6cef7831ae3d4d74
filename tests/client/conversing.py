"""What tests of whole sessions share: a network of their own, an utterance or two, the events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from fasttalk_stt.client import SessionOptions, Transcription
from fasttalk_stt.client.error_groups import single_errors
from tests.client.model_server import RATE_HZ, blocks
from tests.client.network import Behaviour, Network

URL = "ws://stt/ws/transcribe"
OPTIONS = SessionOptions(encoding="s16le", sample_rate=RATE_HZ, fasttalk_mode=True)
ONE = blocks(*[1] * 20, *[0] * 40)
TWO = blocks(*[2] * 20, *[0] * 40)


@asynccontextmanager
async def network(**hosts: Behaviour) -> AsyncIterator[Network]:
    with single_errors():
        async with anyio.create_task_group() as tasks:
            yield Network(tasks, hosts=dict(hosts))
            tasks.cancel_scope.cancel()


def texts(events: list[Any]) -> list[str]:
    return [e.data.text for e in events if isinstance(e, Transcription) and e.data.text]


async def everything(session: Any) -> list[Any]:
    return [event async for event in session]


async def next_of(session: Any, kind: type[Any]) -> Any:
    async for event in session:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")
