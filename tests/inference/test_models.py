"""Names of models to directories: tiny fake packages and a fake hub, no weights, no network."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from attrs import evolve, field, frozen

from fasttalk_stt.inference.errors import ModelNotFoundError
from fasttalk_stt.inference.model_hub import DownloadError
from fasttalk_stt.inference.models import (
    GPU_MODEL,
    ModelCatalogue,
    default_cache_directory,
)
from fasttalk_stt.inference.packaged_model import PackagedModel

BASE_PARTS = (b"first half ", b"second half")
TINY_WEIGHTS = b"tiny weights"


@frozen
class FakeHub:
    """Knows names, has some of them, and can or cannot reach the network."""

    folder: Path
    names_: tuple[str, ...] = ("small", "base", "tiny.en", GPU_MODEL)
    fetched: set[str] = field(factory=set)
    is_online: bool = False

    def names(self) -> tuple[str, ...]:
        return self.names_

    def cached(self, name: str) -> Path | None:
        return self.folder / name if name in self.fetched else None

    def download(self, name: str) -> Path:
        if not self.is_online:
            raise DownloadError("no route to host")
        write_model(self.folder / name, b"downloaded")
        self.fetched.add(name)
        return self.folder / name


def write_model(folder: Path, weights: bytes | None, weights_name: str = "model.bin") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_text("{}", encoding="utf-8")
    if weights is not None:
        (folder / weights_name).write_bytes(weights)
    return folder


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def catalogue(tmp_path: Path) -> ModelCatalogue:
    """Both packaged models installed, an empty cache, nothing fetched, no network, no GPU."""
    packages = tmp_path / "packages"
    write_model(packages / "part_one" / "data", BASE_PARTS[0], "model.bin.part1")
    (packages / "part_two" / "data").mkdir(parents=True)
    (packages / "part_two" / "data" / "model.bin.part2").write_bytes(BASE_PARTS[1])
    write_model(packages / "tiny_package" / "model", TINY_WEIGHTS)

    def find_package(name: str) -> Path | None:
        return packages / name if (packages / name).is_dir() else None

    return ModelCatalogue(
        cache_directory=tmp_path / "cache",
        packaged=(
            PackagedModel(
                name="base",
                weights=(
                    ("part_one", "data/model.bin.part1"),
                    ("part_two", "data/model.bin.part2"),
                ),
                sha256=sha256(b"".join(BASE_PARTS)),
            ),
            PackagedModel(
                name="tiny.en",
                weights=(("tiny_package", "model/model.bin"),),
                sha256=sha256(TINY_WEIGHTS),
            ),
        ),
        hub=FakeHub(folder=tmp_path / "hub"),
        find_package=find_package,
        has_gpu=lambda: False,
    )


def hub_of(catalogue: ModelCatalogue) -> FakeHub:
    assert isinstance(catalogue.hub, FakeHub)
    return catalogue.hub


def without_packages(catalogue: ModelCatalogue) -> ModelCatalogue:
    return evolve(catalogue, find_package=lambda _: None)


def online(catalogue: ModelCatalogue) -> ModelCatalogue:
    return evolve(catalogue, hub=evolve(hub_of(catalogue), is_online=True))


def test_single_package_is_used_where_it_lies(catalogue: ModelCatalogue) -> None:
    model = catalogue.resolve("tiny.en")
    assert (model.name, model.source, model.is_verified) == ("tiny.en", "package", True)
    assert (model.path / "model.bin").read_bytes() == TINY_WEIGHTS
    assert not catalogue.cache_directory.exists()


def test_names_ignore_case_and_spaces(catalogue: ModelCatalogue) -> None:
    assert catalogue.resolve(" TINY.EN ") == catalogue.resolve("tiny.en")


def test_parts_are_put_together_with_their_companions(catalogue: ModelCatalogue) -> None:
    model = catalogue.resolve("base")
    assert (model.path / "model.bin").read_bytes() == b"".join(BASE_PARTS)
    assert sorted(file.name for file in model.path.iterdir()) == [
        "config.json",
        "model.bin",
        "tokenizer.json",
        "vocabulary.txt",
    ]
    assert cached(catalogue) == [model.path], "drafts are left behind"


def test_parts_are_put_together_once(catalogue: ModelCatalogue) -> None:
    first = catalogue.resolve("base").path / "model.bin"
    written = first.stat().st_ino
    assert (catalogue.resolve("base").path / "model.bin").stat().st_ino == written


def cached(catalogue: ModelCatalogue) -> list[Path]:
    """What lies in the cache beside the locks."""
    return [file for file in catalogue.cache_directory.iterdir() if file.suffix != ".lock"]


@pytest.mark.parametrize("is_broken_copy_there", [False, True])
def test_many_at_once_end_with_one_whole_copy(
    catalogue: ModelCatalogue, is_broken_copy_there: bool
) -> None:
    if is_broken_copy_there:
        (catalogue.resolve("base").path / "model.bin").write_bytes(b"cut short")
    with ThreadPoolExecutor(8) as pool:
        models = set(pool.map(catalogue.resolve, ["base"] * 32))
    [model] = models
    assert (model.path / "model.bin").read_bytes() == b"".join(BASE_PARTS)
    assert cached(catalogue) == [model.path]


def test_a_broken_cached_copy_is_replaced(catalogue: ModelCatalogue) -> None:
    path = catalogue.resolve("base").path
    (path / "model.bin").write_bytes(b"cut short")
    assert (catalogue.resolve("base").path / "model.bin").read_bytes() == b"".join(BASE_PARTS)
    assert cached(catalogue) == [path]


def test_corrupt_package_names_the_remedy(catalogue: ModelCatalogue) -> None:
    folder = catalogue.find_package("tiny_package")
    assert folder is not None
    (folder / "model" / "model.bin").write_bytes(b"something else")
    with pytest.raises(
        ModelNotFoundError, match=r"sha256.*pip install --force-reinstall"
    ) as caught:
        catalogue.resolve("tiny.en")
    assert "\n" not in str(caught.value)


def test_corrupt_parts_leave_nothing_in_the_cache(catalogue: ModelCatalogue) -> None:
    folder = catalogue.find_package("part_two")
    assert folder is not None
    (folder / "data" / "model.bin.part2").write_bytes(b"something else")
    with pytest.raises(ModelNotFoundError, match="sha256"):
        catalogue.resolve("base")
    assert cached(catalogue) == []


def test_cache_that_cannot_be_written_names_the_variable(
    catalogue: ModelCatalogue, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    blocked = evolve(catalogue, cache_directory=tmp_path / "file" / "cache")
    with pytest.raises(ModelNotFoundError, match="MODEL_CACHE"):
        blocked.resolve("base")


def test_directory(catalogue: ModelCatalogue, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "My-Model", b"anything")
    model = catalogue.resolve(str(folder))
    assert (model.name, model.source, model.is_verified) == ("My-Model", "directory", False)
    assert model.path == folder.resolve()


def test_directory_that_is_no_model_says_what_is_missing(
    catalogue: ModelCatalogue, tmp_path: Path
) -> None:
    folder = write_model(tmp_path / "no-weights", None)
    with pytest.raises(ModelNotFoundError, match=r"has no model\.bin"):
        catalogue.resolve(str(folder))


def test_missing_directory_is_not_taken_for_a_name(catalogue: ModelCatalogue) -> None:
    with pytest.raises(ModelNotFoundError, match="no model directory /nowhere/at/all"):
        catalogue.resolve("/nowhere/at/all")


def test_unknown_name_lists_what_is_known_and_installed(catalogue: ModelCatalogue) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        catalogue.resolve("huge")
    message = str(caught.value)
    assert "'huge'" in message
    assert "small" in message
    assert "installed: base, tiny.en" in message
    assert "\n" not in message


def test_missing_package_falls_back_to_the_hub(catalogue: ModelCatalogue) -> None:
    model = online(without_packages(catalogue)).resolve("base")
    assert (model.name, model.source, model.is_verified) == ("base", "download", False)


def test_offline_and_nothing_installed_says_how_to_get_one(catalogue: ModelCatalogue) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        without_packages(catalogue).resolve("small")
    message = str(caught.value)
    assert "no route to host" in message
    assert "no model is installed" in message
    assert "pip install 'fasttalk-stt[embedded]'" in message


def test_fetched_model_is_used_offline(catalogue: ModelCatalogue) -> None:
    online(catalogue).resolve("small")
    assert catalogue.resolve("small").source == "download"


def test_interrupted_download_does_not_count(catalogue: ModelCatalogue) -> None:
    write_model(hub_of(catalogue).folder / "small", None)
    hub_of(catalogue).fetched.add("small")
    with pytest.raises(ModelNotFoundError, match="no route to host"):
        catalogue.resolve("small")


def test_auto_on_a_cpu_prefers_the_better_model(catalogue: ModelCatalogue) -> None:
    assert catalogue.resolve("auto").name == "base"


def test_auto_passes_over_a_broken_model(catalogue: ModelCatalogue) -> None:
    folder = catalogue.find_package("part_one")
    assert folder is not None
    (folder / "data" / "model.bin.part1").write_bytes(b"broken")
    assert catalogue.resolve("auto").name == "tiny.en"


def test_auto_on_a_gpu(catalogue: ModelCatalogue) -> None:
    assert catalogue.resolve("auto", device="cuda").name == "base", "offline: what is installed"
    connected = online(catalogue)
    assert connected.resolve("auto", device="cuda").name == GPU_MODEL
    assert connected.resolve("auto", device="cpu").name == "base"
    assert evolve(connected, has_gpu=lambda: True).resolve("auto").name == GPU_MODEL


def test_what_auto_tries_first_is_known_without_reading_weights(catalogue: ModelCatalogue) -> None:
    assert catalogue.chosen() == catalogue.chosen(device="cpu") == "base"
    assert catalogue.chosen(device="cuda") == f"{GPU_MODEL}, to be downloaded, else base"
    assert without_packages(catalogue).chosen() == "base, to be downloaded"
    only_tiny = tuple(model for model in catalogue.packaged if model.name == "tiny.en")
    assert evolve(catalogue, packaged=only_tiny).chosen() == "tiny.en"


def test_auto_downloads_when_nothing_is_installed(catalogue: ModelCatalogue) -> None:
    model = online(without_packages(catalogue)).resolve("auto")
    assert (model.name, model.source) == ("base", "download")


def test_listing_shows_installed_first_and_marks_auto(catalogue: ModelCatalogue) -> None:
    listings = catalogue.listings()
    assert [(listing.name, listing.state) for listing in listings] == [
        ("base", "installed"),
        ("tiny.en", "installed"),
        ("small", "missing"),
        (GPU_MODEL, "missing"),
    ]
    assert [listing.name for listing in listings if listing.is_auto] == ["base"]


def test_listing_says_how_to_get_what_is_missing(catalogue: ModelCatalogue) -> None:
    listings = without_packages(catalogue).listings()
    assert {listing.state for listing in listings} == {"missing"}
    assert not any(listing.is_auto for listing in listings)
    details = {listing.name: listing.detail for listing in listings}
    assert "fasttalk-stt[embedded]" in details["tiny.en"]


def test_listing_shows_a_broken_package(catalogue: ModelCatalogue) -> None:
    folder = catalogue.find_package("tiny_package")
    assert folder is not None
    (folder / "model" / "model.bin").write_bytes(b"broken")
    states = {listing.name: listing.state for listing in catalogue.listings()}
    assert states["tiny.en"] == "broken"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"MODEL_CACHE": "/models", "XDG_CACHE_HOME": "/xdg"}, Path("/models")),
        ({"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/fasttalk-stt")),
        ({}, Path.home() / ".cache" / "fasttalk-stt"),
    ],
)
def test_cache_directory(environ: dict[str, str], expected: Path) -> None:
    assert default_cache_directory(environ) == expected


def test_listing_command_prints_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fasttalk_stt.cli import main

    monkeypatch.setenv("DEVICE", "cpu")
    main(["models", "--json"])
    listed = json.loads(capsys.readouterr().out)
    assert {"base", "tiny.en"} <= {listing["name"] for listing in listed}
