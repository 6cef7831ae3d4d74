"""Models that faster-whisper fetches by name, and those it has fetched already.

The only place that may use the network. The library is imported inside the calls: it costs half a
second, and a directory or a package needs none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class DownloadError(Exception):
    """The model could not be fetched; the message says why in one line."""


class ModelHub(Protocol):
    """Where models come from by name."""

    def names(self) -> tuple[str, ...]:
        """The names that can be asked for, in lower case."""

    def cached(self, name: str) -> Path | None:
        """The directory of a model fetched earlier, without using the network."""

    def download(self, name: str) -> Path:
        """Fetch a model (up to gigabytes, minutes). Raises DownloadError."""


class FasterWhisperHub:
    """faster-whisper's own downloads, so nothing is fetched twice.

    They are kept in `cache_directory`, by default in the library's own cache.
    """

    def __init__(self, cache_directory: Path | None = None) -> None:
        self._cache_dir = None if cache_directory is None else str(cache_directory)

    def names(self) -> tuple[str, ...]:
        from faster_whisper.utils import available_models  # noqa: PLC0415

        return tuple(available_models())

    def cached(self, name: str) -> Path | None:
        from faster_whisper.utils import download_model  # noqa: PLC0415

        try:
            return Path(download_model(name, local_files_only=True, cache_dir=self._cache_dir))
        except (OSError, ValueError):
            return None

    def download(self, name: str) -> Path:
        from faster_whisper.utils import download_model  # noqa: PLC0415

        try:
            return Path(download_model(name, cache_dir=self._cache_dir))
        except (OSError, ValueError) as error:
            # What the hub's client raises derives from OSError (network, disk) or ValueError
            # (a name it cannot parse).
            raise DownloadError(_one_line(error)) from error


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
