"""A caller's audio as the bytes that its session sends. Pure."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fasttalk_stt.client.options import SessionOptions

AudioLike = bytes | bytearray | memoryview | npt.NDArray[Any]

_S16_FULL_SCALE = 32767.0


def encoded(audio: AudioLike, options: SessionOptions) -> memoryview:
    """Bytes in the session's encoding as they are; a float array, -1..1, in that encoding.

    Raises ValueError or TypeError for audio that is none.
    """
    if isinstance(audio, np.ndarray):
        return memoryview(_encode_samples(audio, options.encoding))
    if not isinstance(audio, bytes | bytearray | memoryview):
        raise TypeError(f"audio is {type(audio).__name__}; expected bytes or a numpy array")
    data = memoryview(audio).cast("B")
    width = options.bytes_per_sample
    if len(data) % width:
        raise ValueError(
            f"{len(data)} bytes are no whole number of {options.encoding} samples of {width} bytes"
        )
    return data


def _encode_samples(samples: npt.NDArray[Any], encoding: str) -> bytes:
    """Mono samples as the session's bytes: float -1..1, or int16 where the session is s16le."""
    if samples.ndim != 1:
        raise ValueError(f"audio has {samples.ndim} dimensions; expected mono samples, one")
    if samples.dtype == np.int16 and encoding == "s16le":
        return samples.astype("<i2", copy=False).tobytes()
    if not np.issubdtype(samples.dtype, np.floating):
        raise TypeError(
            f"audio is an array of {samples.dtype}; expected float32 in -1..1"
            + (", or int16" if encoding == "s16le" else " (int16 needs encoding='s16le')")
        )
    if encoding == "s16le":
        clipped = np.clip(samples, -1.0, 1.0)
        samples = np.rint(clipped * _S16_FULL_SCALE).astype("<i2")
    else:
        samples = samples.astype("<f4", copy=False)
    return samples.tobytes()
