"""What the model libraries raise, translated by what a caller should do about it."""

from __future__ import annotations

import pytest

from fasttalk_stt.inference.errors import EngineError, GpuError, GpuMemoryExhaustedError
from fasttalk_stt.inference.foreign_errors import translated


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("CUDA failed with error out of memory"), GpuMemoryExhaustedError),
        (
            RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
            GpuMemoryExhaustedError,
        ),
        (RuntimeError("CUDA failed with error an illegal memory access"), GpuError),
        (RuntimeError("Library libcudnn_ops.so.9 is not found or cannot be loaded"), GpuError),
        (RuntimeError("Unsupported model binary version"), EngineError),
        (ValueError("Invalid input features shape"), EngineError),
        (MemoryError(), EngineError),
        (RuntimeError(""), EngineError),
    ],
)
def test_translation(error: Exception, expected: type[EngineError]) -> None:
    result = translated(error, "decoding")
    assert type(result) is expected
    assert str(result).startswith("decoding failed: ")


def test_own_errors_stay() -> None:
    error = EngineError("ours")
    assert translated(error, "decoding") is error


def test_only_the_first_line_is_told() -> None:
    assert "\n" not in str(translated(RuntimeError("first\nsecond"), "decoding"))
