"""Which instructions the decoder's library is told to use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fasttalk_stt.inference import processor
from fasttalk_stt.inference.processor import (
    INSTRUCTIONS_VARIABLE,
    prefer_wide_instructions,
    processor_flags,
)

NEW = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512bw amx_tile\nflags\t\t: other\n"
OLD = "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512bw\n"


def test_flags_are_those_of_the_first_processor(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(NEW, encoding="utf-8")
    assert "amx_tile" in processor_flags(tmp_path / "cpuinfo")
    assert "other" not in processor_flags(tmp_path / "cpuinfo")
    assert processor_flags(tmp_path / "none") == frozenset()


@pytest.mark.parametrize(
    ("information", "set_before", "expected"),
    [(NEW, None, "AVX512"), (OLD, None, None), (NEW, "AVX2", "AVX2")],
)
def test_wide_instructions_are_for_processors_that_gain_by_them(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    information: str,
    set_before: str | None,
    expected: str | None,
) -> None:
    (tmp_path / "cpuinfo").write_text(information, encoding="utf-8")
    monkeypatch.setattr(processor, "CPU_INFORMATION", tmp_path / "cpuinfo")
    # Set first, so that it is taken away again afterwards whatever is done to it here.
    monkeypatch.setenv(INSTRUCTIONS_VARIABLE, set_before or "")
    if set_before is None:
        monkeypatch.delenv(INSTRUCTIONS_VARIABLE)
    prefer_wide_instructions()
    assert os.environ.get(INSTRUCTIONS_VARIABLE) == expected
