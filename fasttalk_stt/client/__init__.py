"""The client library: what a Core Backend imports. Works under asyncio and under Trio.

    from fasttalk_stt.client import SessionOptions, connect

`docs/client.md` shows how. Nothing of the server comes along but `fasttalk_stt.protocol`.
"""

from __future__ import annotations

from fasttalk_stt.client.connect import connect
from fasttalk_stt.client.credentials import Credentials
from fasttalk_stt.client.discovery import DiscoverySettings, ServiceDiscovery
from fasttalk_stt.client.errors import (
    BusyError,
    ConnectError,
    CredentialsError,
    DisconnectedError,
    ForbiddenError,
    GpuError,
    GpuMemoryExhaustionError,
    PoolExhaustedError,
    ProtocolViolationError,
    RefusedError,
    ServiceError,
    ServiceUnavailableError,
    SessionOverError,
    SessionRefusedError,
    SttError,
    TranscriptionFailedError,
    TranscriptionTimeoutError,
    UnauthorizedError,
)
from fasttalk_stt.client.events import (
    Configured,
    ContextUpdated,
    EagerRetracted,
    EagerTranscription,
    Error,
    Event,
    InterruptAcknowledged,
    PartialTranscription,
    Pong,
    Resumed,
    SessionEnded,
    SessionStarted,
    SpeechEnded,
    Transcription,
    UnknownMessage,
    VoiceActivityDetected,
    VoiceActivityRejected,
)
from fasttalk_stt.client.options import ClientSettings, SessionOptions
from fasttalk_stt.client.pool import ConnectionPool, PoolSettings, PoolStatistics
from fasttalk_stt.client.replicas import ReplicaView
from fasttalk_stt.client.session import Session

__all__ = [
    "BusyError",
    "ClientSettings",
    "Configured",
    "ConnectError",
    "ConnectionPool",
    "ContextUpdated",
    "Credentials",
    "CredentialsError",
    "DisconnectedError",
    "DiscoverySettings",
    "EagerRetracted",
    "EagerTranscription",
    "Error",
    "Event",
    "ForbiddenError",
    "GpuError",
    "GpuMemoryExhaustionError",
    "InterruptAcknowledged",
    "PartialTranscription",
    "Pong",
    "PoolExhaustedError",
    "PoolSettings",
    "PoolStatistics",
    "ProtocolViolationError",
    "RefusedError",
    "ReplicaView",
    "Resumed",
    "ServiceDiscovery",
    "ServiceError",
    "ServiceUnavailableError",
    "Session",
    "SessionEnded",
    "SessionOptions",
    "SessionOverError",
    "SessionRefusedError",
    "SessionStarted",
    "SpeechEnded",
    "SttError",
    "Transcription",
    "TranscriptionFailedError",
    "TranscriptionTimeoutError",
    "UnauthorizedError",
    "UnknownMessage",
    "VoiceActivityDetected",
    "VoiceActivityRejected",
    "connect",
]
