"""Binary frames to samples: length, format and content are checked here and nowhere else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fasttalk_stt.protocol.config import Encoding
from fasttalk_stt.protocol.errors import (
    AUDIO_PROCESSING_ERROR,
    UNSUPPORTED_AUDIO_FORMAT,
    ProtocolError,
)

MAX_FRAME_S = 1.0
"""The longest frame that is accepted."""

_S16_FULL_SCALE = 32768.0

_CONTAINERS = {
    b"RIFF": "WAV",
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"\x1aE\xdf\xa3": "WebM",
}
"""How files begin that clients send by mistake; as PCM they would be a burst of noise."""


class PcmDecoder:
    """Decodes the frames of one session."""

    def __init__(self, encoding: Encoding, sample_rate_hz: int) -> None:
        self._encoding = encoding
        self._dtype = np.dtype("<f4" if encoding == "f32le" else "<i2")
        self._max_samples = int(MAX_FRAME_S * sample_rate_hz)
        self._at_start = True

    def whole_samples(self, frame: bytes) -> int:
        """How many whole samples a frame holds, whether or not it is acceptable."""
        return len(frame) // self._dtype.itemsize

    def decode(self, frame: bytes) -> npt.NDArray[np.float32]:
        """Decode one frame to float32[n_samples], mono, clipped to -1..1.

        Raises `unsupported_audio_format` where the first frame begins like a file, and
        `audio_processing_error` where the length is no whole number of samples, the frame is longer
        than MAX_FRAME_S, or a value is NaN or infinite.
        """
        size = self._dtype.itemsize
        if self._at_start:
            self._at_start = False
            self._check_container(frame)
        if len(frame) % size:
            raise ProtocolError(
                AUDIO_PROCESSING_ERROR,
                f"A frame of {len(frame)} bytes is no whole number of {self._encoding} samples of "
                f"{size} bytes. The frame was dropped; send whole samples.",
            )
        if len(frame) // size > self._max_samples:
            raise ProtocolError(
                AUDIO_PROCESSING_ERROR,
                f"A frame of {len(frame) // size} samples is longer than {MAX_FRAME_S:g} s "
                f"({self._max_samples} samples). The frame was dropped; send shorter frames.",
            )
        raw = np.frombuffer(frame, dtype=self._dtype)
        if self._encoding == "s16le":
            return raw.astype(np.float32) / np.float32(_S16_FULL_SCALE)
        if not np.isfinite(raw).all():
            raise ProtocolError(
                AUDIO_PROCESSING_ERROR,
                "A frame holds NaN or infinite values. The frame was dropped; check the client's "
                "audio format (f32le unless session_config.encoding says s16le).",
            )
        clipped: npt.NDArray[np.float32] = np.clip(raw, -1.0, 1.0)
        return clipped

    def _check_container(self, frame: bytes) -> None:
        """Only of a session's first frame: later ones may begin like this by chance."""
        for signature, name in _CONTAINERS.items():
            if frame.startswith(signature):
                raise ProtocolError(
                    UNSUPPORTED_AUDIO_FORMAT,
                    f"The audio begins like a {name} file. The frame was dropped; send raw PCM "
                    f"({self._encoding}, mono) without a container.",
                )
