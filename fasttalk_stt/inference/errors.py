"""What can go wrong in an engine, by what the caller should do about it."""

from __future__ import annotations


class EngineError(Exception):
    """A request failed; another may succeed."""


class ModelNotFoundError(EngineError):
    """No usable model: the message says what was looked for and how to get one."""


class GpuError(EngineError):
    """The accelerator failed."""


class GpuMemoryExhaustedError(GpuError):
    """The accelerator ran out of memory."""


class BadOutputError(EngineError):
    """The model answered with something that is no hypothesis."""


class EngineTimeoutError(EngineError):
    """A call took too long; it may still be running."""


class EngineUnavailableError(EngineError):
    """A circuit breaker is open: nothing is tried. `is_gpu` says which."""

    def __init__(self, message: str, *, retry_after_s: float, is_gpu: bool) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_gpu = is_gpu


class NobodyWaitsError(EngineError):
    """The answer was not computed, since all who had asked for it had left."""
