"""The GPU's memory is read where there is a GPU, and nothing is loaded for it."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from fasttalk_stt.inference.gpu_memory import GpuMemory, read_gpu_memory


def torch(*, has_gpu: bool) -> SimpleNamespace:
    cuda = SimpleNamespace(is_available=lambda: has_gpu, mem_get_info=lambda: (3, 10))
    return SimpleNamespace(cuda=cuda)


def test_what_is_not_free_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch(has_gpu=True))
    assert read_gpu_memory() == GpuMemory(used_bytes=7, total_bytes=10)


def test_without_a_gpu_there_is_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", torch(has_gpu=False))
    assert read_gpu_memory() is None


def test_nothing_is_loaded_to_find_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert read_gpu_memory() is None
    assert "torch" not in sys.modules


def test_libraries_that_are_being_loaded_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace())
    assert read_gpu_memory() is None
