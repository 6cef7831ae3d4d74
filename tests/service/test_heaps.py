"""Heaps of the C library, counted in processes of their own: what is set there cannot be taken back."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from fasttalk_stt.service.heaps import MOST_HEAPS, share_heaps

COUNT = """
import ctypes, os, sys, threading
from fasttalk_stt.cli import main
from fasttalk_stt.service.heaps import share_heaps
if "share" in sys.argv:
    assert share_heaps({})
libc = ctypes.CDLL(None)
everybody = threading.Barrier(8)
def allocate():
    everybody.wait()
    libc.malloc(100_000)
    everybody.wait()
threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_stats()
"""

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="no GNU C library on this system"
)


def heaps_of_eight_threads(*arguments: str) -> int:
    command = [sys.executable, "-c", COUNT, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.count("Arena ")


def test_eight_threads_share_two_heaps() -> None:
    assert heaps_of_eight_threads() > MOST_HEAPS, "else this test would show nothing"
    assert heaps_of_eight_threads("share") <= MOST_HEAPS


def test_an_operator_s_own_number_and_another_c_library_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not share_heaps({"MALLOC_ARENA_MAX": "8"})
    assert not share_heaps({})
