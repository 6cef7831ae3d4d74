"""A recording that is decoded piece by piece, whatever its format, rate and channels: mono at 16 kHz.

It blocks, so call it from a thread. A recording ends where its audio does, at the latest where its header
says; one that is longer than the caller allows is refused, at once where it says so.
"""

from __future__ import annotations

import math
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
from attrs import frozen

from fasttalk_stt.audio.timeline import PIPELINE_RATE_HZ
from fasttalk_stt.transcripts.audio_file import AudioFileError, libsndfile_reason
from fasttalk_stt.transcripts.mp3 import counts_its_frames

LOWEST_RATE_HZ = 1_000
HIGHEST_RATE_HZ = 192_000
"""Beyond these a header lies; a resampler would take its word for how much to make of a sample."""
MOST_CHANNELS = 16
MOST_VALUES = 1_000_000
"""Decoded at once, over all channels (4 MB): a few kB of silence may hold minutes of 16 channels."""
FIRST_S = 1.0
NO_COUNT = 2**63 - 1
"""libsndfile's for a file that does not say how many frames it has: a FLAC that was written to a pipe."""
MOST_MISSING_S = 1.0
"""More than a codec's delay, less than a sentence. A guess, not measured."""


class RecordingTooLongError(AudioFileError):
    """More audio than is allowed."""


class _Forwards(soundfile.SoundFile):  # type: ignore[misc]  # it has no types
    """Reads on without seeking. `soundfile` seeks behind what it has read, where the file is already; at the
    end of one that does not say how long it is that fails, with the audio in hand."""

    def seekable(self) -> bool:
        return False


@frozen
class Sound:
    """Where a recording's bytes are, and what to call it in messages."""

    name: str
    source: Path | BinaryIO


class Recording:
    """One open file. Close it, or use it as a context manager; a stream that it was given stays open."""

    def __init__(self, sound: Sound, *, longest_s: float = math.inf) -> None:
        """Raises AudioFileError for what is no audio that can be read, judged by its first second too,
        RecordingTooLongError for a file that says it is longer than `longest_s`."""
        self.name = sound.name
        self._longest_s = longest_s
        if isinstance(sound.source, Path) and not sound.source.is_file():
            raise AudioFileError(f"{self.name}: no such file")
        try:
            self._file = _Forwards(sound.source)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
            raise self._unreadable(error) from error
        self._rate_hz = int(self._file.samplerate)
        self._claimed = self._claimed_frames(sound.source)
        self._n_read = 0
        self._at_end = False
        self._first: npt.NDArray[np.float32] | None = None
        try:
            self._check()
            self._resampler = self._make_resampler()
            self._first = self._decode(FIRST_S)
        except AudioFileError:
            self._file.close()
            raise

    @property
    def claimed_ms(self) -> float:
        """How long the file says it is; 0 where it does not."""
        return (self._claimed or 0) * 1000 / self._rate_hz

    @property
    def read_ms(self) -> float:
        """How much was read so far; after the last piece, how long the recording is."""
        return self._n_read * 1000 / self._rate_hz

    def read(self, seconds: float) -> npt.NDArray[np.float32]:
        """The next float32[n_samples] at 16 kHz, at most about so many seconds; none behind the end.

        Raises AudioFileError where the file is broken, RecordingTooLongError where it holds too much.
        """
        if self._first is not None:
            samples, self._first = self._first, None
            return samples
        return self._decode(seconds)

    def _decode(self, seconds: float) -> npt.NDArray[np.float32]:
        while not self._at_end:
            wanted = min(max(round(seconds * self._rate_hz), 1), MOST_VALUES // self._file.channels)
            try:
                block = self._file.read(wanted, dtype="float32", always_2d=True)
            except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
                raise self._unreadable(error) from error
            self._n_read += len(block)
            self._at_end = len(block) < wanted
            if self._n_read > self._longest_s * self._rate_hz:
                raise self._too_long()
            # Some formats hold floats, and so whatever a client puts there.
            mono = np.nan_to_num(block.mean(axis=1, dtype=np.float32), posinf=1.0, neginf=-1.0)
            samples: npt.NDArray[np.float32] = np.clip(mono, -1.0, 1.0)
            if self._at_end:
                self._check_end()
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples, last=self._at_end)
            if len(samples):
                return samples
        return np.empty(0, dtype=np.float32)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self) -> None:
        rate_hz, n_channels = self._rate_hz, self._file.channels
        if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ or not 1 <= n_channels <= MOST_CHANNELS:
            raise AudioFileError(
                f"{self.name}: {n_channels} channels at {rate_hz} Hz, expected up to {MOST_CHANNELS} at "
                f"{LOWEST_RATE_HZ}-{HIGHEST_RATE_HZ} Hz"
            )
        if self._claimed is not None and self._claimed > self._longest_s * rate_hz:
            raise self._too_long()

    def _check_end(self) -> None:
        """libmpg123 ends a file where it understands it no more, without an error."""
        if self._n_read == 0:
            raise AudioFileError(f"{self.name}: holds no samples")
        missing_s = ((self._claimed or 0) - self._n_read) / self._rate_hz
        if missing_s > MOST_MISSING_S:
            raise AudioFileError(
                f"{self.name}: breaks off after {self.read_ms / 1000:.1f} s of the "
                f"{self.claimed_ms / 1000:.1f} s that it says it has"
            )

    def _claimed_frames(self, source: Path | BinaryIO) -> int | None:
        """How many frames the file says it has; None where it does not."""
        if self._file.frames >= NO_COUNT:
            return None
        if self._file.format == "MP3":
            if isinstance(source, Path):
                with source.open("rb") as file:
                    counts = counts_its_frames(file)
            else:
                counts = counts_its_frames(source)
            if not counts:
                return None
        return int(self._file.frames)

    def _make_resampler(self) -> soxr.ResampleStream | None:
        if self._rate_hz == PIPELINE_RATE_HZ:
            return None
        return soxr.ResampleStream(
            self._rate_hz, PIPELINE_RATE_HZ, 1, dtype="float32", quality="HQ"
        )

    def _too_long(self) -> RecordingTooLongError:
        return RecordingTooLongError(
            f"{self.name}: longer than the {self._longest_s:g} s of audio that are allowed"
        )

    def _unreadable(self, error: Exception) -> AudioFileError:
        return AudioFileError(f"{self.name}: not readable as audio: {libsndfile_reason(error)}")
