"""The hearing evaluation from its command line, over a tiny corpus made here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tools import hear_eval
from tools.hearing import parts
from tools.hearing.figure import draw
from tools.hearing.tables import text_report

RATE_HZ = 16_000


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two recordings: something voiced between quiet, with checked word times, and hiss."""
    rng = np.random.default_rng(0)
    hiss = rng.normal(0.0, 0.01, 4 * RATE_HZ)
    entries = [
        {
            "id": "vowel",
            "kind": "speech",
            "lang": "en",
            "text": "ah",
            "words": [{"word": "ah", "start_ms": 300, "end_ms": 1300}],
            "word_times": "hand-verified",
        },
        {"id": "hiss", "kind": "noise", "lang": None, "text": None, "label": "hiss"},
    ]
    quiet = rng.normal(0.0, 1e-4, round(0.3 * RATE_HZ))
    sounds = {"vowel": np.concatenate((quiet, _vowel(1.0), quiet)), "hiss": hiss}
    lines = []
    for entry in entries:
        name = entry["id"]
        soundfile.write(tmp_path / f"{name}.wav", sounds[name], RATE_HZ)
        seconds = len(sounds[name]) / RATE_HZ
        lines.append(json.dumps(entry | {"file": f"{name}.wav", "seconds": seconds}))
    (tmp_path / "manifest.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


def _vowel(seconds: float) -> np.ndarray:
    """Harmonics of 120 Hz, strongest near the formants of an open vowel."""
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    voice = np.zeros_like(at_s)
    for harmonic in range(1, 30):
        hz = 120.0 * harmonic
        strength = sum(np.exp(-(((hz - formant) / 200.0) ** 2)) for formant in (700, 1200, 2600))
        voice += (strength + 0.02) * np.sin(2 * np.pi * hz * at_s)
    return np.asarray(0.3 * voice / np.abs(voice).max())


def test_onsets_of_a_tiny_corpus(
    corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The bot says what the user says: its real clips take seconds to play.
    monkeypatch.setattr(parts, "SAMPLES", corpus)
    out = tmp_path / "out" / "hear.json"
    arguments = ["--corpus", str(corpus), "--quick", "--only", "onsets", "--vads", "webrtc"]
    arguments += ["--snr-db", "20", "--leak-db=-30", "--no-sweep", "--jobs", "1"]
    assert hear_eval.main([*arguments, "--json", str(out)]) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    [figures] = report["onsets"]["vads"]
    assert figures["clean"]["recall"] == 1.0
    assert figures["clean"]["errors"] == []
    assert 40 <= figures["clean"]["delay_ms"]["p50"] <= 300
    assert figures["noise"]["all"]["takes"] == 1
    assert figures["noise"]["all"]["rejected_once_share"] in (None, 1.0)
    assert "webrtc" in capsys.readouterr().out


def test_without_a_corpus_it_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPEECH_CORPUS", raising=False)
    assert hear_eval.main([]) == 2
    assert "SPEECH_CORPUS" in capsys.readouterr().err


def test_a_directory_without_a_manifest_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert hear_eval.main(["--corpus", str(tmp_path), "--only", "words", "--jobs", "1"]) == 1
    assert "manifest.jsonl" in capsys.readouterr().err


@pytest.fixture
def a_report() -> dict[str, Any]:
    """All parts but words, with few figures."""
    delay = {"p50": 88.0, "p95": 180.0, "count": 80}
    times = {"p50": 200.0, "p95": 300.0, "p99": 400.0, "count": 3}
    point = {
        "bias": 1.6,
        "factor": 1.0,
        "is_default": True,
        "delay_ms": delay,
        "missed": 0,
        "utterances": 80,
        "missed_5_db": 2,
        "false_onsets_per_hour": 3.0,
    }
    spoken = {
        "ttfs_ms": times,
        "after_labelled_end_ms": times,
        "ttfs_over_8_s_ms": {"count": 0},
        "onset_event_ms": times,
        "all_ttfs_ms": [180.0, 200.0, 300.0],
        "failures": ["the server closed"],
        "sender_lag_ms": 1.0,
    }
    return {
        "onsets": {"vads": [], "sweep": {"silero": [point, point | {"is_default": False}]}},
        "endpoints": {
            "recording_ids": ["a"],
            "pauses": 10,
            "engine_latency_ms": 120.0,
            "budget_ms": 500.0,
            "points": [
                {
                    "endpointer": "silence",
                    "endpoint_silence_ms": 300,
                    "delay_ms": {"p50": 308.0, "p90": 320.0},
                    "cut_share": 0.4,
                    "without_end": [],
                }
            ],
            "cut_share_at_budget": {"silence": None},
            "reduction_against_silence": {},
        },
        "ttfs": {"endpoint_silence_ms": 200, "idle": spoken, "busy": None},
        "interrupt": {
            "interrupts": 40,
            "engine_call_s": 5.0,
            "acknowledged_ms": times,
            "slowest_ms": 9.0,
        },
    }


def test_the_text_has_every_part(a_report: dict[str, Any]) -> None:
    text = text_report(a_report)
    for part in ("ONSETS", "ENDPOINTS", "TTFS", "INTERRUPT", "the server closed"):
        assert part in text


@pytest.mark.integration  # importing the plotting library takes seconds
def test_the_curves_are_drawn(a_report: dict[str, Any], tmp_path: Path) -> None:
    draw(a_report, tmp_path / "out" / "hear.png")
    assert (tmp_path / "out" / "hear.png").read_bytes().startswith(b"\x89PNG")
