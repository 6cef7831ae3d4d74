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


class NobodyWaitsError(EngineError):
    """The answer was not computed, since all who had asked for it had left."""
