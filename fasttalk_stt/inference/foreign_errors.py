"""Translates what CTranslate2 and CUDA raise into the errors of this package."""

from __future__ import annotations

from fasttalk_stt.inference.errors import EngineError, GpuError, GpuMemoryExhaustedError

FOREIGN_ERRORS = (RuntimeError, ValueError, MemoryError, OSError)
"""What the model libraries raise. Anything else is a bug of ours and must stay one."""

_MEMORY_SIGNS = ("out of memory", "alloc_failed", "cudaerrormemoryallocation")
_GPU_SIGNS = ("cuda", "cublas", "cudnn", "nccl", "gpu")


def translated(error: Exception, what: str) -> EngineError:
    """The error to raise instead (`raise translated(error, "decoding") from error`).

    CTranslate2 knows only RuntimeError and ValueError, so the message decides.
    """
    if isinstance(error, EngineError):
        return error
    lines = str(error).strip().splitlines()
    reason = lines[0] if lines else type(error).__name__
    signs = reason.lower()
    if isinstance(error, MemoryError):
        return EngineError(f"{what} failed: out of memory")
    is_gpu = any(sign in signs for sign in _GPU_SIGNS)
    if is_gpu and any(sign in signs for sign in _MEMORY_SIGNS):
        return GpuMemoryExhaustedError(f"{what} failed: {reason}")
    if is_gpu:
        return GpuError(f"{what} failed: {reason}")
    return EngineError(f"{what} failed: {reason}")
